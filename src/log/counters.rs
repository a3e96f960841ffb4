//! What the log counts: plain totals since the start, added to by its threads and by whoever submits.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::shard::counters::Durations;

#[allow(clippy::disallowed_types, reason = "between the writer and the telemetry, once a group")]
type Mutex<T> = std::sync::Mutex<T>;

/// One total that only rises.
#[derive(Debug, Default)]
pub(crate) struct Total(AtomicU64);

impl Total {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, each time.
#[derive(Debug, Default)]
pub(crate) struct Histogram(Mutex<Durations>);

impl Histogram {
    pub(crate) fn record(&self, duration: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(duration);
    }

    /// What was recorded so far.
    pub(crate) fn snapshot(&self) -> Durations {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is so now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The totals of one log.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Groups of drafts that an engine was asked to store.
    pub(crate) batches: Total,
    /// How long the durable engine took for each of its groups, their commit included.
    pub(crate) commits: Histogram,
    /// Messages that became part of the log.
    pub(crate) stored: Total,
    /// Drafts that were in the log already.
    pub(crate) known: Total,
    /// Drafts refused because their key was sent before with another body.
    pub(crate) conflicts: Total,
    /// Drafts refused because of the age of their client id.
    pub(crate) expired: Total,
    /// Drafts refused because the engine could not store them.
    pub(crate) unavailable: Total,
    /// Drafts refused because the application said so, and because it said nothing.
    pub(crate) denied: Total,
    pub(crate) unanswered: Total,
    /// Times that a message was written as text, once for each view that somebody looks through.
    pub(crate) serialised: Total,
    /// Messages that a full mailbox turned into notices, for each shard.
    pub(crate) noticed: Total,
    /// Submissions that came back because too much was on the way already.
    pub(crate) submissions_refused: Total,
    /// Messages that retention has removed.
    pub(crate) removed: Total,
    /// Messages that were taken out because nobody is to see them any more.
    pub(crate) redacted: Total,
    /// Conversations of which nothing was left, not even a key.
    pub(crate) forgotten: Total,
    /// Steps of retention.
    pub(crate) retention_steps: Total,
    /// Queries answered.
    pub(crate) reads: Total,
    /// Queries to the durable engine that the cache answered, and times that the disk was read for one.
    pub(crate) reads_cached: Total,
    pub(crate) reads_disk: Total,
    /// Statements that messages were looked for with.
    pub(crate) read_statements: Total,
    /// What the cache takes, in bytes.
    pub(crate) cache_bytes: Gauge,
    /// Queries that failed.
    pub(crate) reads_failed: Total,
    /// Queries that came back because too many were on the way already.
    pub(crate) reads_refused: Total,
}
