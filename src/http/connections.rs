//! How many sessions and sockets the server holds: one count of each for all shards, and their bounds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The sessions of all shards, those included that have been admitted and are not adopted yet.
#[derive(Debug)]
pub struct Connections {
    now: AtomicUsize,
    max: usize,
    /// Handshakes in flight on all shards.
    pending: AtomicUsize,
    sockets_max: usize,
}

impl Connections {
    /// None so far, and at most `max`.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            now: AtomicUsize::new(0),
            max,
            pending: AtomicUsize::new(0),
            sockets_max: usize::MAX,
        }
    }

    /// Bounds the sockets, those included that are still in their handshake: nobody is accepted above that, so that
    /// the rest of the process never runs out of descriptors.
    #[must_use]
    pub const fn with_sockets_max(self, sockets_max: usize) -> Self {
        Self { sockets_max, ..self }
    }

    /// How many there are now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Whether one more socket is one too many.
    pub(super) fn is_crowded(&self) -> bool {
        self.count() + self.pending.load(Ordering::Relaxed) >= self.sockets_max
    }

    /// A handshake began.
    pub(super) fn begin(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// A handshake ended; whether there were too many sockets until now.
    pub(super) fn end(&self) -> bool {
        let was_crowded = self.is_crowded();
        self.pending.fetch_sub(1, Ordering::Release);
        was_crowded
    }

    /// How many handshakes are in flight on all shards.
    pub(super) fn pending(&self) -> usize {
        // Who sees that a handshake has ended sees what it left behind, too.
        self.pending.load(Ordering::Acquire)
    }

    /// Takes one off the count: its shard calls this when a session ends.
    pub fn release(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds one, unless the bound is reached.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let add = |now| (now < self.max).then_some(now + 1);
        self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Admission { connections: Arc::clone(self), kept: false })
    }
}

/// One place among the connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Arc<Connections>,
    kept: bool,
}

impl Admission {
    /// Leaves the place taken: the shard that adopted the session gives it back.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.kept {
            self.connections.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_and_sessions_are_sockets() {
        let connections = Arc::new(Connections::new(8).with_sockets_max(2));
        connections.begin();
        assert!(!connections.is_crowded());
        let _session = connections.admit().expect("there is room");
        assert!(connections.is_crowded());
        assert!(connections.end());
        assert!(!connections.is_crowded());
    }

    #[test]
    fn the_bound_holds_and_places_come_back() {
        let connections = Arc::new(Connections::new(2));
        let first = connections.admit().expect("there is room");
        let second = connections.admit().expect("there is room");
        assert!(connections.admit().is_none());
        drop(first);
        assert_eq!(connections.count(), 1);
        second.keep();
        assert_eq!(connections.count(), 1);
        connections.release();
        assert_eq!(connections.count(), 0);
    }
}
