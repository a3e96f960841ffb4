//! What came of opening connections: how many, how fast, and what went wrong with the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::dial::DialError;
use crate::clock::nanos;
use crate::latency::Latency;

/// The outcome of many dials.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Connections that were opened.
    pub(crate) count: u64,
    /// From the first dial to the last answer.
    pub(crate) elapsed: Duration,
    /// From when a connection was due (without a rate: was begun) to the verified 101.
    pub(crate) handshake: Latency,
    /// Connections that were not opened, by kind.
    pub(crate) failures: BTreeMap<String, Failure>,
}

/// Failures of one kind.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How many.
    pub(crate) count: u64,
    /// What the first of them was, in full.
    pub(crate) first: DialError,
}

impl Opened {
    /// Before the first dial.
    pub(crate) fn nothing() -> Self {
        Self {
            count: 0,
            elapsed: Duration::ZERO,
            handshake: Latency::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Notes one dial that began and has ended now; the connection, if it brought one.
    pub(crate) fn note(
        &mut self,
        began: Instant,
        ended: Instant,
        outcome: Result<Connection, DialError>,
    ) -> Option<Connection> {
        match outcome {
            Ok(connection) => {
                self.count += 1;
                self.handshake.record(nanos(ended.saturating_duration_since(began)));
                Some(connection)
            }
            Err(first) => {
                let label = first.label();
                self.failures.entry(label).or_insert(Failure { count: 0, first }).count += 1;
                None
            }
        }
    }

    /// Takes in what another thread opened at the same time.
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.handshake.add(&other.handshake);
        for (label, failure) in other.failures {
            let count = failure.count;
            self.failures.entry(label).or_insert(Failure { count: 0, ..failure }).count += count;
        }
    }

    /// How many were not opened, by kind.
    pub(crate) fn kinds(&self) -> BTreeMap<String, u64> {
        self.failures.iter().map(|(kind, failure)| (kind.clone(), failure.count)).collect()
    }

    /// How many were not opened.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().map(|failure| failure.count).sum()
    }
}
