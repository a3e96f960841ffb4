//! How a shard stops: the last connections are answered, every session is said goodbye to, and the thread ends when
//! all of them are gone.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::protocol::CloseReason;
use crate::shard::Shard;
use crate::shard::listener::{Accepted, BACKLOG};

/// How long the listener stays open for handshakes of TCP that were under way: a kernel resets those that it has not
/// completed when their listener closes. Longer than a packet takes around the world.
const LISTENER_GRACE: Duration = Duration::from_millis(250);

impl Shard {
    /// Says goodbye to every session. From now on who connects is turned away, with an answer if it got through.
    pub(super) fn begin_stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Instant::now());
        if let Some(listener) = &mut self.listener {
            listener.turn_away();
        }
        self.door.close();
        self.state.is_stopping = true;
        let slots: Vec<u32> = self.state.sessions.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            self.state.doom(slot, CloseReason::Shutdown);
        }
    }

    /// Closes the listener once nobody can be on the way to it any more.
    pub(super) fn close_listener(&mut self) {
        if self.stopping.is_none_or(|since| since.elapsed() < LISTENER_GRACE) {
            return;
        }
        let Some(mut listener) = self.listener.take() else { return };
        for _ in 0..=BACKLOG {
            match listener.accept(self.state.now) {
                Accepted::Connection(stream, peer) => {
                    self.state.counters.accepted += 1;
                    self.door.knock(stream.into(), peer);
                }
                Accepted::Drained => break,
                Accepted::Failed(error) => self.state.counters.accept_errors[error as usize] += 1,
            }
        }
        let _ = self.poll.registry().deregister(listener.source());
    }

    /// Whether the thread can end: everybody is gone, or the time for that is over.
    pub(super) fn is_done(&self) -> bool {
        if self.state.hub.abandoned.load(Ordering::Relaxed) {
            return true;
        }
        // Handshakes before mail: one that has ended may have left an adoption.
        self.stopping.is_some()
            && self.listener.is_none()
            && self.door.pending() == 0
            && self.state.sessions.is_empty()
            && !self.has_mail()
    }
}
