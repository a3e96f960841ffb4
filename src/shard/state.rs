//! What a shard owns and every part of its turn works on.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;
use slab::Slab;

use crate::gate::access::Access;
use crate::http::Connections;
use crate::hub::Hub;
use crate::hub::directory::RoomEntry;
use crate::hub::outgoing::Outgoing;
use crate::log::Millis;
use crate::log::writer::system_time;
use crate::protocol::{CloseReason, Request, SessionId};
use crate::rooms::presence::Presence;
use crate::shard::chat::{Chat, Settings};
use crate::shard::counters::{Counters, RouteCounters};
use crate::shard::members::Rooms;
use crate::shard::presence::COUNT_SECS;
use crate::shard::rests::Rest;
use crate::shard::sealing::Channels;
use crate::shard::seats::{Rates, Seats};
use crate::shard::service::Service;
use crate::shard::session::{Session, flag};
use crate::shard::ticks;
use crate::shard::users::Searches;

/// The slab of sessions is given back when it holds this many slots more than it needs.
const SPARE_SESSIONS_MAX: usize = 4096;

/// The bounds that a shard enforces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) message_bytes_max: usize,
    pub(crate) outbox_bytes_max: usize,
    pub(crate) rooms_per_session_max: usize,
    pub(crate) rooms_max: usize,
    pub(crate) room_members_max: usize,
    pub(crate) rates: Rates,
    pub(crate) message_timeout_ticks: u32,
    pub(crate) heartbeat_ticks: u32,
    pub(crate) heartbeat_timeout_ticks: u32,
    pub(crate) close_timeout_ticks: u32,
    /// How long before its end a session is told that what it was let in with ends.
    pub(crate) expiry_warning_ms: u64,
}

/// Sessions, rooms, and what is to be done about them in this turn.
pub(crate) struct State {
    /// The shard's number.
    pub(crate) shard: usize,
    pub(crate) hub: Arc<Hub>,
    /// This shard's own copy, so that a message touches no reference count that others touch.
    pub(crate) routes: Rc<[Service]>,
    /// Where the chat is served.
    pub(crate) chat: Option<Box<Chat>>,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) bounds: Bounds,
    pub(crate) sessions: Slab<Session>,
    /// Of those of them that speak TLS.
    pub(crate) channels: Channels,
    pub(crate) rooms: Rooms,
    pub(crate) outgoing: Outgoing,
    /// Who is in which room, here and, for some rooms, anywhere.
    pub(crate) presence: Presence,
    /// Sessions that may have something to read.
    pub(crate) ready: VecDeque<u32>,
    /// Those of them whose peer's end was seen coming: they are not kept waiting for, nor do they keep others waiting.
    pub(crate) leaving: VecDeque<u32>,
    /// Sessions with output of their own.
    pub(crate) touched: VecDeque<u32>,
    /// Rooms that have something to write, each of them once in one of the three: those that were not looked at
    /// since they got it, and those whose flush is large or has to go on.
    pub(crate) fresh: VecDeque<u32>,
    pub(crate) large: VecDeque<u32>,
    /// Large ones whose flush waits for more frames.
    pub(crate) waiting: VecDeque<u32>,
    /// Rooms for which so much has gathered that the mailbox has to wait.
    pub(crate) full: usize,
    /// Sessions that are not read until other shards have caught up with a room, by the room's id.
    pub(crate) held: HashMap<u64, Held>,
    /// What is kept of those sessions that are bounded by address, user or rate.
    pub(crate) seats: Seats,
    /// Sessions that are not read for a while, the first to be read again first.
    pub(crate) resting: BinaryHeap<Rest>,
    /// Sessions to be ended at the next safe point, and why.
    pub(crate) doomed: Vec<(u32, CloseReason)>,
    pub(crate) counters: Counters,
    /// Events handled and messages gathered so far: what the budgets of reading are counted in.
    pub(crate) steps: u64,
    /// Connections of the whole node, for its bound on them.
    pub(crate) connections: Arc<Connections>,
    /// When this turn began; the one clock reading that it works by.
    pub(crate) now: Instant,
    /// The same in the units of [`TICK`](crate::shard::TICK), since the shard began.
    pub(crate) tick: u32,
    /// Parts of the slab that were looked at for what time does to sessions.
    pub(crate) swept: usize,
    pub(crate) generation: u32,
    /// Whose each session is, for the line at its end: only while sessions are logged.
    pub(crate) peers: HashMap<u32, SocketAddr>,
    /// What sessions that are none of the chat's were let in with, by slot: of those that were asked.
    pub(crate) accesses: HashMap<u32, Arc<Access>>,
    /// Users who may say nothing, and until when.
    pub(crate) mutes: HashMap<Arc<str>, Millis>,
    pub(crate) searches: Searches,
    /// What time it is, by which tokens expire.
    pub(crate) clock: fn() -> Millis,
    /// Nobody is told of the leaving of others any more.
    pub(crate) is_stopping: bool,
    /// Where a frame is put together before it is copied to where it belongs.
    pub(crate) scratch: Vec<u8>,
}

/// A room that other shards are behind with, and who waits for that here, by slot.
pub(crate) struct Held {
    pub(crate) entry: Arc<RoomEntry>,
    pub(crate) sessions: Vec<u32>,
}

/// Says who a handshake's request comes from, and what they may do; `None` where that is not known.
pub(crate) type Authorize = Arc<dyn Fn(&Request) -> Option<Arc<Access>> + Send + Sync>;

