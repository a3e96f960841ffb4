//! The end of a thread's run: what is under way arrives or is given up, the records are closed, everyone leaves.

use super::log::Record;
use super::session::{Session, State};
use super::worker::Worker;
use crate::client::connection::Ending;

/// How often to see whether everything is there: each look visits every record.
const LOOK_NS: u64 = 20_000_000;

/// After everything has arrived, how long to listen for what should not come.
const LISTEN_NS: u64 = 200_000_000;

/// How long the server may take to answer a Close.
const ANSWER_NS: u64 = crate::worker::farewells::ANSWER_NS;

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Sessions are coming.
    Gathering,
    /// Senders send, or will from the start on.
    Running,
    /// Nobody here sends anything new; acks and messages that are under way arrive.
    Draining {
        look_ns: u64,
        /// Arrivals when there was one last, and when that was.
        arrivals: u64,
        progress_ns: u64,
        /// Whether this thread has put on the board what its senders are sure of.
        answered: bool,
    },
    /// Everything is there, or will not come.
    Listening { until_ns: u64 },
    /// The records are closed.
    Settled,
    /// Close frames are under way.
    Leaving { until_ns: u64 },
}

impl Worker {
    /// Whether the thread has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        let is_gone = |session: &Session| session.wire.is_none();
        matches!(self.phase, Phase::Leaving { .. }) && self.sessions.iter().all(is_gone)
    }

    /// When the phase ends by itself.
    pub(super) fn next_step_ns(&self) -> Option<u64> {
        match self.phase {
            Phase::Running => Some(self.schedule.times.stop_ns),
            Phase::Draining { look_ns, .. } => Some(look_ns),
            Phase::Listening { until_ns } | Phase::Leaving { until_ns } => Some(until_ns),
            Phase::Gathering | Phase::Settled => None,
        }
    }

    /// Goes on to the next phase where the present one is over.
    pub(super) fn step(&mut self, now: u64) {
        match self.phase {
            Phase::Running if now >= self.schedule.times.stop_ns => {
                self.outbound.stop(&self.sessions, &mut self.log.sent);
                self.phase = Phase::Draining {
                    look_ns: now,
                    arrivals: self.arrivals,
                    progress_ns: now,
                    answered: false,
                };
            }
            Phase::Draining { look_ns, arrivals, progress_ns, answered } if now >= look_ns => {
                let progress_ns = if self.arrivals > arrivals { now } else { progress_ns };
                self.drain(now, progress_ns, answered);
            }
            Phase::Listening { until_ns } if now >= until_ns => {
                self.settle();
                self.phase = Phase::Settled;
                // The main thread waits for each thread once, and there is a place for each in the channel.
                let _ = self.settled.try_send(self.index);
            }
            Phase::Leaving { until_ns } if now >= until_ns => self.give_up(),
            _ => {}
        }
    }

    fn drain(&mut self, now: u64, progress_ns: u64, answered: bool) {
        let no_patience = now - progress_ns >= self.patience_ns;
        let waits = |session: &Session| {
            let unacked = session.sender.as_ref().is_some_and(|sender| sender.unacked() > 0);
            unacked && session.state != State::Lost
        };
        let answers_now = !answered && (no_patience || !self.sessions.iter().any(waits));
        if answers_now {
            self.report_owed();
        }
        let answered = answered || answers_now;
        let is_served = |session: &Session| {
            session.state == State::Lost
                || session.has_all(&self.plan, |slot| self.board.owed(slot))
        };
        let served = self.board.all_answered() && self.sessions.iter().all(is_served);
        // Others may still wait for acks of theirs: their patience ends when this one's does.
        let over = served || no_patience && self.board.all_answered();
        self.phase = if over {
            Phase::Listening { until_ns: now + LISTEN_NS }
        } else {
            let look_ns = now + LOOK_NS;
            Phase::Draining { look_ns, arrivals: self.arrivals, progress_ns, answered }
        };
    }

    /// Puts on the board how many messages each slot of this thread is sure of. What was under way when a connection
    /// was lost may or may not come.
    fn report_owed(&mut self) {
        for session in &self.sessions {
            let Some(sender) = &session.sender else { continue };
            for (slot, owed, refused) in sender.owed() {
                self.board.set_owed(slot, owed, refused);
            }
            if session.state != State::Lost {
                self.log.faults.unacked += u64::from(sender.unacked());
            }
        }
        self.board.answer();
    }

    /// Closes the records: what has not come by now is lost.
    fn settle(&mut self) {
        let Self { plan, board, log, .. } = self;
        for session in self.sessions.iter().filter(|session| session.state != State::Lost) {
            if session.state != State::In || session.cut_ns.is_some() {
                *log.endings.entry("never caught up".to_owned()).or_default() += 1;
            }
            for seat in &session.seats {
                let first = plan.room(seat.room).first_slot;
                let owed = |sender: u32| board.owed(first + sender as usize);
                let lost = seat.lost(owed);
                log.faults.lost += lost;
                if session.is_late(plan) {
                    continue;
                }
                let senders = 0..u32::try_from(plan.room(seat.room).senders.len()).unwrap_or(0);
                let sure = senders
                    .map(owed)
                    .map(|(sent, refused)| u64::from(sent.saturating_sub(refused)));
                log.heard.expected += sure.sum::<u64>();
                log.heard.received += seat.count;
                log.records.push(Record {
                    room: seat.room,
                    count: seat.count,
                    digest: seat.digest,
                    sound: lost == 0 && seat.sound,
                });
            }
        }
    }

    /// Sends everyone's Close.
    pub(super) fn leave_all(&mut self) {
        self.phase = Phase::Leaving { until_ns: self.clock.now_ns() + ANSWER_NS };
        for session in &mut self.sessions {
            if let Some(wire) = &mut session.wire {
                session.state = State::Leaving;
                wire.queue_close();
                // A failure shows at the next read.
                let _ = wire.flush();
            }
        }
    }

    fn give_up(&mut self) {
        for at in 0..self.sessions.len() {
            if self.sessions[at].wire.is_some() {
                self.lose(at, Ending::Unanswered.label());
            }
        }
    }
}
