//! Wakes a thread's poller at a time finer than the whole milliseconds that its own timeout knows.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

use crate::clock::NANOS_PER_SEC;

/// A timer in the poller. On Linux a timerfd; elsewhere the poller's timeout has to do.
#[derive(Debug)]
pub(crate) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    /// What the timer is set to, in nanoseconds of the run's clock.
    set_for: Option<u64>,
}

impl Alarm {
    /// An alarm that shows as an event of that token.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use mio::unix::SourceFd;
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { timer, set_for: None })
    }

    /// An alarm that shows as the end of the poller's timeout.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self { set_for: None })
    }

    /// The timeout with which to poll so as to wake at `at`, in nanoseconds of the clock that shows `now`. `None` for
    /// `at` is never.
    pub(crate) fn timeout(&mut self, at: Option<u64>, now: u64) -> io::Result<Option<Duration>> {
        let Some(at) = at else { return Ok(None) };
        if at <= now {
            return Ok(Some(Duration::ZERO));
        }
        if self.set_for != Some(at) {
            self.set_for = Some(at);
            return self.arm(at - now);
        }
        Ok(self.unless_armed(at - now))
    }

    /// Says that the alarm's event has come.
    pub(crate) const fn rang(&mut self) {
        self.set_for = None;
    }

    #[cfg(target_os = "linux")]
    fn arm(&mut self, nanos: u64) -> io::Result<Option<Duration>> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(nanos / NANOS_PER_SEC).unwrap_or(i64::MAX),
            tv_nsec: (nanos % NANOS_PER_SEC).try_into().unwrap_or_default(),
        };
        let spec = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(None)
    }

    #[cfg(target_os = "linux")]
    #[allow(clippy::unused_self, reason = "the timer is armed already; elsewhere there is none")]
    const fn unless_armed(&self, _: u64) -> Option<Duration> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn arm(&mut self, nanos: u64) -> io::Result<Option<Duration>> {
        Ok(self.unless_armed(nanos))
    }

    #[cfg(not(target_os = "linux"))]
    const fn unless_armed(&self, nanos: u64) -> Option<Duration> {
        Some(Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_poller_wakes_when_the_time_has_come_and_not_before() {
        let mut poll = Poll::new().unwrap();
        let mut alarm = Alarm::new(poll.registry(), Token(7)).unwrap();
        let clock = Clock::start();
        let mut events = Events::with_capacity(8);
        for at in [300_000, 5_000_000, 5_100_000] {
            while clock.now_ns() < at {
                let timeout = alarm.timeout(Some(at), clock.now_ns()).unwrap();
                assert!(timeout.is_none_or(|timeout| timeout < Duration::from_millis(6)));
                poll.poll(&mut events, timeout).unwrap();
            }
        }
        assert_eq!(alarm.timeout(Some(1), clock.now_ns()).unwrap(), Some(Duration::ZERO));
        assert_eq!(alarm.timeout(None, 0).unwrap(), None);
    }
}
