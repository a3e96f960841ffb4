//! A shard with chat sessions and a log whose answers the test gives, when it wants to.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use serde_json::Value;
use socket2::SockRef;

use crate::gate::access::Access;
use crate::gate::guests::Guests;
use crate::http::Connections;
use crate::hub::Hub;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Capacity, Control, Mailbox, mailbox};
use crate::hub::orders::Order;
use crate::log::counters::Counters;
use crate::log::engine::{Keeping, Rule, Window};
use crate::log::handle::{self, Running};
use crate::log::memory::{self, Memory};
use crate::log::writer::{Engines, system_clock};
use crate::log::{Delivery, Finding, Found, Outlet, Page, Part, Seq, Unreadable};
use crate::protocol::chat::Identity;
use crate::protocol::chat::logged_frame::frames;
use crate::protocol::chat::reply::Limits;
use crate::protocol::{Message, frame};
use crate::rooms::conversation::{View, inbox};
use crate::rooms::rules::{PresenceMode, RoomRule, RoomRules};
use crate::shard::WAKER;
use crate::shard::chat::Settings;
use crate::shard::chat::reads::Rates;
use crate::shard::chat::session::{ChatSession, Stage};
use crate::shard::counters::Drop;
use crate::shard::service::Service;
use crate::shard::session::{Session, flag};
use crate::shard::state::{Bounds, Parts, State};

/// Rooms that a session may be in.
pub(super) const ROOMS_MAX: usize = 3;

/// What a session's socket takes before it is full.
const SOCKET_BYTES: usize = 4 * 1024;

/// Nobody is told what the log really found: the tests say what it is to have found.
struct Nowhere;

impl Outlet for Nowhere {
    fn shards(&self, _view: &View) -> Vec<usize> {
        Vec::new()
    }

    fn deliver(&self, _shard: usize, _delivery: Delivery) -> Result<(), Delivery> {
        Ok(())
    }

    fn found(&self, _shard: usize, _found: Found) {}

    fn has_room(&self, _shard: usize) {}
}

/// One shard, alone.
pub(super) struct Hall {
    pub(super) state: State,
    peers: Vec<(u32, UnixStream, Vec<u8>)>,
    /// How far its clock is ahead.
    ahead: Duration,
    /// Only kept.
    _log: Running,
    _poll: Poll,
    mailbox: Mailbox,
}

