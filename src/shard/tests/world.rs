//! Sessions, rooms and what became of every message: the state under test beside a model of what it promises.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mio::{Poll, Waker};
use socket2::SockRef;

use super::peer::{End, Heard, Peer, id_of, parse};
use crate::http::Connections;
use crate::hub::Hub;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Capacity, Mailbox, Part, mailbox};
use crate::protocol::{Actions, Close, Context, Handler, Message, Request, frame};
use crate::shard::WAKER;
use crate::shard::actions::Desk;
use crate::shard::seats::Rates;
use crate::shard::service::Service;
use crate::shard::session::{Session, flag};
use crate::shard::state::{Bounds, Parts, State};

/// What a socket takes before it is full: less than the largest messages, so that writes end in the middle of frames.
const SOCKET_BYTES: usize = 8 * 1024;

struct Nothing;

impl Handler for Nothing {
    fn open(&self, _session: &mut Context<'_>, _request: &Request) {}
    fn message(&self, _session: &mut Context<'_>, _message: Message<'_>) {}
}

/// A message to a room.
pub(super) struct Sent {
    pub(super) room: usize,
    /// Peers that may get it: members when it was sent.
    pub(super) allowed: BTreeSet<usize>,
    /// Peers that must get it: of those, the ones that stayed.
    pub(super) owed: BTreeSet<usize>,
}

/// One shard of two. Of the other one there is only the mailbox.
pub(super) struct World {
    pub(super) state: State,
    pub(super) elsewhere: Mailbox,
    pub(super) heard_elsewhere: Vec<usize>,
    /// Messages that came from there.
    pub(super) brought: BTreeSet<usize>,
    /// Woken by the mailboxes, and not looked at.
    #[allow(dead_code, reason = "only kept open")]
    polls: [Poll; 2],
    pub(super) peers: Vec<Peer>,
    pub(super) sent: Vec<Sent>,
    pub(super) rooms: usize,
}

impl World {
    /// With so many rooms, of which every other one has members elsewhere.
    pub(super) fn new(rooms: usize) -> Self {
        let capacity = Capacity { adoptions: 1, batches: 1, deliveries: 1, found: 1, requests: 1 };
        let port = || {
            let poll = Poll::new().expect("a poll");
            let waker = Waker::new(poll.registry(), WAKER).expect("a waker");
            (mailbox(capacity, waker), poll)
        };
        let (((own, _), poll), ((other, elsewhere), other_poll)) = (port(), port());
        let directory = Directory::new(1);
        for room in (0..rooms).filter(|room| has_members_elsewhere(*room)) {
            directory.enter(0, &name(room), 1, usize::MAX);
        }
        let ports = [own, other].into();
        let hub = Arc::new(Hub::new(directory, ports));
        let routes: Rc<[Service]> = Rc::new([Service::Handler(Arc::new(Nothing))]);
        let bounds = Bounds {
            message_bytes_max: 1 << 20,
            outbox_bytes_max: 1 << 30,
            rooms_per_session_max: rooms,
            rooms_max: usize::MAX,
            room_members_max: usize::MAX,
            rates: Rates::default(),
            message_timeout_ticks: 1000,
            heartbeat_ticks: 1000,
            heartbeat_timeout_ticks: 2000,
            close_timeout_ticks: 1000,
            expiry_warning_ms: 60_000,
        };
        let connections = Arc::new(Connections::new(1000));
        let state = State::new(Parts {
            shard: 0,
            hub,
            routes,
            chat: None,
            authorize: None,
            bounds,
            connections,
        });
        Self {
            state,
            elsewhere,
            heard_elsewhere: Vec::new(),
            brought: BTreeSet::new(),
            polls: [poll, other_poll],
            peers: Vec::new(),
            sent: Vec::new(),
            rooms,
        }
    }

