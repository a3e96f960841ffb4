//! How much of a turn reading may take, so that whoever comes next does not wait for whoever brings most.
//!
//! A turn reads until one of these is spent, and flushes. Sessions are read in the order in which they became readable;
//! one that has more goes to the back. The budgets of the other steps are where the steps are:
//! [`mail`](crate::shard::mail), [`flush`](crate::shard::flush).

use crate::shard::state::State;

/// Sessions read in a turn: a microsecond of system call each.
pub(crate) const READS_PER_TURN: usize = 512;

/// Sessions read in a turn whose peers have hung up, apart from the others: ending one and closing its socket costs
/// more than reading.
pub(crate) const LEAVES_PER_TURN: usize = 64;

/// Bytes decoded in a turn.
pub(crate) const BYTES_PER_TURN: usize = 1024 * 1024;

/// Steps in a turn, a step being an event handled, a fragment of a message, or a message gathered for one room.
/// Messages of 128 bytes spend the bytes first; this is for those that are next to nothing.
pub(crate) const STEPS_PER_TURN: u64 = 16 * 1024;

/// Steps of one session in a turn: what is read at once holds no more messages than that if they have 64 bytes each
/// and go to one room.
pub(crate) const STEPS_PER_SESSION: u64 = 2 * 1024;

/// What is left of a turn's reading.
pub(crate) struct Budget {
    reads: usize,
    bytes: usize,
    /// The shard's count of steps at which the reading ends.
    steps: u64,
}

impl Budget {
    /// For the sessions that can be read, before any of them was. Each is read at most once in the turn.
    pub(crate) fn reading(state: &State) -> Self {
        let reads = state.ready.len().min(READS_PER_TURN);
        Self { reads, bytes: BYTES_PER_TURN, steps: state.steps + STEPS_PER_TURN }
    }

    /// For those whose peers have hung up.
    pub(crate) fn leaving(state: &State) -> Self {
        let reads = state.leaving.len().min(LEAVES_PER_TURN);
        Self { reads, bytes: BYTES_PER_TURN / 8, steps: state.steps + STEPS_PER_TURN / 8 }
    }

    /// Takes one read of so many bytes off.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.reads -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether the turn goes on to its next step.
    pub(crate) fn is_spent(&self, state: &State) -> bool {
        self.reads == 0 || self.bytes == 0 || state.steps >= self.steps
    }
}