impl Hall {
    pub(super) fn new() -> Self {
        let capacity = Capacity { adoptions: 1, batches: 1, deliveries: 1, found: 64, requests: 1 };
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), WAKER).expect("a waker");
        let (port, mailbox) = mailbox(capacity, waker);
        let ports = [port].into();
        let hub = Arc::new(Hub::new(Directory::new(1), ports));
        let log = log();
        let bounds = Bounds {
            message_bytes_max: 1 << 20,
            outbox_bytes_max: 64 * 1024,
            rooms_per_session_max: ROOMS_MAX,
            rooms_max: usize::MAX,
            room_members_max: usize::MAX,
            rates: crate::shard::seats::Rates::default(),
            message_timeout_ticks: 1000,
            heartbeat_ticks: 1000,
            heartbeat_timeout_ticks: 2000,
            close_timeout_ticks: 1000,
            expiry_warning_ms: 60_000,
        };
        let state = State::new(Parts {
            shard: 0,
            hub,
            routes: Rc::new([Service::Chat]),
            chat: Some(settings(&log)),
            authorize: None,
            bounds,
            connections: Arc::new(Connections::new(1000)),
        });
        Self { state, peers: Vec::new(), ahead: Duration::ZERO, _log: log, _poll: poll, mailbox }
    }

    /// One that reads the log no faster than that.
    pub(super) fn with_rates(rates: Rates) -> Self {
        let mut hall = Self::new();
        hall.state.chat.as_mut().expect("a chat").settings.rates = rates;
        hall
    }

    /// Lets time pass, as the shard sees it.
    pub(super) fn pass(&mut self, time: Duration) {
        self.ahead += time;
    }

    /// A session that was welcomed; its number among the peers.
    pub(super) fn connect(&mut self, user: &str, is_guest: bool) -> usize {
        let identity = Identity { user: user.into(), name: user.into(), is_guest };
        let peer = self.connect_as(Access::full(identity));
        let slot = self.slot(peer);
        let chat = self.state.sessions[slot as usize].chat.as_mut();
        chat.expect("a chat").is_welcome = true;
        if !is_guest {
            self.state.join_beyond(slot, &inbox(user));
        }
        peer
    }

    /// One that has shown at its handshake who it is, and said nothing yet.
    pub(super) fn connect_as(&mut self, access: Access) -> usize {
        let peer = self.connect_silent();
        self.state.set_access(self.slot(peer), Arc::new(access));
        peer
    }

    /// One that has shown and said nothing.
    pub(super) fn connect_silent(&mut self) -> usize {
        let (server, client) = UnixStream::pair().expect("a pair");
        for socket in [&server, &client] {
            socket.set_nonblocking(true).expect("non-blocking");
        }
        SockRef::from(&server).set_send_buffer_size(SOCKET_BYTES).expect("a small buffer");
        let stream = std::net::TcpStream::from(OwnedFd::from(server));
        let chat = ChatSession::default();
        let entry = self.state.sessions.vacant_entry();
        let slot = entry.key() as u32;
        self.state.generation += 1;
        let stream = mio::net::TcpStream::from_std(stream);
        let session = Session::new(stream, self.state.generation, 0, 0);
        entry.insert(Session { chat: Some(Box::new(chat)), ..session });
        self.state.counters.routes[0].sessions += 1;
        self.peers.push((slot, client, Vec::new()));
        self.peers.len() - 1
    }

    pub(super) fn slot(&self, peer: usize) -> u32 {
        self.peers[peer].0
    }

    /// The peer says something.
    pub(super) fn say(&mut self, peer: usize, text: &str) {
        self.state.chat_message(self.peers[peer].0, Message::Text(text));
    }

    /// Tells who comes to the rooms and who goes.
    pub(super) fn with_presence() -> Self {
        let mut hall = Self::new();
        let rules = RoomRules::new(&[RoomRule { pattern: "*".into(), ..RoomRule::default() }], 50);
        hall.state.chat.as_mut().expect("a chat").settings.rules = Arc::new(rules);
        hall
    }

    /// The hub, for what is to be done about users.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.state.hub
    }

    /// The next order that the mailbox has.
    pub(super) fn next_order(&mut self) -> Option<Arc<Order>> {
        match self.mailbox.control.try_recv() {
            Ok(Control::Order(order)) => Some(order),
            _ => None,
        }
    }

    /// Carries out what the mailbox has of orders.
    pub(super) fn take_orders(&mut self) {
        while let Some(order) = self.next_order() {
            self.state.take_order(order);
        }
        while !self.state.searches.is_empty() {
            self.state.search(2);
        }
        self.state.reap();
    }

    /// The frames that the peer has been sent, JSON and Close, the code of the Close in place of its text.
    pub(super) fn ended(&mut self, peer: usize) -> (Vec<Value>, Option<u16>) {
        let (_, stream, received) = &mut self.peers[peer];
        let mut buffer = vec![0; 1 << 20];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            received.extend_from_slice(&buffer[..read]);
        }
        let (mut heard, mut code) = (Vec::new(), None);
        for frame in frames(received) {
            let bytes = &received[frame];
            let payload = &bytes[bytes.len() - payload_len(bytes)..];
            match bytes[0] {
                0x88 => code = Some(u16::from_be_bytes([payload[0], payload[1]])),
                _ => heard.push(serde_json::from_slice(payload).expect("JSON")),
            }
        }
        received.clear();
        (heard, code)
    }

    /// The peer is gone.
    pub(super) fn lose(&mut self, peer: usize) {
        self.state.lose(self.peers[peer].0);
        self.state.reap();
    }

    /// A turn but for its reading.
    pub(super) fn turn(&mut self) {
        self.state.now = Instant::now() + self.ahead;
        self.state.reap();
        self.state.tell_presence();
        self.state.answer_joins();
        self.state.make_reads();
        self.state.submit_drafts();
        self.state.flush_step(256);
        self.state.reap();
    }

    /// Turns until nothing is left to do.
    pub(super) fn rest(&mut self) {
        for _ in 0..10 {
            self.turn();
        }
    }

    /// The reads that were asked for so far.
    pub(super) fn asked(&self) -> u64 {
        self.state.chat.as_ref().expect("a chat").reads.asked()
    }

    /// The room that the peer is being read for, to catch up.
    pub(super) fn reading(&self, peer: usize) -> Option<&str> {
        let chat = self.state.sessions[self.slot(peer) as usize].chat.as_ref()?;
        let cursor = chat.cursors.iter().find(|cursor| matches!(cursor.stage, Stage::Reading))?;
        self.state.rooms.get(cursor.room).chat.as_ref().map(|chat| chat.view.name())
    }

    /// The answer to one of the reads, by their number from 1 on.
    pub(super) fn found(&mut self, ticket: u64, page: Result<Page, Unreadable>) {
        self.state.now = Instant::now() + self.ahead;
        self.state.take_found(Found { ticket, result: page.map(Finding::Page) });
    }

    /// The same for one that asked for conversations.
    pub(super) fn found_conversations(&mut self, ticket: u64, list: &[(Arc<str>, Seq)]) {
        let finding = Finding::Conversations { list: list.to_vec(), more: false };
        self.state.take_found(Found { ticket, result: Ok(finding) });
    }

    /// Messages come from the log.
    pub(super) fn deliver(&mut self, view: &View, after: Seq, seqs: &[Seq]) {
        let page = page(view, after, seqs);
        let bytes = crate::shard::chat::join::page_frames(&page);
        let part = Part {
            view: view.clone(),
            end: bytes.len(),
            frames: seqs.len() as u32,
            after,
            last: page.seq,
        };
        self.state.take_delivery(Delivery { bytes, parts: vec![part], ..Delivery::default() });
    }

    /// Everything that the peer has been sent and not looked at.
    pub(super) fn heard(&mut self, peer: usize) -> Vec<Value> {
        let (slot, stream, received) = &mut self.peers[peer];
        let mut buffer = vec![0; 1 << 20];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => received.extend_from_slice(&buffer[..read]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    let session = self.state.sessions.get_mut(*slot as usize);
                    let Some(session) = session.filter(|session| session.has(flag::BLOCKED)) else {
                        break;
                    };
                    session.clear(flag::BLOCKED);
                    self.state.flush_outbox(*slot);
                }
            }
        }
        let texts = frames(received).map(|frame| {
            let bytes = &received[frame];
            let payload = bytes.len() - payload_len(bytes);
            serde_json::from_slice(&bytes[payload..]).expect("JSON")
        });
        let heard = texts.collect();
        received.clear();
        heard
    }

    pub(super) fn signals_dropped(&self) -> u64 {
        self.state.counters.dropped[Drop::Signal as usize]
    }
}

