//! When the messages of an open loop are due: at even distances, dealt to the senders in turn, whatever the server
//! does.

use crate::clock::{NANOS_PER_SEC, secs};

/// The times of a run, in nanoseconds of its clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The first message.
    pub(crate) start_ns: u64,
    /// End of the warm-up: from here on latency and throughput are recorded.
    pub(crate) measure_ns: u64,
    /// No message is due from here on.
    pub(crate) stop_ns: u64,
}

/// Message `i` of all senders together is due at `start + i / rate`, and sent by sender `i % senders`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    start_ns: u64,
    period_ns: f64,
    senders: u64,
    /// Messages of all senders together.
    messages: u64,
}

impl Timetable {
    /// A timetable of `rate` messages per second in all, for so many senders.
    pub(crate) fn new(times: Times, rate: f64, senders: usize) -> Self {
        let span = secs(times.stop_ns - times.start_ns);
        Self {
            start_ns: times.start_ns,
            period_ns: NANOS_PER_SEC as f64 / rate,
            senders: senders as u64,
            messages: (span * rate).ceil() as u64,
        }
    }

    /// When message `seq` of sender `sender` is due; `None` if the run is over by then.
    pub(crate) fn due_ns(&self, sender: usize, seq: u64) -> Option<u64> {
        let index = seq * self.senders + sender as u64;
        let after = (index as f64 * self.period_ns) as u64;
        (index < self.messages).then(|| self.start_ns + after)
    }

    /// How many messages the timetable has for a sender.
    pub(crate) fn planned(&self, sender: usize) -> u64 {
        self.messages.saturating_sub(sender as u64).div_ceil(self.senders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_evenly_spaced_and_dealt_in_turn() {
        let times = Times { start_ns: 1_000, measure_ns: 1_000, stop_ns: 1_000 + NANOS_PER_SEC };
        let timetable = Timetable::new(times, 10.0, 3);
        let mut due: Vec<_> = (0..3)
            .flat_map(|sender| (0..9).filter_map(move |seq| timetable.due_ns(sender, seq)))
            .collect();
        due.sort_unstable();
        assert_eq!(due, (0..10).map(|index| 1_000 + index * 100_000_000).collect::<Vec<_>>());
        assert_eq!(timetable.due_ns(1, 0), Some(100_001_000));
        assert_eq!([0, 1, 2].map(|sender| timetable.planned(sender)), [4, 3, 3]);
        for sender in 0..3 {
            let planned = timetable.planned(sender);
            assert!(timetable.due_ns(sender, planned - 1).is_some());
            assert!(timetable.due_ns(sender, planned).is_none());
        }
    }
}
