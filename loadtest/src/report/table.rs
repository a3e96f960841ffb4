//! The table: a line a figure, units written out, faults last.

use std::io::{self, Write};

use super::{
    ConnectReport, Deliveries, Endings, FanoutReport, Generator, Opening, Report, Visitors,
};
use crate::audit::Faults;
use crate::latency::Percentiles;
use crate::scrape::ServerFigures;

/// Width of the first column.
const LABEL: usize = 18;

/// Writes lines of a label and what belongs to it.
pub(super) struct Table<'a> {
    pub(super) out: &'a mut dyn Write,
}

impl Table<'_> {
    pub(super) fn row(&mut self, label: &str, value: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{label:LABEL$} {value}")
    }

    pub(super) fn percentiles(&mut self, label: &str, figures: &Percentiles) -> io::Result<()> {
        if figures.samples == 0 {
            return self.row(label, "nothing recorded");
        }
        let columns = [
            ("p50", figures.p50),
            ("p90", figures.p90),
            ("p99", figures.p99),
            ("p99.9", figures.p99_9),
            ("p99.99", figures.p99_99),
            ("max", figures.max),
        ];
        let columns = columns.map(|(name, micros)| format!("{name} {}", time(micros)));
        self.row(label, columns.join("  "))
    }

    pub(super) fn opening(&mut self, opening: &Opening) -> io::Result<()> {
        let Opening { asked_for, opened, per_sec, .. } = opening;
        self.row("connections", format!("{opened} of {asked_for} opened, {}/s", count(*per_sec)))?;
        self.percentiles("handshake", &opening.handshake_us)?;
        for (kind, count) in &opening.failures {
            self.row("  failed", format!("{count} {kind}"))?;
        }
        Ok(())
    }

    pub(super) fn endings(&mut self, endings: &Endings) -> io::Result<()> {
        self.row("lost connections", endings.lost)?;
        for (reason, count) in &endings.reasons {
            self.row("  ended", format!("{count} {reason}"))?;
        }
        Ok(())
    }

    pub(super) fn server(&mut self, server: Option<&ServerFigures>) -> io::Result<()> {
        let Some(server) = server else { return Ok(()) };
        let cpu = |secs: f64| format!("{secs:.2} s");
        let rows = [
            ("server CPU", server.cpu_seconds.map(cpu)),
            ("  per delivery", server.cpu_us_per_delivery.map(|micros| format!("{micros:.4} us"))),
            ("server deliveries", server.deliveries.map(count)),
            ("  per write", server.frames_per_write.map(|frames| format!("{frames:.2}"))),
            ("server RSS before", server.resident_bytes_before.map(bytes)),
            ("server RSS after", server.resident_bytes_after.map(bytes)),
        ];
        for (label, value) in rows {
            if let Some(value) = value {
                self.row(label, value)?;
            }
        }
        for name in &server.missing {
            self.row("  not available", format!("the endpoint has no {name}"))?;
        }
        Ok(())
    }

    pub(super) fn generator(&mut self, generator: &Generator) -> io::Result<()> {
        let Generator { cpu_secs, starved_secs, deliveries_per_cpu_sec, frames_per_read, .. } =
            generator;
        let starved =
            starved_secs.map_or(String::new(), |secs| format!(", {secs:.2} s without a core"));
        self.row("generator", format!("{cpu_secs:.2} s CPU{starved}"))?;
        let rate = count(*deliveries_per_cpu_sec);
        let figures = format!("{rate} deliveries per CPU second, {frames_per_read:.1} per read");
        self.row("  audited", figures)?;
        match generator.peak_resident_bytes {
            Some(peak) => self.row("  peak RSS", bytes(peak as f64)),
            None => Ok(()),
        }
    }

    fn audit(&mut self, audit: &Faults) -> io::Result<()> {
        let Faults { lost, duplicated, reordered, foreign, echoed, corrupted } = audit;
        self.row("audit", format!("lost {lost}  duplicated {duplicated}  reordered {reordered}"))?;
        self.row("", format!("foreign {foreign}  echoed {echoed}  corrupted {corrupted}"))
    }

    pub(super) fn verdict(&mut self, passed: bool) -> io::Result<()> {
        self.row("verdict", if passed { "passed" } else { "FAILED" })
    }
}

