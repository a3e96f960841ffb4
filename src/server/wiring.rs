//! What the shards are made of: listeners, mailboxes, doors, and the bounds that they enforce.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use mio::{Poll, Waker};

use crate::config::Config;
use crate::http::{Door, Site};
use crate::hub::Hub;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Capacity, Mailbox, mailbox};
use crate::server::start_error::StartError;
use crate::shard::chat::reads::READS_MAX;
use crate::shard::state::Bounds;
use crate::shard::{WAKER, listener, ticks};

/// Upgraded connections that wait to be adopted by one shard.
const ADOPTIONS_MAX: usize = 1024;

/// What tasks with handles may have waiting at one shard.
const REQUESTS_MAX: usize = 4096;

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
    Ok((Arc::new(Hub::new(Directory::new(routes), ports.into())), polls))
}

/// The door of one shard.
pub(super) fn door(site: &Arc<Site>, shard: usize, hub: &Arc<Hub>) -> Door {
    let hub = Arc::clone(hub);
    let port = Arc::clone(&hub.ports[shard]);
    let has_room = move || port.ring();
    let adopt = move |adopt| hub.adopt(shard, adopt);
    Door::new(Arc::clone(site), shard, Arc::new(adopt), Arc::new(has_room))
}

/// The bounds that every shard enforces.
pub(super) fn bounds(config: &Config) -> Bounds {
    let limits = &config.limits;
    Bounds {
        message_bytes_max: limits.message_bytes_max,
        outbox_bytes_max: limits.outbox_bytes_max,
        rooms_per_session_max: limits.rooms_per_session_max,
        message_timeout_ticks: ticks(limits.message_timeout_secs),
        heartbeat_ticks: ticks(limits.heartbeat_secs),
        heartbeat_timeout_ticks: ticks(limits.heartbeat_timeout_secs),
        close_timeout_ticks: ticks(limits.close_timeout_secs),
        expiry_warning_ms: config.auth.expiry_warning_secs * 1000,
    }
}
