//! The senders of one thread: whose turn it is, what they write, how late they were.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::log::Sent;
use super::plan::Plan;
use super::session::{Session, State};
use crate::clock::NANOS_PER_SEC;
use crate::plan::Pace;
use crate::worker::timetable::{Times, Timetable};

/// When to look again at a sender whose socket takes no more.
const RETRY_NS: u64 = NANOS_PER_SEC / 1_000;

/// Messages that may go out in one turn. A thread that cannot keep up is late with reading and sending alike.
const SENDS_PER_TURN: usize = 256;

#[derive(Debug)]
pub(super) struct Outbound {
    plan: Arc<Plan>,
    /// Set while messages are to be sent.
    round: Option<Round>,
    /// Where a body is composed.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Round {
    times: Times,
    timetable: Option<Timetable>,
    /// When to look at which session: one entry for each sender. By the timetable, or at the start for the window.
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Outbound {
    pub(super) const fn new(plan: Arc<Plan>) -> Self {
        Self { plan, round: None, scratch: Vec::new() }
    }

    /// Begins to send.
    pub(super) fn start(&mut self, times: Times, sessions: &[Session]) {
        let timetable = match self.plan.pace {
            Pace::Rate(rate) => Some(Timetable::new(times, rate, self.plan.senders)),
            Pace::Window(_) => None,
        };
        let first = |position| match timetable {
            Some(timetable) => timetable.due_ns(position, 0),
            None => Some(times.start_ns),
        };
        let senders = sessions.iter().enumerate();
        let due = senders.filter_map(|(at, session)| {
            Some(Reverse((first(session.sender.as_ref()?.position)?, at)))
        });
        self.round = Some(Round { times, timetable, due: due.collect() });
    }

    /// When to look next.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.round.as_ref()?.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Sends what is due.
    pub(super) fn send_due(&mut self, now: u64, sessions: &mut [Session], sent: &mut Sent) {
        for _ in 0..SENDS_PER_TURN {
            let Some(round) = &mut self.round else { return };
            let Some(Reverse((_, at))) = round.due.peek().copied().filter(|due| due.0.0 <= now)
            else {
                return;
            };
            round.due.pop();
            if round.timetable.is_none() {
                self.send_allowed(at, now, sessions, sent);
            } else if let Some(next) = self.send_one(at, now, sessions, sent)
                && let Some(round) = &mut self.round
            {
                round.due.push(Reverse((next, at)));
            }
        }
    }

    /// Sends the one message of the timetable that is due, or lets it go if the sender is away; gives the time at which
    /// to look again.
    fn send_one(
        &mut self,
        at: usize,
        now: u64,
        sessions: &mut [Session],
        sent: &mut Sent,
    ) -> Option<u64> {
        let timetable = self.round.as_ref()?.timetable?;
        let session = &mut sessions[at];
        let sender = session.sender.as_mut()?;
        let due = timetable.due_ns(sender.position, sender.turn)?;
        let next = timetable.due_ns(sender.position, sender.turn + 1);
        if session.state != State::In {
            sender.turn += 1;
            sent.withheld += 1;
        } else if session.wire.as_ref().is_some_and(|wire| wire.has_room()) {
            sender.turn += 1;
            self.send(at, due, now, sessions, sent);
        } else {
            return Some(now + RETRY_NS);
        }
        next
    }

    /// Sends everything that the window allows a sender, once the start has come.
    pub(super) fn send_allowed(
        &mut self,
        at: usize,
        now: u64,
        sessions: &mut [Session],
        sent: &mut Sent,
    ) {
        let (Some(round), Pace::Window(window)) = (&self.round, self.plan.pace) else { return };
        if now < round.times.start_ns || now >= round.times.stop_ns {
            return;
        }
        loop {
            let session = &sessions[at];
            let is_free = session.state == State::In
                && session.sender.as_ref().is_some_and(|sender| sender.unacked() < window)
                && session.wire.as_ref().is_some_and(|wire| wire.has_room());
            if !is_free {
                return;
            }
            self.send(at, now, now, sessions, sent);
        }
    }

    fn send(&mut self, at: usize, due: u64, now: u64, sessions: &mut [Session], sent: &mut Sent) {
        let session = &mut sessions[at];
        let Some(sender) = &mut session.sender else { return };
        let outgoing = sender.compose(&self.plan, &self.plan.sessions[session.number], due);
        session.queue(&self.plan, &outgoing, &mut self.scratch);
        sent.messages += 1;
        sent.lag.record(now - due);
        // A failed write shows as an event of the socket, and is counted there.
        if let Some(wire) = &mut session.wire {
            let _ = wire.flush();
        }
    }

    /// A session is in its rooms: what has no answer from before goes out again.
    pub(super) fn resume(
        &mut self,
        at: usize,
        now: u64,
        sessions: &mut [Session],
        sent: &mut Sent,
    ) {
        let session = &mut sessions[at];
        let Some(sender) = &mut session.sender else { return };
        for outgoing in sender.compose_again() {
            session.queue(&self.plan, &outgoing, &mut self.scratch);
            sent.again += 1;
        }
        self.send_allowed(at, now, sessions, sent);
    }

    /// Ends the sending of new messages.
    pub(super) fn stop(&mut self, sessions: &[Session], sent: &mut Sent) {
        let Some(Round { timetable: Some(timetable), .. }) = self.round.take() else { return };
        for sender in sessions.iter().filter_map(|session| session.sender.as_ref()) {
            sent.withheld += timetable.planned(sender.position).saturating_sub(sender.turn);
        }
    }
}