impl Report for ConnectReport {
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table { out };
        table.row("target", &self.target)?;
        table.opening(&self.opening)?;
        table.row("held", format!("{} s", self.hold_secs))?;
        if self.unexpected_messages > 0 {
            table.row("  messages heard", self.unexpected_messages)?;
        }
        table.server(self.server.as_ref())?;
        table.generator(&self.generator)?;
        table.endings(&self.connections)?;
        table.verdict(self.passed)
    }
}

impl Report for FanoutReport {
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table { out };
        table.row("target", &self.target)?;
        self.write_load(&mut table)?;
        table.opening(&self.opening)?;
        self.write_traffic(&mut table)?;
        table.server(self.server.as_ref())?;
        table.generator(&self.generator)?;
        table.endings(&self.connections)?;
        table.audit(&self.audit)?;
        table.verdict(self.passed)
    }
}

impl FanoutReport {
    fn write_load(&self, table: &mut Table<'_>) -> io::Result<()> {
        let load = &self.load;
        table.row(
            "load",
            format!(
                "{} members in {} rooms, {} senders each, {} bytes of {}, {} threads",
                load.members,
                load.rooms,
                load.senders_per_room,
                load.size_bytes,
                load.kind,
                load.threads
            ),
        )?;
        let pace = match (load.window, load.rate) {
            (Some(window), _) => format!("saturation, {window} outstanding per sender"),
            (None, rate) => format!("open loop, {} messages/s", rate.unwrap_or(0.0)),
        };
        let times = format!("{} s after {} s of warm-up", load.duration_secs, load.warmup_secs);
        table.row("pace", format!("{pace}, {times}"))
    }

    fn write_traffic(&self, table: &mut Table<'_>) -> io::Result<()> {
        let sent = &self.sent;
        table.row("sent", format!("{} messages, {}/s", sent.messages, count(sent.per_sec)))?;
        if sent.withheld > 0 {
            table.row(
                "  withheld",
                format!("{} that were due were not sent by the stop", sent.withheld),
            )?;
        }
        let Deliveries { expected, received, per_sec, payload_bytes_per_sec } = &self.deliveries;
        let rates = format!("{}/s, {}/s", count(*per_sec), bytes(*payload_bytes_per_sec));
        table.row("deliveries", format!("{received} of {expected}, {rates}"))?;
        table.percentiles("latency", &self.latency_us)?;
        if self.load.window.is_none() {
            table.percentiles("  of it send lag", &self.send_lag_us)?;
        }
        if let Some(quiet) = &self.quiet {
            table.percentiles("quiet room", &quiet.latency_us)?;
        }
        if let Some(churn) = &self.churn {
            let Visitors { joined, left, deliveries, .. } = churn;
            table.row(
                "visitors",
                format!("{joined} joined, {left} left, {deliveries} deliveries"),
            )?;
            table.percentiles("  handshake", &churn.handshake_us)?;
            for (kind, count) in &churn.failures {
                table.row("  failed", format!("{count} {kind}"))?;
            }
        }
        Ok(())
    }
}

/// A duration of so many microseconds, with its unit.
fn time(micros: f64) -> String {
    match micros {
        small if small < 1e3 => format!("{small:.0} us"),
        medium if medium < 1e6 => format!("{:.2} ms", medium / 1e3),
        large => format!("{:.2} s", large / 1e6),
    }
}

/// A count or a rate, short.
pub(super) fn count(value: f64) -> String {
    match value {
        small if small < 1e4 => format!("{small:.0}"),
        medium if medium < 1e6 => format!("{:.1} k", medium / 1e3),
        large => format!("{:.2} M", large / 1e6),
    }
}

/// An amount of memory or traffic, short.
fn bytes(value: f64) -> String {
    format!("{:.1} MiB", value / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_the_unit_that_fits() {
        let times = [999.0, 1_500.0, 2_500_000.0].map(time);
        assert_eq!(times, ["999 us", "1.50 ms", "2.50 s"]);
        let counts = [9_999.0, 15_000.0, 2_500_000.0].map(count);
        assert_eq!(counts, ["9999", "15.0 k", "2.50 M"]);
        assert_eq!(bytes(1_572_864.0), "1.5 MiB");
    }
}
