//! What a shard counts: plain integers of its own, one add per event, handed to the telemetry a few times a second.

use std::time::Duration;

use crate::protocol::CloseReason;
use crate::protocol::chat::Code;
use crate::shard::actions::NoRoom;
use crate::shard::seats::Limited;

/// Histogram buckets per doubling of the value.
const STEPS_PER_OCTAVE: usize = 4;
/// From a microsecond up to 67 seconds; what is outside counts as the nearest.
const OCTAVES: usize = 26;

/// Durations, in buckets that are at most a fifth of their value wide.
#[derive(Clone, Debug)]
pub(crate) struct Durations([u64; OCTAVES * STEPS_PER_OCTAVE]);

impl Default for Durations {
    fn default() -> Self {
        Self([0; OCTAVES * STEPS_PER_OCTAVE])
    }
}

impl Durations {
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1);
        let octave = micros.ilog2() as usize;
        // The two bits behind the leading one say which quarter of the octave it is.
        let step = ((u128::from(micros) << 2 >> octave) & 3) as usize;
        let bucket = (octave * STEPS_PER_OCTAVE + step).min(self.0.len() - 1);
        self.0[bucket] += 1;
    }

    /// What was recorded since `before`: the seconds in the middle of each bucket and how often.
    pub(crate) fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (f64, u64)> + 'a {
        self.0.iter().zip(&before.0).enumerate().filter(|(_, (now, before))| now > before).map(
            |(bucket, (now, before))| {
                let (octave, step) = (bucket / STEPS_PER_OCTAVE, bucket % STEPS_PER_OCTAVE);
                let middle =
                    (1 << octave) as f64 * (1.0 + (step as f64 + 0.5) / STEPS_PER_OCTAVE as f64);
                (middle / 1e6, now - before)
            },
        )
    }
}

/// Why something that was accepted did not go out. Each is a value of the label `reason` of `uproar_drops_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// Frames queued for a session that was closed before it read them.
    Closed,
    /// Frames queued of a room that the session left before it read them.
    Left,
    /// Signals and presence queued for a session that fell behind.
    SlowReader,
    /// Signals that would have had to wait.
    Signal,
    /// Messages to a relay room of users who may say nothing.
    Muted,
}

impl Drop {
    pub(crate) const LABELS: [&'static str; 5] =
        ["closed", "left", "slow_reader", "signal", "muted"];
}

/// Why an accept failed. Each is a value of the label `reason` of `uproar_accept_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// No descriptor left in the process or the system (EMFILE, ENFILE).
    Descriptors,
    /// The peer was gone before it was accepted (ECONNABORTED).
    Aborted,
    /// Anything else.
    Other,
}

impl AcceptError {
    pub(crate) const LABELS: [&'static str; 3] = ["descriptors", "aborted", "other"];
}

/// Per route of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteCounters {
    pub(crate) sessions: u64,
    pub(crate) opened: u64,
}

/// Everything that one shard counts. Totals only grow; the rest is what is so now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) routes: Box<[RouteCounters]>,
    pub(crate) closed: [u64; CloseReason::LABELS.len()],
    pub(crate) dropped: [u64; Drop::LABELS.len()],
    pub(crate) accepted: u64,
    pub(crate) accept_errors: [u64; AcceptError::LABELS.len()],
    pub(crate) messages_in: u64,
    pub(crate) control_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) deliveries: u64,
    pub(crate) control_out: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) turns: u64,
    pub(crate) busy: Duration,
    pub(crate) batches_in: u64,
    pub(crate) batches_out: u64,
    pub(crate) mailbox_full: u64,
    pub(crate) pauses: u64,
    /// Times that a session sent more than it may, by which bound.
    pub(crate) limited: [u64; Limited::LABELS.len()],
    /// Joins refused, by why.
    pub(crate) joins_refused: [u64; NoRoom::LABELS.len()],
    /// Errors that chat sessions were answered with, by code.
    pub(crate) errors: [u64; Code::ALL.len()],
    /// Times a session became so slow that its rooms' messages are read from the log for it.
    pub(crate) fell_behind: u64,
    /// Reads of the log for all members of a room.
    pub(crate) room_reads: u64,
    pub(crate) fanout: Durations,
    pub(crate) hop: Durations,
    pub(crate) turn: Durations,
    pub(crate) rooms: usize,
    pub(crate) memberships: usize,
    pub(crate) tls_sessions: usize,
    pub(crate) mailbox_batches: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) paused: usize,
    /// Messages handed to the log and not answered, and reads of it.
    pub(crate) log_drafts: usize,
    pub(crate) log_reads: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_found_again_within_a_fifth() {
        for micros in [1, 2, 3, 5, 9, 100, 1_000, 4_095, 4_096, 1_000_000, 60_000_000] {
            let mut durations = Durations::default();
            durations.record(Duration::from_micros(micros));
            let before = Durations::default();
            let found: Vec<_> = durations.since(&before).collect();
            let &[(seconds, 1)] = &found[..] else { panic!("{found:?}") };
            let ratio = seconds * 1e6 / micros as f64;
            assert!((0.8..=1.25).contains(&ratio) || micros < 4, "{micros} became {seconds}");
        }
        assert_eq!(Durations::default().since(&Durations::default()).count(), 0);
    }
}
