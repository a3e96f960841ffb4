//! The senders of one thread: whose turn it is, what they write, how late they were.

use std::sync::Arc;

use slab::Slab;

use super::board::Board;
use super::session::Session;
use super::timetable::{Times, Timetable};
use crate::latency::Latency;
use crate::message::Header;
use crate::plan::{Class, Pace, Plan, Seat};

/// All senders that a thread drives; they keep one pace.
#[derive(Debug)]
pub(crate) struct Outbound {
    plan: Arc<Plan>,
    board: Arc<Board>,
    class: Class,
    pace: Pace,
    list: Vec<Sender>,
    /// Set while messages are to be sent.
    round: Option<Round>,
    /// Where a message is composed before it is masked and framed.
    scratch: Vec<u8>,
    pub(crate) sent: Sent,
}

/// What a thread's senders sent in the whole run.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Messages handed to a socket.
    pub(crate) messages: u64,
    /// Messages of the timetable that were not: the server took no more of them, or this thread was too late.
    pub(crate) withheld: u64,
    /// How long after it was due a message was composed: the generator's own share of the latency, and the server's
    /// where it stopped reading.
    pub(crate) lag: Latency,
    /// Deliveries that the messages make if none is lost.
    pub(crate) deliveries: u64,
}

impl Sent {
    /// Before the first message.
    pub(crate) fn nothing() -> Self {
        Self { messages: 0, withheld: 0, lag: Latency::new(), deliveries: 0 }
    }

    /// Takes in what another thread sent.
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.withheld += other.withheld;
        self.lag.add(&other.lag);
        self.deliveries += other.deliveries;
    }
}

#[derive(Debug)]
struct Sender {
    /// Key of its session.
    session: usize,
    seat: Seat,
    /// Its number in the run.
    number: usize,
    /// Its number among the senders of its class, by which the timetable knows it.
    position: usize,
    /// Messages sent.
    next: u32,
    /// Whether its connection is still there.
    present: bool,
}

/// Progress through the timetable, or none where the window paces.
#[derive(Debug)]
struct Round {
    times: Times,
    timetable: Option<Timetable>,
    /// Whether the start has come.
    begun: bool,
    /// Index into the list of the sender whose message is due next, and the number of that message.
    turn: usize,
    seq: u64,
}

impl Outbound {
    /// The senders of that thread, none of them seated yet.
    pub(crate) fn new(plan: Arc<Plan>, board: Arc<Board>, worker: usize) -> Self {
        let (class, pace) = (plan.class_of(worker), plan.pace_of(worker));
        let sent = Sent::nothing();
        let scratch = Vec::with_capacity(plan.codec.size());
        Self { plan, board, class, pace, list: Vec::new(), round: None, scratch, sent }
    }

    /// Adds the sender of that seat, and says at which position.
    pub(crate) fn seat(&mut self, seat: Seat, session: usize) -> usize {
        let number = self.plan.room(seat).first_sender + seat.place as usize;
        let before = match self.class {
            Class::Main => 0,
            Class::Quiet => self.plan.senders_of(Class::Main),
        };
        let position = number - before;
        self.list.push(Sender { session, seat, number, position, next: 0, present: true });
        self.list.len() - 1
    }

    /// Begins to send. The senders' sessions are told their new positions.
    pub(crate) fn start(&mut self, times: Times, sessions: &mut Slab<Session>) {
        self.list.sort_by_key(|sender| sender.position);
        for (index, sender) in self.list.iter().enumerate() {
            if let Some(session) = sessions.get_mut(sender.session).filter(|_| sender.present) {
                session.sender = Some(index);
            }
        }
        let timetable = match self.pace {
            Pace::Rate(rate) => Some(Timetable::new(times, rate, self.plan.senders_of(self.class))),
            Pace::Window(_) => None,
        };
        self.round = Some(Round { times, timetable, begun: false, turn: 0, seq: 0 });
    }

