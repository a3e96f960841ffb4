//! What a run of `chat` came to.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::table::{Table, count};
use super::{Endings, Generator, Opening, Report, SentFigures};
use crate::chat::Faults;
use crate::cli::ChatArguments;
use crate::latency::Percentiles;
use crate::scrape::ServerFigures;

/// The outcome of `chat`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChatReport {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) load: ChatLoad,
    pub(crate) opening: Opening,
    /// From a join to its answer, at the start and on return.
    pub(crate) join_us: Percentiles,
    pub(crate) sent: SentFigures,
    /// From when a message was due to when it was composed: the generator was late, or the server did not read.
    pub(crate) send_lag_us: Percentiles,
    pub(crate) acks: AckFigures,
    pub(crate) deliveries: Delivered,
    /// From when a message was due to its arrival at one session that was there, its sender included.
    pub(crate) latency_us: Percentiles,
    /// The handshakes of those who came late or came back.
    pub(crate) later_handshake_us: Option<Percentiles>,
    pub(crate) storms: Option<Storms>,
    pub(crate) late: Option<Late>,
    pub(crate) audit: Faults,
    /// Errors that the server answered with, by code.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) connections: Endings,
    pub(crate) server: Option<ServerFigures>,
    pub(crate) generator: Generator,
    pub(crate) passed: bool,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChatLoad {
    pub(crate) sessions: u32,
    pub(crate) late: u32,
    pub(crate) rooms: u32,
    pub(crate) rooms_per_session: u32,
    pub(crate) skew: f64,
    pub(crate) senders: u32,
    pub(crate) body_bytes: usize,
    pub(crate) history: u32,
    /// Messages per second of all senders, in an open loop.
    pub(crate) rate: Option<f64>,
    /// Messages that each sender keeps unacknowledged, in saturation.
    pub(crate) window: Option<u32>,
    pub(crate) duration_secs: f64,
    pub(crate) warmup_secs: f64,
    pub(crate) storms: u32,
    pub(crate) storm_share: f64,
    pub(crate) storm_away_secs: f64,
    pub(crate) threads: usize,
}

impl ChatLoad {
    /// What the command line says.
    pub(crate) fn new(arguments: &ChatArguments) -> Self {
        Self {
            sessions: arguments.sessions,
            late: arguments.late,
            rooms: arguments.rooms,
            rooms_per_session: arguments.rooms_per_session.min(arguments.rooms),
            skew: arguments.skew,
            senders: arguments.senders,
            body_bytes: arguments.body_bytes,
            history: arguments.history,
            rate: arguments.window.is_none().then_some(arguments.rate),
            window: arguments.window,
            duration_secs: arguments.duration.as_secs_f64(),
            warmup_secs: arguments.warmup.as_secs_f64(),
            storms: arguments.storms,
            storm_share: arguments.storm_share,
            storm_away_secs: arguments.storm_away.as_secs_f64(),
            threads: arguments.common.threads(),
        }
    }
}

/// What was acknowledged.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AckFigures {
    pub(crate) count: u64,
    /// Those that promise that the message survives the server.
    pub(crate) stored: u64,
    /// In the measured time.
    pub(crate) per_sec: f64,
    /// From when a message was due to its ack. Those that were sent again are left out.
    pub(crate) latency_us: Percentiles,
}

/// What arrived at the sessions that were there from the start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivered {
    /// What the acknowledged messages make at those that are there at the end too.
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// In the measured time.
    pub(crate) per_sec: f64,
}

/// What the storms did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Storms {
    /// Times that a session was cut off.
    pub(crate) cut: u64,
    /// Times that one had caught up again.
    pub(crate) resumed: u64,
    /// From the cut, its time away included, to when it had caught up in all of its rooms.
    pub(crate) resume_us: Percentiles,
    /// Messages that were given to those who came back.
    pub(crate) replayed: u64,
    /// Messages that were sent once more, as their ack had not come.
    pub(crate) sent_again: u64,
}

/// Who came while others sent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Late {
    pub(crate) sessions: u32,
    /// What they received, history included.
    pub(crate) deliveries: u64,
}

