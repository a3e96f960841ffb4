//! A whole shard whose turns are taken by hand: what each of them does can be counted, whatever the machine is doing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::bounded;
use mio::{Events, Poll, Waker};

use super::peer::parse;
use crate::gate::addresses::AddressLimits;
use crate::gate::auth::Authenticator;
use crate::gate::origin::OriginRule;
use crate::gate::turnstile::Turnstile;
use crate::http::{
    Connections, Door, Limits, Phase, Readiness, Routes, Settings, Site, TokenPlaces,
};
use crate::hub::Hub;
use crate::hub::directory::{Directory, RoomEntry};
use crate::hub::mailbox::{Batch, Capacity, Mailbox, Part, Port, mailbox};
use crate::protocol::frame::encode;
use crate::protocol::{Context, Echo, Handler, Message, Request};
use crate::shard::counters::Counters;
use crate::shard::seats::Rates;
use crate::shard::service::Service;
use crate::shard::state::{Bounds, Parts};
use crate::shard::{Adopt, EVENTS_PER_TURN, Shard, WAKER, Wiring, listener};

/// The routes.
pub(super) const ROOMS: usize = 0;
pub(super) const ECHO: usize = 1;

/// What a peer reads at once.
const READ_BYTES: usize = 64 << 10;

/// Joins the rooms that the request names and passes everything on to all of them.
struct Passes;

impl Handler for Passes {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let rooms = request.room.as_deref().unwrap_or_default();
        rooms.split('+').for_each(|room| assert!(session.join(room)));
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        session.broadcast(message);
    }
}

/// One shard of two. Of the other one there is only the mailbox.
pub(super) struct Turns {
    pub(super) shard: Shard,
    pub(super) port: Arc<Port>,
    pub(super) elsewhere: Mailbox,
    pub(super) address: SocketAddr,
    events: Events,
    /// The control runtime, which is never run, and the other shard's poll.
    kept: (tokio::runtime::Runtime, Poll),
}

impl Turns {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let capacity =
            Capacity { adoptions: 1000, batches: 1000, deliveries: 1, found: 1, requests: 1000 };
        let port = || {
            let poll = Poll::new().expect("a poll");
            let waker = Waker::new(poll.registry(), WAKER).expect("a waker");
            (mailbox(capacity, waker), poll)
        };
        let (((port, mailbox), poll), ((other, elsewhere), other_poll)) = (port(), port());
        let ports = [port.clone(), other].into();
        let hub = Arc::new(Hub::new(Directory::new(2), ports));
        let routes: Rc<[Service]> =
            Rc::new([Service::Handler(Arc::new(Passes)), Service::Handler(Arc::new(Echo))]);
        let connections = Arc::new(Connections::new(10_000));
        let parts = Parts {
            shard: 0,
            hub,
            routes,
            chat: None,
            authorize: None,
            bounds: bounds(),
            connections,
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listener::bind(any).expect("a port");
        let address = listener.local_addr().expect("an address");
        let door = door(&runtime, &parts.connections);
        let wiring = Wiring { poll, listener, mailbox, door, telemetry: bounded(1).0 };
        let shard = Shard::new(wiring, parts).expect("a shard");
        let events = Events::with_capacity(EVENTS_PER_TURN);
        Self { shard, port, elsewhere, address, events, kept: (runtime, other_poll) }
    }

    /// One turn; what it came to.
    pub(super) fn turn(&mut self) -> Did {
        let before = self.shard.state.counters.clone();
        self.shard.poll.poll(&mut self.events, Some(Duration::ZERO)).expect("it polls");
        self.shard.mailbox.disarm();
        self.shard.turn(&self.events);
        Did::between(&before, &self.shard.state.counters)
    }

    /// Whether the other shard was woken since it was asked the last time.
    pub(super) fn was_woken_elsewhere(&mut self) -> bool {
        let mut events = Events::with_capacity(1);
        self.kept.1.poll(&mut events, Some(Duration::ZERO)).expect("it polls");
        !events.is_empty()
    }

    /// Turns until nothing is left to do.
    pub(super) fn rest(&mut self) {
        while self.turn() != Did::default() || self.shard.state.has_to_flush() {}
    }

    /// Puts the connection of a new peer into the mailbox, for those rooms.
    pub(super) fn adopt(&self, route: usize, rooms: &str) -> Peer {
        let (server, client) = UnixStream::pair().expect("a pair");
        for socket in [&server, &client] {
            socket.set_nonblocking(true).expect("non-blocking");
        }
        let request = Request {
            uri: "/".parse().expect("a path"),
            headers: Default::default(),
            address: self.address,
            room: Some(rooms.to_owned()),
            access: None,
        };
        let stream = TcpStream::from(OwnedFd::from(server));
        let (response, leftover) = (Vec::new(), Bytes::new());
        let adopted = self.port.adopt(Box::new(Adopt {
            stream,
            channel: None,
            response,
            leftover,
            route,
            request,
            place: None,
        }));
        assert!(adopted.is_ok(), "the mailbox has room");
        Peer(client)
    }

    /// The same, and the shard takes it.
    pub(super) fn connect(&mut self, route: usize, rooms: &str) -> Peer {
        let peer = self.adopt(route, rooms);
        self.rest();
        peer
    }

    /// So many peers in one room.
    pub(super) fn crowd(&mut self, room: &str, members: usize) -> Vec<Peer> {
        let peers = (0..members).map(|_| self.adopt(ROOMS, room)).collect();
        self.rest();
        peers
    }

    /// What the directory says of a room.
    pub(super) fn room(&self, name: &str) -> Arc<RoomEntry> {
        self.shard.state.hub.directory.find(ROOMS, name).expect("a room")
    }