fn payload_len(frame: &[u8]) -> usize {
    match frame[1] {
        126 => usize::from(u16::from_be_bytes([frame[2], frame[3]])),
        short => usize::from(short),
    }
}

fn log() -> Running {
    let counters = Arc::new(Counters::default());
    let options = memory::Options { window: Window(1000), seq_step: 1, bytes_max: 1 << 20 };
    let memory = || Box::new(Memory::new(options, Arc::clone(&counters)).expect("random numbers"));
    let rule = Rule { keeping: Keeping::Memory, age_max: None, messages_max: None };
    let parts = handle::Parts {
        engines: Engines { durable: memory(), memory: memory() },
        rules: Arc::new(move |_| rule),
        outlet: Arc::new(Nowhere),
        clock: system_clock(),
        drafts_max: 100,
        reads_max: 64,
        readers: 1,
        cursor_age_max: None,
        on_panic: Arc::new(|_| {}),
        counters: Arc::clone(&counters),
    };
    Running::start(parts).expect("threads")
}

fn settings(log: &Running) -> Settings {
    let directory = tempfile::tempdir().expect("a directory");
    let room = RoomRule { pattern: "*".into(), presence: PresenceMode::Off, ..RoomRule::default() };
    Settings {
        route: 0,
        log: log.log(),
        rules: Arc::new(RoomRules::new(&[room], 50)),
        guests: Arc::new(Guests::open(directory.path()).expect("a key")),
        ask: None,
        screening: None,
        is_open: true,
        limits: Limits { message_bytes_max: 0, history_messages_max: 0, rooms_per_session_max: 0 },
        heartbeat_secs: 25,
        hello_ticks: 1000,
        drafts_max: 100,
        rates: Rates { session: 1 << 40, shard: 1 << 40 },
        presence_members_max: 500,
    }
}

/// The messages with these positions, where the last one is the last there is.
pub(super) fn page(view: &View, after: Seq, seqs: &[Seq]) -> Page {
    let (mut bytes, mut ends, mut prev) = (Vec::new(), Vec::new(), after);
    for &seq in seqs {
        let (field, name) = view.field();
        let text = format!(r#"{{"type":"message","seq":{seq},"prev":{prev},"{field}":"{name}"}}"#);
        bytes.extend_from_slice(text.as_bytes());
        ends.push((seq, bytes.len()));
        prev = seq;
    }
    Page { epoch: "e".into(), seq: prev, reached: prev, bytes, ends, more: false, gap: None }
}

/// A frame of that text.
pub(super) fn frame_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(Message::Text(text), &mut bytes);
    bytes
}

/// What of it are messages: their conversations and positions.
pub(super) fn messages(heard: &[Value]) -> Vec<(String, Seq)> {
    let messages = heard.iter().filter(|message| message["type"] == "message");
    let name = |message: &Value| {
        let name = message["room"].as_str().or(message["with"].as_str()).expect("a conversation");
        (name.to_owned(), message["seq"].as_u64().expect("a position"))
    };
    messages.map(name).collect()
}
