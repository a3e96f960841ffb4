//! What the shards are made of: listeners, mailboxes, doors, and the bounds that they enforce.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use mio::{Poll, Waker};

use crate::config::{Config, ProxyHeader};
use crate::gate::addresses::AddressLimits;
use crate::gate::proxies::{Header, Proxies};
use crate::gate::rate::Rate;
use crate::gate::turnstile::Turnstile;
use crate::gate::users::Users;
use crate::http::{Door, Site};
use crate::hub::Hub;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Capacity, Mailbox, mailbox};
use crate::log::data_dir::DataDir;
use crate::server::start_error::StartError;
use crate::shard::chat::reads::READS_MAX;
use crate::shard::seats::Rates;
use crate::shard::state::Bounds;
use crate::shard::{WAKER, listener, ticks};

/// Upgraded connections that wait to be adopted by one shard.
const ADOPTIONS_MAX: usize = 1024;

/// What tasks with handles may have waiting at one shard.
const REQUESTS_MAX: usize = 4096;

/// The data directory, where something is to be kept.
pub(super) fn data_dir(config: &Config) -> Result<Option<Arc<DataDir>>, StartError> {
    if !config.chat.enabled && config.api.keys.is_empty() {
        return Ok(None);
    }
    let directory = DataDir::lock(&config.server.data_dir).map_err(StartError::log)?;
    Ok(Some(Arc::new(directory)))
}

/// Binds an address for one listener.
pub(super) fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Listen { address, key, source })
}

/// One listener a shard, all on one port.
pub(super) fn bind_shards(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut address = config.server.listen;
    let key = "server.listen";
    // Listeners that share a port would share one with another server of the same user, too.
    drop(bind(address, key)?);
    let mut listeners = Vec::new();
    for _ in 0..config.shards() {
        let listener = listener::bind(address).map_err(|source| StartError::Listen {
            address,
            key,
            source,
        })?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Each shard's poll, and the mailbox that wakes it.
pub(super) type Polls = Vec<(Poll, Mailbox)>;

/// The hub, and for each shard the poll that its mailbox wakes.
pub(super) fn hub(config: &Config, routes: usize, shards: usize) -> io::Result<(Arc<Hub>, Polls)> {
    let capacity = Capacity {
        adoptions: ADOPTIONS_MAX,
        batches: config.limits.mailbox_batches_max,
        deliveries: config.limits.mailbox_batches_max,
        found: READS_MAX,
        requests: REQUESTS_MAX,
    };
    let (mut ports, mut polls) = (Vec::new(), Vec::new());
    for _ in 0..shards {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (port, mailbox) = mailbox(capacity, waker);
        ports.push(port);
        polls.push((poll, mailbox));
    }
    let mut hub = Hub::new(Directory::new(routes), ports.into());
    hub.users = Arc::new(Users::new(bound(config.limits.connections_per_user_max)));
    Ok((Arc::new(hub), polls))
}

/// The door of one shard.
pub(super) fn door(site: &Arc<Site>, shard: usize, hub: &Arc<Hub>) -> Door {
    let hub = Arc::clone(hub);
    let port = Arc::clone(&hub.ports[shard]);
    let has_room = move || port.ring();
    let adopt = move |adopt| hub.adopt(shard, adopt);
    Door::new(Arc::clone(site), shard, Arc::new(adopt), Arc::new(has_room))
}

/// 0 is no bound.
const fn bound(max: usize) -> usize {
    if max == 0 { usize::MAX } else { max }
}

/// Whose word on a client's address is taken.
pub(super) fn proxies(config: &Config) -> Proxies {
    let header = match config.server.proxy_header {
        ProxyHeader::Off => Header::Off,
        ProxyHeader::XForwardedFor => Header::XForwardedFor,
        ProxyHeader::Forwarded => Header::Forwarded,
    };
    let networks = config.server.proxies.clone();
    Proxies { networks, header, speaks_protocol: config.server.proxy_protocol }
}

/// The counts of those who come in, with the bounds on one address and one user.
pub(super) fn turnstile(config: &Config) -> Turnstile {
    let limits = &config.limits;
    let addresses = AddressLimits {
        connections_max: bound(limits.connections_per_address_max),
        pending_max: bound(limits.pending_handshakes_per_address_max),
        handshakes: Rate::new(
            limits.handshakes_per_address_per_sec,
            limits.handshakes_per_address_burst,
        ),
        failures: Rate::within(
            limits.auth_failures_per_address_max,
            limits.auth_failures_window_secs,
        ),
        exempts_loopback: config.exempts_loopback(),
    };
    Turnstile::new(addresses)
}

/// The bounds that every shard enforces.
pub(super) fn bounds(config: &Config) -> Bounds {
    let limits = &config.limits;
    Bounds {
        message_bytes_max: limits.message_bytes_max,
        outbox_bytes_max: limits.outbox_bytes_max,
        rooms_per_session_max: limits.rooms_per_session_max,
        rooms_max: limits.rooms_max,
        room_members_max: limits.room_members_max,
        rates: Rates {
            messages: Rate::new(limits.messages_per_sec, limits.messages_burst),
            // A message larger than the burst could never be sent.
            bytes: Rate::new(
                limits.bytes_per_sec,
                limits.bytes_burst.max(limits.message_bytes_max as u64),
            ),
            strikes_max: u32::try_from(limits.messages_burst).unwrap_or(u32::MAX),
        },
        message_timeout_ticks: ticks(limits.message_timeout_secs),
        heartbeat_ticks: ticks(limits.heartbeat_secs),
        heartbeat_timeout_ticks: ticks(limits.heartbeat_timeout_secs),
        close_timeout_ticks: ticks(limits.close_timeout_secs),
        expiry_warning_ms: config.auth.expiry_warning_secs * 1000,
    }
}
