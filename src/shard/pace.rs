//! When the flush of a room waits for more frames, so that one write a member carries more of them.
//!
//! Under saturation the senders of a large room answer to its flush: their next messages arrive within a moment of its
//! end, and a flush that began with the first of them would make all the others wait for the one after it. So the flush
//! of a busy room waits a moment, as long as that pays. Where it brought no more frames several times in a row, as when
//! one sender speaks at a time, the room goes without waits and tries again much later.

use std::time::{Duration, Instant};

/// How long a flush waits. One that takes less than this itself is not worth it.
pub(crate) const WAIT: Duration = Duration::from_millis(1);

/// A room is busy while less than so many times the duration of a flush pass between two of them.
const BUSY_FACTOR: u32 = 4;

/// A wait pays if it brings at least this part of the frames that were there before: one in so many.
const GAIN_DIVISOR: u32 = 4;

/// So many waits in a row may not pay, at first and whenever one has.
const MISSES_MAX: u8 = 16;

/// After them so many flushes go without a wait, and then so many waits may not pay: less than one flush in a hundred
/// waits in vain.
const RESTS: u16 = 512;
const TRIES: u8 = 4;

/// What a room has learned of its flushes.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How long the last flush took, and when it ended.
    flush: Duration,
    ended: Option<Instant>,
    /// Waits that may still not pay, and flushes that go without one.
    misses_left: u8,
    rests_left: u16,
    /// When the wait that goes on began, and with how many frames.
    wait: Option<(Instant, u32)>,
}

impl Default for Pace {
    fn default() -> Self {
        let flush = Duration::ZERO;
        Self { flush, ended: None, misses_left: MISSES_MAX, rests_left: 0, wait: None }
    }
}

impl Pace {
    /// Whether a flush that could begin now, with so many frames, is better put off.
    pub(crate) fn waits(&mut self, frames: u32, now: Instant) -> bool {
        match self.wait {
            None => self.begins_to_wait(frames, now),
            Some((since, _)) if now - since < WAIT => true,
            Some((_, before)) => {
                self.wait = None;
                self.learn(before, frames);
                false
            }
        }
    }

    fn begins_to_wait(&mut self, frames: u32, now: Instant) -> bool {
        let is_busy =
            self.ended.is_some_and(|ended| now.duration_since(ended) < self.flush * BUSY_FACTOR);
        if !is_busy || self.flush < WAIT {
            return false;
        }
        if self.rests_left > 0 {
            self.rests_left -= 1;
            return false;
        }
        self.wait = Some((now, frames));
        true
    }

    fn learn(&mut self, before: u32, frames: u32) {
        if frames >= before + before.div_ceil(GAIN_DIVISOR) {
            self.misses_left = MISSES_MAX;
        } else if self.misses_left > 1 {
            self.misses_left -= 1;
        } else {
            (self.misses_left, self.rests_left) = (TRIES, RESTS);
        }
    }

    /// A flush that took so long has ended. A wait that went on was cut short by it, as a goodbye does, and teaches
    /// nothing.
    pub(crate) fn flushed(&mut self, took: Duration, now: Instant) {
        (self.flush, self.ended, self.wait) = (took, Some(now), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(4);
    const SHORT: Duration = Duration::from_micros(900);

    /// A room, and a clock of its own.
    struct Rehearsal {
        pace: Pace,
        now: Instant,
    }

    impl Rehearsal {
        fn new() -> Self {
            Self { pace: Pace::default(), now: Instant::now() }
        }

        /// Flushes that take so long, with so much time between them, that each could begin with `first` frames and,
        /// after a wait, with `then`; how many of them waited.
        fn waits(
            &mut self,
            flushes: usize,
            [took, between]: [Duration; 2],
            [first, then]: [u32; 2],
        ) -> usize {
            let mut waited = 0;
            for _ in 0..flushes {
                self.now += between;
                if self.pace.waits(first, self.now) {
                    waited += 1;
                    assert!(self.pace.waits(then, self.now + WAIT / 2));
                    self.now += WAIT;
                    assert!(!self.pace.waits(then, self.now), "a wait has an end");
                }
                self.now += took;
                self.pace.flushed(took, self.now);
            }
            waited
        }
    }

    #[test]
    fn a_room_waits_as_long_as_that_pays() {
        assert_eq!(Rehearsal::new().waits(1000, [LONG, Duration::ZERO], [2, 64]), 999);
        assert_eq!(Rehearsal::new().waits(1000, [LONG, LONG], [4, 5]), 999);
    }

    #[test]
    fn a_short_flush_never_waits() {
        assert_eq!(Rehearsal::new().waits(1000, [SHORT, Duration::ZERO], [2, 64]), 0);
    }

    #[test]
    fn a_room_that_is_not_busy_never_waits() {
        assert_eq!(Rehearsal::new().waits(1000, [LONG, LONG * BUSY_FACTOR], [2, 64]), 0);
    }

    #[test]
    fn a_wait_that_is_cut_short_is_over() {
        let mut room = Rehearsal::new();
        room.waits(1, [LONG, Duration::ZERO], [1, 1]);
        assert!(room.pace.waits(5, room.now));
        room.pace.flushed(LONG, room.now + LONG);
        assert!(room.pace.waits(1, room.now + LONG), "another wait begins");
        assert_eq!(room.pace.misses_left, MISSES_MAX);
    }

    #[test]
    fn waits_that_do_not_pay_become_rare() {
        let mut room = Rehearsal::new();
        let one_at_a_time = [1, 1];
        let first = room.waits(100, [LONG, Duration::ZERO], one_at_a_time);
        assert_eq!(first, usize::from(MISSES_MAX));
        let later = room.waits(100_000, [LONG, Duration::ZERO], one_at_a_time);
        assert!(later < 1000, "{later}");
        let again = room.waits(2000, [LONG, Duration::ZERO], [2, 64]);
        assert!(again > 1400, "{again}: it tries again, and finds that it pays");
    }
}
