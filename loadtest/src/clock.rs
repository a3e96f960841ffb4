//! The run's clock: nanoseconds since the process began to measure, the same for every thread.

use std::time::{Duration, Instant};

/// Nanoseconds in a second.
pub(crate) const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A monotonic clock that counts from its own creation; copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now, at 0.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now_ns(self) -> u64 {
        nanos(self.start.elapsed())
    }
}

/// A duration in nanoseconds, as the clock counts them.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as seconds.
pub(crate) fn secs(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_SEC as f64
}

/// How many there were per second.
pub(crate) fn per_sec(count: u64, during: Duration) -> f64 {
    count as f64 / during.as_secs_f64().max(1e-9)
}
