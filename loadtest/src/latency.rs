//! Latency histograms: nanoseconds in, percentiles in microseconds out.

use hdrhistogram::Histogram;
use serde::Serialize;

/// What is told apart at the low end; the kernel's own scheduling is coarser.
const RESOLUTION_NS: u64 = 1_000;

/// Anything longer is recorded as this: an hour.
const LONGEST_NS: u64 = 3_600 * 1_000_000_000;

/// A distribution of durations, exact to three significant digits, of one size however many are recorded.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    histogram: Histogram<u64>,
}

/// The percentiles that a report names, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// How many durations were recorded.
    pub(crate) samples: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// An empty distribution.
    #[allow(clippy::expect_used, reason = "the three constants satisfy the histogram's conditions")]
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, 3);
        Self { histogram: histogram.expect("1 <= lowest, 2 * lowest <= highest, digits <= 5") }
    }

    /// Records one duration.
    #[inline]
    pub(crate) fn record(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos);
    }

    /// Takes in what another thread recorded.
    #[allow(clippy::expect_used, reason = "all of these histograms have the same bounds")]
    pub(crate) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("same bounds");
    }

    /// The figures for a report.
    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| micros(self.histogram.value_at_quantile(quantile));
        Percentiles {
            samples: self.histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: at(1.0),
        }
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_two_threads_are_those_of_all_samples() {
        let (mut low, mut high) = (Latency::new(), Latency::new());
        for micros in 1..=500 {
            low.record(micros * 1_000);
            high.record((micros + 500) * 1_000);
        }
        low.add(&high);
        let percentiles = low.percentiles();
        assert_eq!(percentiles.samples, 1_000);
        assert!((percentiles.p50 - 500.0).abs() < 1.0, "{percentiles:?}");
        assert!((percentiles.p99 - 990.0).abs() < 1.0, "{percentiles:?}");
        assert!((percentiles.max - 1_000.0).abs() < 1.0, "{percentiles:?}");
    }

    #[test]
    fn a_duration_beyond_the_bound_is_kept_at_the_bound() {
        let mut latency = Latency::new();
        latency.record(u64::MAX);
        assert_eq!(latency.percentiles().samples, 1);
        assert!(latency.percentiles().max >= micros(LONGEST_NS));
    }
}
