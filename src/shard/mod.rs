//! The reactor: one thread, one poll, one listener, and every session that it was given.
//!
//! A turn polls, reads sessions and lets their handlers act, takes the mail, and flushes. Everything that a turn works
//! on is in [`state`]; its steps are one file each:
//! [`listener`] → [`mail`] → [`reading`] → [`actions`] → [`members`] → [`broadcast`] → [`flush`] → [`serve`] → [`output`] →
//! [`outbox`]. [`closing`] ends sessions, [`sweep`] is what time does to them, and [`stopping`] ends the shard.
//! [`presence`] says who is in which room, [`access`] what its sessions may do, and [`users`] looks for those of a user.
//! [`sealing`] is between sessions that speak TLS and their sockets.

mod access;
pub(crate) mod actions;
mod adopt;
mod broadcast;
mod budget;
pub(crate) mod chat;
mod closing;
pub(crate) mod counters;
mod flush;
pub(crate) mod listener;
mod mail;
mod members;
mod outbox;
mod output;
mod pace;
mod presence;
mod reading;
mod rests;
mod sealing;
pub(crate) mod seats;
mod serve;
pub(crate) mod service;
mod session;
pub(crate) mod state;
mod stopping;
mod sweep;
mod unacknowledged;
pub(crate) mod users;

pub(crate) use adopt::Adopt;

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use mio::{Events, Interest, Poll, Token};

use crate::http::Door;
use crate::hub::mailbox::Mailbox;
use crate::shard::budget::Budget;
use crate::shard::counters::Counters;
use crate::shard::flush::SERVED_MAX;
use crate::shard::listener::{Accepted, Listener};
use crate::shard::pace::WAIT;
use crate::shard::session::flag;
use crate::shard::state::{Parts, State};
use crate::shard::users::LOOKED_AT_PER_TURN;

/// The unit in which a shard measures what lasts seconds.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Ticks that make up `secs` seconds.
pub(crate) const fn ticks(secs: u64) -> u32 {
    (secs * 1000 / TICK.as_millis() as u64) as u32
}

const LISTENER: Token = Token(usize::MAX);
/// The token that every shard's waker is registered under.
pub(crate) const WAKER: Token = Token(usize::MAX - 1);

fn token(slot: u32) -> Token {
    Token(slot as usize)
}

/// Kernel events and connections that one turn takes.
const EVENTS_PER_TURN: usize = 1024;
const ACCEPTS_PER_TURN: usize = 64;

/// The one buffer that all sessions of a shard are read through.
const BUFFER_BYTES: usize = 64 * 1024;

/// One reactor, before and while it runs.
pub(crate) struct Shard {
    poll: Poll,
    listener: Option<Listener>,
    mailbox: Mailbox,
    door: Door,
    telemetry: Sender<Box<Counters>>,
    state: State,
    buffer: Box<[u8]>,
    began: Instant,
    /// When the server began to stop, if it did.
    stopping: Option<Instant>,
}

/// The sockets and channels of a shard.
pub(crate) struct Wiring {
    pub(crate) poll: Poll,
    pub(crate) listener: TcpListener,
    pub(crate) mailbox: Mailbox,
    pub(crate) door: Door,
    /// Takes a copy of the counters now and then; one that finds it full waits for the next time.
    pub(crate) telemetry: Sender<Box<Counters>>,
}