impl Report for ChatReport {
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table { out };
        table.row("target", &self.target)?;
        self.write_load(&mut table)?;
        table.opening(&self.opening)?;
        table.percentiles("join", &self.join_us)?;
        self.write_traffic(&mut table)?;
        self.write_comings(&mut table)?;
        table.server(self.server.as_ref())?;
        table.generator(&self.generator)?;
        table.endings(&self.connections)?;
        for (code, count) in &self.errors {
            table.row("error answered", format!("{count} {code}"))?;
        }
        self.write_audit(&mut table)?;
        table.verdict(self.passed)
    }
}

impl ChatReport {
    fn write_load(&self, table: &mut Table<'_>) -> io::Result<()> {
        let ChatLoad { sessions, rooms, rooms_per_session, skew, senders, body_bytes, .. } =
            &self.load;
        let who = format!("{sessions} sessions, {senders} of them send {body_bytes} bytes of text");
        table.row("load", format!("{who}, {} threads", self.load.threads))?;
        let each = format!("{rooms_per_session} of {rooms} for each session");
        table.row("rooms", format!("{each}, by Zipf with exponent {skew}"))?;
        let load = &self.load;
        let pace = match (load.window, load.rate) {
            (Some(window), _) => format!("saturation, {window} unacknowledged per sender"),
            (None, rate) => format!("open loop, {} messages/s", rate.unwrap_or(0.0)),
        };
        let times = format!("{} s after {} s of warm-up", load.duration_secs, load.warmup_secs);
        table.row("pace", format!("{pace}, {times}"))
    }

    fn write_traffic(&self, table: &mut Table<'_>) -> io::Result<()> {
        let sent = &self.sent;
        table.row("sent", format!("{} messages, {}/s", sent.messages, count(sent.per_sec)))?;
        if sent.withheld > 0 {
            let why = "that were due were not sent: their sender was away or late";
            table.row("  withheld", format!("{} {why}", sent.withheld))?;
        }
        let AckFigures { count: acked, stored, per_sec, .. } = &self.acks;
        table.row("acks", format!("{acked}, {stored} of them stored, {}/s", count(*per_sec)))?;
        table.percentiles("  latency", &self.acks.latency_us)?;
        let Delivered { expected, received, per_sec } = &self.deliveries;
        table.row("deliveries", format!("{received} of {expected}, {}/s", count(*per_sec)))?;
        table.percentiles("  latency", &self.latency_us)?;
        if self.load.window.is_none() {
            table.percentiles("  of it send lag", &self.send_lag_us)?;
        }
        Ok(())
    }

    fn write_comings(&self, table: &mut Table<'_>) -> io::Result<()> {
        if let Some(storms) = &self.storms {
            let Storms { cut, resumed, replayed, sent_again, .. } = storms;
            let what = format!("{replayed} messages replayed, {sent_again} sent again");
            table.row("storms", format!("{cut} cut off, {resumed} back, {what}"))?;
            table.percentiles("  back after", &storms.resume_us)?;
        }
        if let Some(handshakes) = &self.later_handshake_us {
            table.percentiles("later handshakes", handshakes)?;
        }
        if let Some(Late { sessions, deliveries }) = &self.late {
            table.row("late", format!("{sessions} sessions, {deliveries} deliveries"))?;
        }
        Ok(())
    }

    fn write_audit(&self, table: &mut Table<'_>) -> io::Result<()> {
        let Faults { lost, duplicated, reordered, unlinked, diverged, .. } = self.audit;
        let Faults { foreign, corrupted, misacked, unacked, gaps, epochs, .. } = self.audit;
        table
            .row("audit", format!("lost {lost}  duplicated {duplicated}  reordered {reordered}"))?;
        table.row("", format!("unlinked {unlinked}  diverged {diverged}  gaps {gaps}"))?;
        table.row("", format!("foreign {foreign}  corrupted {corrupted}  epochs {epochs}"))?;
        table.row("", format!("misacked {misacked}  unacked {unacked}"))
    }
}
