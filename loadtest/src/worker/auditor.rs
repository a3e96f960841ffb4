//! Hears every message that any member of this thread receives: checks it, counts it, times it.

use std::sync::Arc;

use fastwebsockets::OpCode;

use super::board::Board;
use super::session::Member;
use super::timetable::Times;
use super::window::Window;
use crate::audit::{Arrival, Faults};
use crate::latency::Latency;
use crate::message::Rejection;
use crate::plan::Plan;

/// The ear of one thread.
#[derive(Debug)]
pub(crate) struct Auditor {
    plan: Arc<Plan>,
    board: Arc<Board>,
    window: Option<Window>,
    /// Until the run starts nothing is due, so nothing is recorded.
    times: Times,
    pub(crate) heard: Heard,
}

/// What a thread heard in the whole run.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// What was wrong.
    pub(crate) faults: Faults,
    /// Messages received for the first time by members that stay.
    pub(crate) delivered: u64,
    /// Those of them that arrived between warm-up and stop.
    pub(crate) delivered_measured: u64,
    /// Messages received by members that come and go.
    pub(crate) delivered_to_visitors: u64,
    /// From when a message was due to its arrival at one member that stays, for each message due after the warm-up.
    pub(crate) latency: Latency,
}

impl Heard {
    /// Before the first message.
    pub(crate) fn nothing() -> Self {
        Self {
            faults: Faults::default(),
            delivered: 0,
            delivered_measured: 0,
            delivered_to_visitors: 0,
            latency: Latency::new(),
        }
    }

    /// Takes in what another thread heard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.faults.add(&other.faults);
        self.delivered += other.delivered;
        self.delivered_measured += other.delivered_measured;
        self.delivered_to_visitors += other.delivered_to_visitors;
        self.latency.add(&other.latency);
    }
}

impl Auditor {
    /// The ear of that thread.
    pub(crate) fn new(plan: Arc<Plan>, board: Arc<Board>, worker: usize) -> Self {
        let window = Window::new(&plan, worker);
        let times = Times { start_ns: u64::MAX, measure_ns: u64::MAX, stop_ns: u64::MAX };
        Self { plan, board, window, times, heard: Heard::nothing() }
    }

    /// Says when to record.
    pub(crate) const fn start(&mut self, times: Times) {
        self.times = times;
    }

    /// Hears one message, received by that member at that time.
    #[inline]
    pub(crate) fn hear(&mut self, member: &mut Member, opcode: OpCode, payload: &[u8], now: u64) {
        let heard = &mut self.heard;
        let header = match self.plan.codec.parse(opcode, payload) {
            Ok(header) => header,
            Err(Rejection::Foreign) => return heard.faults.foreign += 1,
            Err(Rejection::Corrupted) => return heard.faults.corrupted += 1,
        };
        if header.room != member.seat.room || header.sender >= member.senders {
            return heard.faults.foreign += 1;
        }
        if header.sender == member.seat.place {
            return heard.faults.echoed += 1;
        }
        let arrival = member.ledger.note(header.sender, header.seq, &mut heard.faults);
        if arrival == Arrival::Again {
            return;
        }
        if member.is_visitor() {
            return heard.delivered_to_visitors += 1;
        }
        heard.delivered += 1;
        if now >= self.times.measure_ns && now < self.times.stop_ns {
            heard.delivered_measured += 1;
        }
        if header.due_ns >= self.times.measure_ns {
            heard.latency.record(now.saturating_sub(header.due_ns));
        }
        if let (Some(window), Arrival::Onward { first }) = (&mut self.window, arrival) {
            let sender = member.first_sender + header.sender as usize;
            window.pass(sender, first, header.seq, &self.board);
        }
    }

    /// A member is gone before its time: nobody waits for it any more, and what it skipped it lost.
    pub(crate) fn retire(&mut self, member: &Member) {
        for sender in member.heard_senders() {
            let next = member.ledger.next(sender).unwrap_or(0);
            self.heard.faults.lost += member.ledger.lost(sender, next);
            if let Some(window) = self.window.as_mut().filter(|_| !member.is_visitor()) {
                window.retire(member.first_sender + sender as usize, next, &self.board);
            }
        }
    }

    /// Whether a member has all that was sent, once nobody sends any more.
    pub(crate) fn is_served(&self, member: &Member) -> bool {
        let has_all = |sender: u32| {
            let sent = self.board.sent(member.first_sender + sender as usize);
            member.ledger.next(sender).is_none_or(|next| next >= sent)
        };
        member.is_visitor() || member.ledger.has_no_gaps() && member.heard_senders().all(has_all)
    }

    /// Closes the ledger of a member that stayed: what has not come by now is lost.
    pub(crate) fn settle(&mut self, member: &Member) {
        for sender in member.heard_senders().filter(|_| !member.is_visitor()) {
            let sent = self.board.sent(member.first_sender + sender as usize);
            self.heard.faults.lost += member.ledger.lost(sender, sent);
        }
    }

    /// Whether a sender may have become free to send since the last call.
    pub(crate) fn take_moved(&mut self) -> bool {
        self.window.as_mut().is_some_and(Window::take_moved)
    }
}