impl Shard {
    /// Puts a shard together and has its poll watch the listener.
    ///
    /// # Errors
    ///
    /// The listener could not be registered.
    pub(crate) fn new(wiring: Wiring, parts: Parts) -> io::Result<Self> {
        let Wiring { poll, listener, mailbox, door, telemetry } = wiring;
        let mut listener = mio::net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener: Some(Listener::new(listener)),
            mailbox,
            door,
            telemetry,
            state: State::new(parts),
            buffer: vec![0; BUFFER_BYTES].into(),
            began: Instant::now(),
            stopping: None,
        })
    }

    /// Runs until the server has stopped and every session is closed.
    ///
    /// # Errors
    ///
    /// The poll failed, which no load and no peer can bring about.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.is_done() {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => self.mailbox.disarm(),
            }
            self.turn(&events);
        }
        self.report();
        Ok(())
    }

    fn turn(&mut self, events: &Events) {
        let state = &mut self.state;
        state.now = Instant::now();
        for event in events {
            match event.token() {
                LISTENER => self.listener.iter_mut().for_each(Listener::wake),
                WAKER => {}
                Token(slot) => state.note(slot as u32, event),
            }
        }
        self.state.release_held();
        self.state.end_rests();
        self.accept();
        self.make_room();
        self.read();
        self.take_mail();
        self.state.search(LOOKED_AT_PER_TURN);
        self.state.reap();
        self.state.tell_presence();
        self.state.answer_joins();
        self.state.make_reads();
        self.state.submit_drafts();
        // Before the flush, so that the other shards write while this one does.
        self.send_batches();
        self.state.flush_step(SERVED_MAX);
        self.state.reap();
        self.keep_time();
        let turn = self.state.now.elapsed();
        self.state.counters.turns += 1;
        self.state.counters.busy += turn;
        self.state.counters.turn.record(turn);
    }

    /// How long the poll may wait: not at all while there is work, else until mail, readiness or the next tick.
    fn timeout(&self) -> Duration {
        let now = Instant::now();
        let accepts = self.listener.as_ref().is_some_and(|listener| listener.is_due(now));
        let has_work = self.state.has_to_read() || self.state.has_to_flush();
        let searches = !self.state.searches.is_empty();
        if accepts || has_work || searches || self.state.has_to_tell() {
            return Duration::ZERO;
        }
        self.mailbox.arm();
        if self.has_mail() || self.has_room_again() {
            return Duration::ZERO;
        }
        let next_tick = TICK * (self.state.tick + 1);
        let until_tick = next_tick.saturating_sub(now - self.began);
        let backs_off = self.listener.as_ref().and_then(|listener| listener.backs_off_for(now));
        let waits = (!self.state.waiting.is_empty()).then_some(WAIT);
        let reads = self.state.chat.as_ref().and_then(|chat| chat.reads.due(now));
        let reads = reads.map(|due| due.saturating_duration_since(now));
        let rests = self.state.next_rest_ends();
        let rests = rests.map(|until| until.saturating_duration_since(now));
        [backs_off, waits, reads, rests].into_iter().flatten().fold(until_tick, Duration::min)
    }

    fn accept(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        let now = self.state.now;
        for _ in 0..ACCEPTS_PER_TURN {
            listener.hold(self.door.is_full());
            if !listener.is_due(now) {
                break;
            }
            match listener.accept(now) {
                Accepted::Connection(stream, peer) => {
                    self.state.counters.accepted += 1;
                    self.door.knock(stream.into(), peer);
                }
                Accepted::Drained => break,
                Accepted::Failed(error) => self.state.counters.accept_errors[error as usize] += 1,
            }
        }
    }

    /// Whether somebody waits for the door, and it is full no more: it may have said so before anybody listened.
    fn has_room_again(&self) -> bool {
        self.listener.as_ref().is_some_and(Listener::holds_somebody) && !self.door.is_full()
    }

    /// While the door is full, one that has sent nothing yet makes room for who waits; the door says when it has.
    fn make_room(&mut self) {
        if self.listener.as_ref().is_some_and(Listener::holds_somebody) {
            self.door.evict();
        }
    }

    fn read(&mut self) {
        let mut budget = Budget::reading(&self.state);
        while !budget.is_spent(&self.state) {
            let Some(slot) = self.state.ready.pop_front() else { break };
            budget.take(self.read_once(slot));
        }
        let mut budget = Budget::leaving(&self.state);
        while !budget.is_spent(&self.state) {
            let Some(slot) = self.state.leaving.pop_front() else { break };
            budget.take(self.read_once(slot));
        }
    }

    fn read_once(&mut self, slot: u32) -> usize {
        let bytes = self.state.read(slot, &mut self.buffer);
        self.state.reap();
        bytes
    }

    fn send_batches(&mut self) {
        let mut resumed = Vec::new();
        let sent = self.state.outgoing.send(self.state.now, &mut resumed);
        self.state.counters.batches_out += sent.sent;
        self.state.counters.mailbox_full += sent.full;
        for slot in resumed {
            self.state.resume(slot, flag::PAUSED_BY_HUB);
        }
    }

    fn keep_time(&mut self) {
        let tick = ((self.state.now - self.began).as_millis() / TICK.as_millis()) as u32;
        if tick == self.state.tick {
            return;
        }
        self.state.tick = tick;
        self.state.sweep();
        self.state.reap();
        self.state.shrink();
        self.close_listener();
        self.report();
    }

    /// Hands the telemetry a copy of the counters. Totals are kept, so one that is not taken is made up for.
    fn report(&mut self) {
        let counters = &mut self.state.counters;
        counters.rooms = self.state.rooms.len();
        counters.tls_sessions = self.state.channels.len();
        counters.memberships = self.state.rooms.memberships;
        counters.mailbox_batches = self.mailbox.batches.len();
        if let Some(chat) = &self.state.chat {
            counters.log_drafts = chat.in_flight();
            counters.log_reads = chat.reads.pending();
        }
        if !self.telemetry.is_full() {
            let _ = self.telemetry.try_send(Box::new(counters.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
