//! What a thread is at: waiting for members, sending, waiting for the last messages, leaving.

use super::Worker;
use super::farewells::Appointment;
use super::timetable::Times;
use crate::client::connection::Ending;

/// How often a thread that drains looks whether everything is there: each look visits every ledger.
const LOOK_NS: u64 = 20_000_000;

/// After everything has arrived, how long to listen for what should not come.
const LISTEN_NS: u64 = 200_000_000;

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Members are being connected.
    Gathering,
    /// Senders send, or will from the start on.
    Running(Times),
    /// Nobody here sends any more; what is under way arrives.
    Draining {
        look_ns: u64,
        /// Deliveries when there was progress last, and when that was.
        delivered: u64,
        progress_ns: u64,
    },
    /// Everything is there, or will not come.
    Listening { until_ns: u64 },
    /// The ledgers are closed.
    Settled,
    /// Close frames are under way.
    Leaving,
}

impl Phase {
    /// When to look again, if nothing else happens.
    pub(crate) const fn next_ns(&self) -> Option<u64> {
        match self {
            Self::Running(times) => Some(times.stop_ns),
            Self::Draining { look_ns, .. } => Some(*look_ns),
            Self::Listening { until_ns } => Some(*until_ns),
            Self::Gathering | Self::Settled | Self::Leaving => None,
        }
    }

    /// Whether the ledgers are closed.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self, Self::Settled | Self::Leaving)
    }
}

impl Worker {
    /// Whether the thread has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Leaving) && self.sessions.is_empty()
    }

    /// Goes on to the next phase where the present one is over.
    pub(super) fn step(&mut self, now: u64) {
        match self.phase {
            Phase::Running(times) if now >= times.stop_ns => {
                self.outbound.stop();
                self.board.stop();
                let delivered = self.auditor.heard.delivered;
                self.phase = Phase::Draining { look_ns: now, delivered, progress_ns: now };
            }
            Phase::Draining { look_ns, delivered, progress_ns } if now >= look_ns => {
                self.drain(now, delivered, progress_ns);
            }
            Phase::Listening { until_ns } if now >= until_ns => {
                for (_, session) in &self.sessions {
                    self.auditor.settle(&session.member);
                }
                self.phase = Phase::Settled;
                // The main thread waits for each thread once, and there is a place for each in the channel.
                let _ = self.settled.try_send(self.index);
            }
            _ => {}
        }
    }

    fn drain(&mut self, now: u64, before: u64, progress_ns: u64) {
        let delivered = self.auditor.heard.delivered;
        let progress_ns = if delivered > before { now } else { progress_ns };
        let served = self.board.all_stopped()
            && self.sessions.iter().all(|(_, session)| self.auditor.is_served(&session.member));
        self.phase = if served || now - progress_ns >= self.patience_ns {
            Phase::Listening { until_ns: now + LISTEN_NS }
        } else {
            Phase::Draining { look_ns: now + LOOK_NS, delivered, progress_ns }
        };
    }

    /// Sends the Close of each visitor whose time has come, and gives up on those that the server has not answered.
    pub(super) fn say_goodbyes(&mut self, now: u64) {
        while let Some(Appointment { key, id, .. }) = self.farewells.take_leaving(now) {
            if self.sessions.get(key).is_some_and(|session| session.id == id) {
                self.leave(key, now);
            }
        }
        while let Some(Appointment { key, id, .. }) = self.farewells.take_unanswered(now) {
            if self.sessions.get(key).is_some_and(|session| session.id == id) {
                self.end(key, &Ending::Unanswered);
            }
        }
    }

    /// Sends everyone's Close.
    pub(super) fn leave_all(&mut self) {
        self.phase = Phase::Leaving;
        let now = self.clock.now_ns();
        for key in self.sessions.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            self.leave(key, now);
        }
    }

    fn leave(&mut self, key: usize, now: u64) {
        let session = &mut self.sessions[key];
        if !session.leaving {
            session.leaving = true;
            session.wire.queue_close();
            // A failure shows at the next read.
            let _ = session.wire.flush();
            self.farewells.await_answer(now, key, session.id);
        }
    }
}
