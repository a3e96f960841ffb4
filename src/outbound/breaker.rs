//! The circuit breaker: after some failures in a row nothing is tried for a while, then one request at a time until one
//! succeeds. While it is open, what depends on an answer has none: it fails closed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Failures in a row.
    pub(crate) failures_max: u32,
    /// From the last of them to the next try, in milliseconds.
    pub(crate) pause_ms: u64,
}

/// Times are milliseconds by any clock that does not go back, from 1 on.
#[derive(Debug)]
pub(super) struct Breaker {
    terms: Terms,
    failures: AtomicU32,
    /// When the next request may be tried; 0 while it is closed.
    next_try: AtomicU64,
}

/// What a result has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Opened,
    Closed,
    None,
}

impl Breaker {
    pub(super) const fn new(terms: Terms) -> Self {
        Self { terms, failures: AtomicU32::new(0), next_try: AtomicU64::new(0) }
    }

    /// Whether a request may be tried now. While it is open that is one for each pause, whatever becomes of it: one that
    /// is given up without a result holds nobody up for longer.
    pub(super) fn admits(&self, now: u64) -> bool {
        let next_try = self.next_try.load(Ordering::Relaxed);
        if next_try == 0 {
            return true;
        }
        let later = now.saturating_add(self.terms.pause_ms);
        next_try <= now
            && self
                .next_try
                .compare_exchange(next_try, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The other side is well.
    pub(super) fn succeeded(&self) -> Turn {
        self.failures.store(0, Ordering::Relaxed);
        if self.next_try.swap(0, Ordering::Relaxed) == 0 { Turn::None } else { Turn::Closed }
    }

    /// It is not.
    pub(super) fn failed(&self, now: u64) -> Turn {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < self.terms.failures_max {
            return Turn::None;
        }
        self.failures.store(self.terms.failures_max, Ordering::Relaxed);
        let later = now.saturating_add(self.terms.pause_ms).max(1);
        if self.next_try.swap(later, Ordering::Relaxed) == 0 { Turn::Opened } else { Turn::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Terms { failures_max: 3, pause_ms: 100 })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = breaker();
        assert_eq!([breaker.failed(1), breaker.failed(1)], [Turn::None; 2]);
        assert_eq!(breaker.succeeded(), Turn::None);
        assert_eq!([breaker.failed(1), breaker.failed(1)], [Turn::None; 2]);
        assert!(breaker.admits(1));
        assert_eq!(breaker.failed(1), Turn::Opened);
        assert!(!breaker.admits(1) && !breaker.admits(100));
    }

    #[test]
    fn one_request_at_a_time_finds_out_whether_it_may_close() {
        let breaker = breaker();
        let turns = [1, 1, 1].map(|now| breaker.failed(now));
        assert_eq!(turns, [Turn::None, Turn::None, Turn::Opened]);
        assert!(breaker.admits(101) && !breaker.admits(101) && !breaker.admits(200));
        // That one was never heard of again.
        assert!(breaker.admits(201));
        assert_eq!(breaker.failed(210), Turn::None);
        assert!(!breaker.admits(301) && breaker.admits(310));
        assert_eq!(breaker.succeeded(), Turn::Closed);
        assert!(breaker.admits(311) && breaker.admits(311));
        assert_eq!(breaker.failed(312), Turn::None, "the count begins anew");
    }
}