    /// When the next message is due; `None` where nothing is, or where from the start on the window decides.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        let round = self.round.as_ref()?;
        let sender = self.list.get(round.turn)?;
        match round.timetable {
            Some(timetable) => timetable.due_ns(sender.position, round.seq),
            None => (!round.begun).then_some(round.times.start_ns),
        }
    }

    /// Sends what is due by the timetable at `now`, for at most so many turns of senders.
    pub(crate) fn send_due(&mut self, now: u64, turns: usize, sessions: &mut Slab<Session>) {
        for _ in 0..turns {
            if self.next_due_ns().is_none_or(|due| due > now) {
                return;
            }
            let Some(round) = &mut self.round else { return };
            round.begun = true;
            if round.timetable.is_none() {
                return self.send_allowed(now, sessions);
            }
            let index = round.turn;
            round.turn += 1;
            if round.turn == self.list.len() {
                round.turn = 0;
                round.seq += 1;
            }
            self.send_from(index, now, sessions);
        }
    }

    /// Sends everything that the window allows, once the start has come.
    pub(crate) fn send_allowed(&mut self, now: u64, sessions: &mut Slab<Session>) {
        let windowed = |round: &Round| round.begun && round.timetable.is_none();
        if self.round.as_ref().is_some_and(windowed) {
            for index in 0..self.list.len() {
                self.send_from(index, now, sessions);
            }
        }
    }

    /// Sends what one sender may send now, as far as its socket takes it.
    pub(crate) fn send_from(&mut self, index: usize, now: u64, sessions: &mut Slab<Session>) {
        let Some(session) = sessions.get_mut(self.list[index].session) else { return };
        loop {
            let before = self.list[index].next;
            while session.wire.has_room()
                && let Some(due_ns) = self.due_ns(&self.list[index], now)
            {
                let sender = &mut self.list[index];
                let Seat { room, place } = sender.seat;
                let header = Header { room, sender: place, seq: sender.next, due_ns };
                sender.next += 1;
                self.plan.codec.compose(&header, &mut self.scratch);
                session.wire.queue(self.plan.codec.opcode(), &mut self.scratch);
                self.sent.lag.record(now - due_ns);
            }
            // A failed write shows as an event of the socket, and is counted there.
            let flushed = session.wire.flush();
            let idle = self.list[index].next == before;
            if idle || flushed.is_err() || !session.wire.has_room() {
                return;
            }
        }
    }

    /// When the message that a sender may send now was due; `None` if it may send none.
    fn due_ns(&self, sender: &Sender, now: u64) -> Option<u64> {
        let round = self.round.as_ref().filter(|round| round.begun && sender.present)?;
        if let Some(timetable) = round.timetable {
            let due = timetable.due_ns(sender.position, u64::from(sender.next))?;
            return (due <= now).then_some(due);
        }
        let Pace::Window(size) = self.pace else { return None };
        let passed = self.board.passed_by_all(sender.number);
        let allowed = sender.next < passed.saturating_add(size) && now < round.times.stop_ns;
        allowed.then_some(now)
    }

    /// Ends the sending: puts on the board how many messages each sender sent.
    pub(crate) fn stop(&mut self) {
        let Some(round) = self.round.take() else { return };
        for sender in &self.list {
            let audience = self.plan.audience(self.plan.room(sender.seat));
            self.sent.messages += u64::from(sender.next);
            self.sent.deliveries += u64::from(sender.next) * audience;
            let planned = round.timetable.map_or(0, |timetable| timetable.planned(sender.position));
            self.sent.withheld += planned.saturating_sub(u64::from(sender.next));
            // What was still under way when a sender's connection broke may or may not come.
            let owed = if sender.present { sender.next } else { 0 };
            self.board.set_sent(sender.number, owed);
        }
    }

    /// A sender's connection is gone.
    pub(crate) fn dismiss(&mut self, index: usize) {
        let sender = &mut self.list[index];
        sender.present = false;
        self.board.set_sent(sender.number, 0);
    }
}
