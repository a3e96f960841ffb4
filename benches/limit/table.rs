//! The tables, in Markdown: they read as they are and can be put into a page.

use std::fmt::{self, Write};

use super::sample::{Interval, Sample, Selection, Side, digits};
use super::workload::{Aim, Measure, Workload};

/// One figure of one workload, next to its yardstick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) measure: Measure,
    yardstick: Interval,
    uproar: Interval,
    /// Uproar's over the yardstick's, each round for itself.
    pub(crate) ratio: Interval,
}

impl Row {
    /// A row for each measure that has samples.
    pub(crate) fn all(workloads: &[&Workload], samples: &[Sample]) -> Vec<Self> {
        let measures = workloads
            .iter()
            .flat_map(|workload| workload.measures.iter().map(|measure| (workload.name, *measure)));
        let row = |(work, measure): (_, Measure)| {
            let of = |side| Selection { work, at: None, side, figure: measure.figure };
            let (yardstick, uproar) = (of(measure.against), of(Side::Uproar));
            Some(Self {
                workload: work,
                measure,
                yardstick: yardstick.interval(samples)?,
                uproar: uproar.interval(samples)?,
                ratio: uproar.ratio_to(&yardstick, samples)?,
            })
        };
        measures.filter_map(row).collect()
    }

    /// What it should come to, and whether its median does.
    fn aim(&self) -> String {
        let (aim, is_met) = match self.measure.aim {
            None => return String::new(),
            Some(Aim::Most(ratio)) => (format!("≤ {ratio:.2}"), self.ratio.median <= ratio),
            Some(Aim::Least(ratio)) => (format!("≥ {ratio:.2}"), self.ratio.median >= ratio),
            Some(Aim::Bound(most)) => (format!("≤ {most} itself"), self.uproar.median <= most),
        };
        format!("{aim}: {}", if is_met { "met" } else { "not met" })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} to {})", digits(self.median), digits(self.min), digits(self.max))
    }
}

/// The table of the workloads.
pub(crate) fn workloads(rows: &[Row], out: &mut String) -> fmt::Result {
    writeln!(out, "\n| workload | figure | yardstick | its own | Uproar | ratio | aim |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for row in rows {
        let Row { workload, measure, yardstick, uproar, ratio } = row;
        let (figure, against) = (measure.figure.label(), measure.against.label());
        writeln!(
            out,
            "| {workload} | {figure} | {against} | {yardstick} | {uproar} | {ratio} | {} |",
            row.aim()
        )?;
    }
    Ok(())
}
