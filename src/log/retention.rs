//! When retention works: in small steps between batches, and when there is nothing else to do.
//!
//! A pass looks at every conversation. While one is on its way every batch is followed by one step, which may remove
//! twice what the batch has stored, so that retention keeps up with whoever writes and no batch waits for more than that
//! one step.

use std::time::{Duration, Instant};

/// From the end of a pass to the next: as much longer than its rule says a message may be kept.
const PASS_PAUSE: Duration = Duration::from_secs(5);

/// From one step to the next where nobody writes.
const STEP_PAUSE: Duration = Duration::from_millis(10);

/// Messages and keys that a step may remove in any case: a few milliseconds.
pub(super) const STEP_ROWS: usize = 256;

/// The most that it may remove behind a large batch.
const STEP_ROWS_MAX: usize = 4096;

/// The timetable.
pub(super) struct Retention {
    next: Instant,
    is_passing: bool,
}

impl Retention {
    pub(super) fn new() -> Self {
        Self { next: Instant::now(), is_passing: false }
    }

    /// How long to wait for something else to do.
    pub(super) fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Whether a batch is to be followed by a step.
    pub(super) fn is_due(&self) -> bool {
        self.is_passing || self.wait().is_zero()
    }

    /// How much a step may remove that follows a batch of so many messages.
    pub(super) fn budget(stored: usize) -> usize {
        (2 * stored).clamp(STEP_ROWS, STEP_ROWS_MAX)
    }

    /// A step was made.
    pub(super) fn stepped(&mut self, is_over: bool) {
        self.is_passing = !is_over;
        self.next = Instant::now() + if is_over { PASS_PAUSE } else { STEP_PAUSE };
    }
}
