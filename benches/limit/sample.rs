//! Figures: what one run gave, what several gave together, and the ratio of two servers' figures.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// CPU time of the server for each delivery, in microseconds.
    CpuUsPerDelivery,
    DeliveriesPerSec,
    /// From when a message was due to its arrival at one member, 99th percentile.
    LatencyMsP99,
    /// CPU time of the server for each connection, in microseconds.
    CpuUsPerConnection,
    ConnectionsPerSec,
    /// Resident memory of the server for each idle connection.
    BytesPerConnection,
}

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// The yardstick with one `send` for each message and member.
    BareSend,
    /// The yardstick with one `send` for each member and turn.
    BareTurn,
    /// Uproar with sender and members on one shard, where that is what Uproar is held against.
    OneShard,
    Uproar,
}

/// What one run gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// Those of one round were measured next to each other.
    pub(crate) round: u32,
    /// The workload or curve.
    pub(crate) work: &'static str,
    /// Where on the curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    pub(crate) side: Side,
    pub(crate) figures: BTreeMap<Figure, f64>,
    /// Whether everything arrived once, in order and unchanged.
    pub(crate) passed: bool,
    /// What else the client has to say.
    pub(crate) details: serde_json::Value,
}

/// The median of several values, with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// One figure of one side, over all rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    pub(crate) work: &'static str,
    pub(crate) at: Option<u64>,
    pub(crate) side: Side,
    pub(crate) figure: Figure,
}

impl Figure {
    /// Its name with its unit, as in a table.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::CpuUsPerDelivery => "CPU µs per delivery",
            Self::DeliveriesPerSec => "deliveries/s",
            Self::LatencyMsP99 => "p99 ms",
            Self::CpuUsPerConnection => "CPU µs per connection",
            Self::ConnectionsPerSec => "connects/s",
            Self::BytesPerConnection => "bytes per connection",
        }
    }
}

impl Side {
    /// Its name, as in a table.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::BareSend => "bare send",
            Self::BareTurn => "bare turn",
            Self::OneShard => "one shard",
            Self::Uproar => "Uproar",
        }
    }
}

impl Interval {
    /// None of no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }
}

impl Selection {
    /// Over all rounds.
    pub(crate) fn interval(&self, samples: &[Sample]) -> Option<Interval> {
        Interval::of(self.rounds(samples).into_values())
    }

    /// How many times as much as the other, each round for itself. A round in which the other had nothing gives none.
    pub(crate) fn ratio_to(&self, other: &Self, samples: &[Sample]) -> Option<Interval> {
        let others = other.rounds(samples);
        let pairs = self.rounds(samples).into_iter();
        let ratios = pairs.filter_map(|(round, value)| Some(value / others.get(&round)?));
        Interval::of(ratios.filter(|ratio| ratio.is_finite()))
    }

    fn rounds(&self, samples: &[Sample]) -> BTreeMap<u32, f64> {
        let of_this = |sample: &&Sample| {
            (sample.work, sample.at, sample.side) == (self.work, self.at, self.side)
        };
        let values = samples.iter().filter(of_this);
        values
            .filter_map(|sample| Some((sample.round, *sample.figures.get(&self.figure)?)))
            .collect()
    }
}

/// Three significant digits, with thousands and millions as k and M.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        endless if !endless.is_finite() => value.to_string(),
        large if large >= 999_500.0 => format!("{} M", digits(value / 1e6)),
        medium if medium >= 9_995.0 => format!("{} k", digits(value / 1e3)),
        whole if whole >= 99.95 => format!("{value:.0}"),
        tens if tens >= 9.995 => format!("{value:.1}"),
        ones if ones >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