/// What a shard is made from, apart from its sockets.
pub(crate) struct Parts {
    pub(crate) shard: usize,
    pub(crate) hub: Arc<Hub>,
    pub(crate) routes: Rc<[Service]>,
    pub(crate) chat: Option<Settings>,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) bounds: Bounds,
    pub(crate) connections: Arc<Connections>,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { shard, hub, routes, chat, authorize, bounds, connections } = parts;
        let counters = Counters {
            routes: routes.iter().map(|_| RouteCounters::default()).collect(),
            ..Counters::default()
        };
        Self {
            shard,
            outgoing: Outgoing::new(shard, hub.ports.clone()),
            rooms: Rooms::new(routes.len()),
            presence: Presence::new(shard, hub.ports.len(), ticks(COUNT_SECS)),
            hub,
            routes,
            chat: chat.map(|settings| Box::new(Chat::new(settings))),
            authorize,
            bounds,
            sessions: Slab::new(),
            channels: Channels::default(),
            ready: VecDeque::new(),
            leaving: VecDeque::new(),
            touched: VecDeque::new(),
            fresh: VecDeque::new(),
            large: VecDeque::new(),
            waiting: VecDeque::new(),
            full: 0,
            held: HashMap::new(),
            seats: Seats::new(Instant::now()),
            resting: BinaryHeap::new(),
            doomed: Vec::new(),
            counters,
            steps: 0,
            connections,
            now: Instant::now(),
            tick: 0,
            swept: 0,
            generation: 0,
            peers: HashMap::new(),
            accesses: HashMap::new(),
            mutes: HashMap::new(),
            searches: Searches::default(),
            clock: system_time,
            is_stopping: false,
            scratch: Vec::new(),
        }
    }

    /// The id of the session in `slot`.
    pub(crate) fn id(&self, slot: u32) -> SessionId {
        let shard = u8::try_from(self.shard).unwrap_or(u8::MAX);
        SessionId::new(shard, slot, self.sessions[slot as usize].generation)
    }

    /// The slot of a session that is still open.
    pub(crate) fn slot(&self, id: SessionId) -> Option<u32> {
        let slot = id.slot();
        let session = self.sessions.get(slot)?;
        let slot = u32::try_from(slot).ok()?;
        (self.id(slot) == id && !session.has(flag::CLOSING)).then_some(slot)
    }

    /// Has the session read in this turn or the next one.
    pub(crate) fn mark_ready(&mut self, slot: u32) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        if !session.has(flag::READY) {
            session.set(flag::READY);
            let list = match session.has(flag::HUNG_UP) {
                true => &mut self.leaving,
                false => &mut self.ready,
            };
            list.push_back(slot);
        }
    }

    /// Whether another turn has something to read.
    pub(crate) fn has_to_read(&self) -> bool {
        !self.ready.is_empty() || !self.leaving.is_empty()
    }

    /// Has the session's own output flushed at the end of this turn.
    pub(crate) fn mark_touched(&mut self, slot: u32) {
        let session = &mut self.sessions[slot as usize];
        if !session.has(flag::TOUCHED) {
            session.set(flag::TOUCHED);
            self.touched.push_back(slot);
        }
    }

    /// Stops reading the session for one of the reasons in [`flag::PAUSED`].
    pub(crate) fn pause(&mut self, slot: u32, why: u32) {
        let session = &mut self.sessions[slot as usize];
        if !session.has(flag::PAUSED) {
            self.counters.paused += 1;
            self.counters.pauses += 1;
        }
        session.set(why);
    }

    /// Reads the session again, unless there is another reason not to.
    pub(crate) fn resume(&mut self, slot: u32, why: u32) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        if !session.has(why) {
            return;
        }
        session.clear(why);
        if !session.has(flag::PAUSED) {
            self.counters.paused -= 1;
            self.mark_ready(slot);
        }
    }

    /// Ends the session as soon as nothing is in the middle of something; the first reason counts.
    pub(crate) fn doom(&mut self, slot: u32, reason: CloseReason) {
        let session = &mut self.sessions[slot as usize];
        if !session.has(flag::DOOMED | flag::CLOSING) {
            session.set(flag::DOOMED);
            self.doomed.push((slot, reason));
        }
    }

    /// Logs why a session's socket failed; the session is lost.
    pub(crate) fn note_failure(&self, slot: u32, error: &io::Error) {
        tracing::debug!(session = %self.id(slot), %error, "socket failed");
    }

    /// Takes what the kernel said of a session's socket.
    pub(crate) fn note(&mut self, slot: u32, event: &Event) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        if event.is_writable() && session.has(flag::BLOCKED) {
            session.clear(flag::BLOCKED);
            self.mark_touched(slot);
        }
        let is_over = event.is_read_closed() || event.is_error();
        let session = &mut self.sessions[slot as usize];
        if is_over {
            session.set(flag::HUNG_UP);
        }
        if is_over || event.is_readable() {
            self.mark_ready(slot);
        }
    }

    /// Gives memory back that a crowd left behind.
    pub(crate) fn shrink(&mut self) {
        self.rooms.shrink();
        self.presence.shrink();
        if self.accesses.capacity() > 4 * self.accesses.len() + SPARE_SESSIONS_MAX {
            self.accesses.shrink_to_fit();
        }
        self.channels.shrink();
        if self.sessions.capacity() > 4 * self.sessions.len() + SPARE_SESSIONS_MAX {
            self.sessions.shrink_to_fit();
        }
        self.seats.shrink(self.sessions.capacity());
    }
}
