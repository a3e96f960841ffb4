//! What can be wrong with a chat: counted apart, each as what it is.

use serde::Serialize;

/// Everything that can be wrong with what the sessions were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Acknowledged while the session was in the room, or resuming it, and never received.
    pub(crate) lost: u64,
    /// Received more than once: each time after the first.
    pub(crate) duplicated: u64,
    /// Received after a later message of the same sender or with a `seq` not above that of the one before.
    pub(crate) reordered: u64,
    /// Messages whose `prev` is not the message that was received before them: by the server's own word there is a hole.
    pub(crate) unlinked: u64,
    /// Sessions whose own record of a room has none of these faults and is still not the sequence that others saw.
    pub(crate) diverged: u64,
    /// Nothing that was asked for, not from this run, or from a room or a sender that the session must not hear.
    pub(crate) foreign: u64,
    /// From this run, but not the bytes or the key that were sent.
    pub(crate) corrupted: u64,
    /// Acks for nothing that waits for one, and acks with another `seq` than the message has.
    pub(crate) misacked: u64,
    /// Sent, and neither acknowledged nor refused.
    pub(crate) unacked: u64,
    /// Gaps that the server announced: it no longer had what a session was to be given.
    pub(crate) gaps: u64,
    /// Rooms whose log began anew.
    pub(crate) epochs: u64,
}

impl Faults {
    /// Whether nothing was wrong.
    pub(crate) fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another thread found.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.unlinked += other.unlinked;
        self.diverged += other.diverged;
        self.foreign += other.foreign;
        self.corrupted += other.corrupted;
        self.misacked += other.misacked;
        self.unacked += other.unacked;
        self.gaps += other.gaps;
        self.epochs += other.epochs;
    }
}