    pub(super) fn connect(&mut self) {
        let (server, client) = UnixStream::pair().expect("a pair");
        for socket in [&server, &client] {
            socket.set_nonblocking(true).expect("non-blocking");
        }
        // Every other peer has a buffer that takes whatever comes.
        if self.peers.len().is_multiple_of(2) {
            SockRef::from(&server).set_send_buffer_size(SOCKET_BYTES).expect("a small buffer");
        }
        let stream = std::net::TcpStream::from(OwnedFd::from(server));
        let entry = self.state.sessions.vacant_entry();
        let slot = entry.key() as u32;
        self.state.generation += 1;
        let stream = mio::net::TcpStream::from_std(stream);
        entry.insert(Session::new(stream, self.state.generation, 0, 0));
        self.state.counters.routes[0].sessions += 1;
        let id = self.state.id(slot);
        let (received, rooms, heard) = (Vec::new(), BTreeSet::new(), Heard::default());
        self.peers.push(Peer {
            stream: client,
            received,
            id,
            slot,
            rooms,
            end: None,
            privates: 0,
            heard,
        });
    }

    /// Acts for a peer whose session is open.
    fn desk(&mut self, peer: usize) -> Option<Desk<'_>> {
        let Peer { slot, end, .. } = self.peers[peer];
        end.is_none().then_some(Desk { state: &mut self.state, slot })
    }

    pub(super) fn join(&mut self, peer: usize, room: usize) {
        let Some(mut desk) = self.desk(peer) else { return };
        assert!(desk.join(&name(room)));
        self.peers[peer].rooms.insert(room);
    }

    pub(super) fn leave(&mut self, peer: usize, room: usize) {
        let Some(mut desk) = self.desk(peer) else { return };
        desk.leave(&name(room));
        self.peers[peer].rooms.remove(&room);
        self.forgive(peer, |sent| sent.room == room);
    }

    /// The peer need not get these any more.
    fn forgive(&mut self, peer: usize, which: impl Fn(&Sent) -> bool) {
        for sent in self.sent.iter_mut().filter(|sent| which(sent)) {
            sent.owed.remove(&peer);
        }
    }

    /// Notes a message to a room and gives its text.
    fn note(&mut self, room: usize, but: Option<usize>, length: usize) -> String {
        let is_in = |(at, peer): &(usize, &Peer)| Some(*at) != but && peer.rooms.contains(&room);
        let allowed: BTreeSet<_> =
            self.peers.iter().enumerate().filter(is_in).map(|(at, _)| at).collect();
        let text = format!("{}:{}", self.sent.len(), "x".repeat(length));
        self.sent.push(Sent { room, owed: allowed.clone(), allowed });
        text
    }

    pub(super) fn publish(&mut self, peer: usize, room: usize, length: usize) {
        if self.desk(peer).is_some() {
            let text = self.note(room, Some(peer), length);
            self.desk(peer).expect("open").publish(&name(room), Message::Text(&text));
        }
    }

    pub(super) fn send(&mut self, peer: usize, length: usize) {
        let text = format!("private:{}:{}", self.peers[peer].privates, "x".repeat(length));
        let Some(mut desk) = self.desk(peer) else { return };
        desk.send(Message::Text(&text));
        self.peers[peer].privates += 1;
    }

    /// Publishes through a handle, not for one peer.
    pub(super) fn publish_from_outside(&mut self, room: usize, but: usize, length: usize) {
        let text = self.note(room, Some(but), length);
        let except = Some(self.peers[but].id);
        self.state.publish_frame(0, &name(room), except, &frame_of(&text));
    }

    /// Brings messages from the other shard, not for one peer if named.
    pub(super) fn deliver(
        &mut self,
        room: usize,
        messages: usize,
        length: usize,
        but: Option<usize>,
    ) {
        let Some(entry) = self.state.hub.directory.find(0, &name(room)) else { return };
        let bytes: Vec<u8> =
            (0..messages).flat_map(|_| frame_of(&self.note(room, but, length))).collect();
        let except = but.map(|peer| self.peers[peer].id);
        self.brought.extend(self.sent.len() - messages..self.sent.len());
        let part = Part { room: entry.id, end: bytes.len(), frames: messages as u32, except };
        self.state.deliver(&part, &bytes, Instant::now());
    }