    /// Messages from the other shard of so many bytes, one for each of the rooms.
    pub(super) fn batch<'a>(
        &self,
        rooms: impl IntoIterator<Item = &'a str>,
        payload_bytes: usize,
    ) -> Batch {
        let mut batch = Batch::new(Instant::now());
        let payload = vec![7; payload_bytes];
        for room in rooms {
            encode(Message::Binary(&payload), &mut batch.bytes);
            let end = batch.bytes.len();
            batch.parts.push(Part { room: self.room(room).id, end, frames: 1, except: None });
        }
        batch
    }

    /// Has the other shard send such messages.
    pub(super) fn say<'a>(&self, rooms: impl IntoIterator<Item = &'a str>, payload_bytes: usize) {
        assert!(self.port.batch(1, self.batch(rooms, payload_bytes)).is_ok());
    }
}

/// What one turn did, as the shard counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Did {
    pub(super) accepts: u64,
    pub(super) reads: u64,
    /// Messages and control frames that were handled.
    pub(super) events: u64,
    pub(super) bytes_in: u64,
    pub(super) writes: u64,
    pub(super) bytes_out: u64,
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) batches: u64,
}

impl Did {
    fn between(before: &Counters, after: &Counters) -> Self {
        let count = |count: fn(&Counters) -> u64| count(after) - count(before);
        Self {
            accepts: count(|counters| counters.accepted),
            reads: count(|counters| counters.reads),
            events: count(|counters| counters.messages_in + counters.control_in),
            bytes_in: count(|counters| counters.bytes_in),
            writes: count(|counters| counters.writes),
            bytes_out: count(|counters| counters.bytes_out),
            opened: count(|counters| counters.routes.iter().map(|route| route.opened).sum()),
            closed: count(|counters| counters.closed.iter().sum()),
            batches: count(|counters| counters.batches_in),
        }
    }
}

/// The other end of a session.
pub(super) struct Peer(UnixStream);

impl Peer {
    /// Sends what the socket takes of it; how much that was.
    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        match self.0.write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads everything that is there; how much it was.
    pub(super) fn hear(&mut self) -> usize {
        self.read(|_| {})
    }

    /// The text frames that are there.
    pub(super) fn texts(&mut self) -> Vec<String> {
        let (mut bytes, mut texts) = (Vec::new(), Vec::new());
        self.read(|heard| bytes.extend_from_slice(heard));
        let mut rest = &bytes[..];
        while let Some((opcode, payload, behind)) = parse(rest) {
            if opcode == 1 {
                texts.push(std::str::from_utf8(payload).expect("text").to_owned());
            }
            rest = behind;
        }
        texts
    }

    fn read(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let (mut buffer, mut heard) = (vec![0; READ_BYTES], 0);
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return heard,
                Ok(read) => {
                    take(&buffer[..read]);
                    heard += read;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A peer that says the same thing over and over, as fast as the socket takes it, and reads whatever comes.
pub(super) struct Flood {
    peer: Peer,
    frames: Vec<u8>,
    /// How much of them the socket has.
    sent: usize,
}

impl Flood {
    pub(super) fn new(peer: Peer, frame: &[u8]) -> Self {
        Self { peer, frames: frame.repeat(1 + (256 << 10) / frame.len()), sent: 0 }
    }

    /// Says something else first.
    pub(super) fn begin_with(&mut self, frame: &[u8]) {
        assert_eq!(self.peer.send(frame), frame.len());
    }

    /// Fills the socket up.
    pub(super) fn go_on(&mut self) {
        self.peer.hear();
        loop {
            let sent = self.peer.send(&self.frames[self.sent..]);
            self.sent += sent;
            if self.sent == self.frames.len() {
                self.sent = 0;
            } else if sent == 0 {
                return;
            }
        }
    }
}

/// A frame as clients send it, under a mask of zeroes.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if let length @ 126..65_536 = payload.len() {
        frame.truncate(1);
        frame.push(0x80 | 126);
        frame.extend((length as u16).to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn bounds() -> Bounds {
    Bounds {
        message_bytes_max: 1 << 20,
        outbox_bytes_max: 1 << 30,
        rooms_per_session_max: 1000,
        rooms_max: usize::MAX,
        room_members_max: usize::MAX,
        rates: Rates::default(),
        message_timeout_ticks: 10_000,
        heartbeat_ticks: 10_000,
        heartbeat_timeout_ticks: 20_000,
        close_timeout_ticks: 10_000,
        expiry_warning_ms: 60_000,
    }
}

/// A door that nobody is behind: what is let in stays on a runtime that does not run.
fn door(runtime: &tokio::runtime::Runtime, connections: &Arc<Connections>) -> Door {
    let limits = Limits {
        pending_handshakes_max: 10_000,
        handshake_timeout: Duration::from_secs(1000),
        header_bytes_max: 16 * 1024,
        headers_max: 100,
    };
    let readiness = Arc::new(Readiness::default());
    readiness.set(Phase::Ready);
    let _guard = runtime.enter();
    let site = Site::new(Settings {
        routes: Routes::new(Vec::new()).expect("no routes"),
        limits,
        origin_rule: OriginRule::Loopback { files: true },
        turnstile: Arc::new(Turnstile::new(AddressLimits::NONE)),
        proxies: Default::default(),
        authenticator: Arc::new(Authenticator::open()),
        token_places: TokenPlaces::default(),
        demo: false,
        connections: Arc::clone(connections),
        readiness,
        runtime: runtime.handle().clone(),
        tls: None,
        api: None,
    });
    Door::new(Arc::new(site), 0, Arc::new(Err), Arc::new(|| {}))
}
