//! From what the log counts to what `/metrics` shows.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::log::counters::{Counters, Total};
use crate::metrics as names;
use crate::shard::counters::Durations;

/// What became of messages that were sent: the values of the label `result`.
pub(crate) const RESULTS: [&str; 7] =
    ["stored", "known", "conflict", "expired", "unavailable", "denied", "unanswered"];

/// Where what was read came from: the values of the label `source`.
pub(crate) const SOURCES: [&str; 2] = ["cache", "disk"];

/// What the log had no room for: the values of the label `queue`.
pub(crate) const QUEUES: [&str; 2] = ["drafts", "reads"];

/// Metrics, each with where its value comes from.
type Series = Vec<(Counter, fn(&Counters) -> &Total)>;

/// The metrics of a log, each with a handle made once.
pub(crate) struct Figures {
    counters: Arc<Counters>,
    totals: Series,
    cache_bytes: Gauge,
    commits: Histogram,
    before: Durations,
}

impl Figures {
    /// Those of the log that counts with these.
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        let cache_bytes = gauge!(names::LOG_CACHE_BYTES);
        let commits = histogram!(names::LOG_COMMIT_DURATION);
        Self { counters, totals: totals(), cache_bytes, commits, before: Durations::default() }
    }

    /// Takes over what was counted since the last time.
    pub(crate) fn take_over(&mut self) {
        for (counter, total) in &self.totals {
            counter.absolute(total(&self.counters).get());
        }
        self.cache_bytes.set(self.counters.cache_bytes.get() as f64);
        let now = self.counters.commits.snapshot();
        for (seconds, count) in now.since(&self.before) {
            self.commits.record_many(seconds, usize::try_from(count).unwrap_or(usize::MAX));
        }
        self.before = now;
    }
}

fn totals() -> Series {
    let result = |at: usize| counter!(names::LOG_MESSAGES, "result" => RESULTS[at]);
    let source = |at: usize| counter!(names::LOG_READS, "source" => SOURCES[at]);
    let queue = |at: usize| counter!(names::LOG_BUSY, "queue" => QUEUES[at]);
    vec![
        (result(0), |log| &log.stored),
        (result(1), |log| &log.known),
        (result(2), |log| &log.conflicts),
        (result(3), |log| &log.expired),
        (result(4), |log| &log.unavailable),
        (result(5), |log| &log.denied),
        (result(6), |log| &log.unanswered),
        (source(0), |log| &log.reads_cached),
        (source(1), |log| &log.reads_disk),
        (queue(0), |log| &log.submissions_refused),
        (queue(1), |log| &log.reads_refused),
        (counter!(names::LOG_COMMITS), |log| &log.batches),
        (counter!(names::LOG_SERIALISED), |log| &log.serialised),
        (counter!(names::LOG_NOTICED), |log| &log.noticed),
        (counter!(names::LOG_REMOVED), |log| &log.removed),
        (counter!(names::LOG_REDACTED), |log| &log.redacted),
        (counter!(names::LOG_READ_FAILURES), |log| &log.reads_failed),
    ]
}