    pub(super) fn close(&mut self, peer: usize) {
        let Some(mut desk) = self.desk(peer) else { return };
        desk.close(Close::normal());
        self.over(peer, End::Closed);
    }

    pub(super) fn lose(&mut self, peer: usize) {
        if self.desk(peer).is_some() {
            self.state.lose(self.peers[peer].slot);
            self.over(peer, End::Lost);
        }
    }

    fn over(&mut self, peer: usize, end: End) {
        self.state.reap();
        self.peers[peer].end = Some(end);
        self.peers[peer].rooms.clear();
        if end == End::Lost {
            self.forgive(peer, |_| true);
        }
    }

    /// A step of the flush that serves so many members at most.
    pub(super) fn flush(&mut self, served_max: usize) {
        self.state.now = Instant::now();
        self.state.flush_step(served_max);
        self.state.reap();
    }

    /// Sends what is pending for the other shard.
    pub(super) fn exchange(&mut self) {
        let mut resumed = Vec::new();
        self.state.outgoing.send(Instant::now(), &mut resumed);
        resumed.into_iter().for_each(|slot| self.state.resume(slot, flag::PAUSED_BY_HUB));
    }

    /// The other shard takes a batch.
    pub(super) fn take_elsewhere(&mut self) {
        let Ok(batch) = self.elsewhere.batches.try_recv() else { return };
        let mut start = 0;
        for part in &batch.parts {
            let mut bytes = &batch.bytes[start..part.end];
            start = part.end;
            let mut frames = 0;
            while let Some((_, payload, rest)) = parse(bytes) {
                let id = id_of(payload);
                let entry = self.state.hub.directory.find(0, &name(self.sent[id].room));
                assert_eq!(entry.map(|entry| entry.id), Some(part.room));
                self.heard_elsewhere.push(id);
                bytes = rest;
                frames += 1;
            }
            assert_eq!((bytes.len(), frames), (0, part.frames));
        }
    }

    /// The peer reads so much, and its session's socket takes more again.
    pub(super) fn read(&mut self, peer: usize, bytes: usize) {
        let Peer { stream, received, heard, .. } = &mut self.peers[peer];
        let mut buffer = vec![0; bytes];
        match stream.read(&mut buffer) {
            Ok(0) => heard.is_over = true,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        heard.take(received);
        let Peer { id, slot, .. } = self.peers[peer];
        if self.is_held(peer) && self.state.sessions[slot as usize].has(flag::BLOCKED) {
            assert_eq!(self.state.id(slot), id);
            self.state.sessions[slot as usize].clear(flag::BLOCKED);
            self.state.mark_touched(slot);
        }
    }

    /// Whether the peer's session still has its slot.
    pub(super) fn is_held(&self, peer: usize) -> bool {
        let Peer { id, slot, .. } = self.peers[peer];
        self.state.sessions.contains(slot as usize) && self.state.id(slot) == id
    }

    /// Lets everything go out that there is, and everybody read it.
    pub(super) fn settle(&mut self) {
        while self.state.has_to_flush()
            || !self.state.waiting.is_empty()
            || self.state.outgoing.is_blocked()
            || self.state.counters.outbox_bytes > 0
            || self.state.counters.paused > 0
        {
            self.flush(7);
            self.exchange();
            self.take_elsewhere();
            (0..self.peers.len()).for_each(|peer| self.read(peer, 1 << 20));
        }
        // What is in the mailbox, what is pending, and what every peer has still to read, its end included.
        for _ in 0..2 {
            self.exchange();
            self.take_elsewhere();
            (0..self.peers.len()).for_each(|peer| self.read(peer, 1 << 20));
        }
    }

    /// Sessions that are not read.
    pub(super) fn paused(&self) -> usize {
        self.state.counters.paused
    }
}

pub(super) fn has_members_elsewhere(room: usize) -> bool {
    room.is_multiple_of(2)
}

fn name(room: usize) -> String {
    format!("room {room}")
}

fn frame_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(Message::Text(text), &mut bytes);
    bytes
}
