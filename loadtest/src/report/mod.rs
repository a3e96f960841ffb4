//! What a run came to, for people (a table) and for programs (one JSON object). The two say the same.

pub(crate) mod chat;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::audit::Faults;
use crate::cli::FanoutArguments;
use crate::client::opened::Opened;
use crate::clock::per_sec;
use crate::latency::Percentiles;
use crate::scrape::ServerFigures;
use crate::worker::auditor::Heard;

/// Prints a report on standard output.
pub(crate) fn print(report: &impl Report, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
    } else {
        report.write_table(&mut out)?;
    }
    Ok(())
}

/// Says on standard error why a run could not be set up.
pub(crate) fn print_error(error: &anyhow::Error) {
    // Where nobody reads, nobody needs to know that.
    let _ = writeln!(io::stderr(), "loadtest: {error:#}");
}

/// Something that can be printed both ways.
pub(crate) trait Report: Serialize {
    /// Writes it for people.
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// The outcome of `connect`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConnectReport {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) opening: Opening,
    /// How long the connections were held.
    pub(crate) hold_secs: f64,
    pub(crate) connections: Endings,
    /// Messages that came although nobody sends any: notices of the server, or another's.
    pub(crate) unexpected_messages: u64,
    pub(crate) server: Option<ServerFigures>,
    pub(crate) generator: Generator,
    pub(crate) passed: bool,
}

/// The outcome of `fanout`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FanoutReport {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) load: Load,
    pub(crate) opening: Opening,
    pub(crate) sent: SentFigures,
    pub(crate) deliveries: Deliveries,
    /// From when a message was due to its arrival at one member, for every delivery of the measured time.
    pub(crate) latency_us: Percentiles,
    /// From when a message was due to when it was composed. A part of the latency: where it is large, the generator
    /// was late or the server did not read.
    pub(crate) send_lag_us: Percentiles,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) audit: Faults,
    pub(crate) connections: Endings,
    pub(crate) churn: Option<Visitors>,
    pub(crate) server: Option<ServerFigures>,
    pub(crate) generator: Generator,
    pub(crate) passed: bool,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) members: u32,
    pub(crate) rooms: u32,
    pub(crate) senders_per_room: u32,
    pub(crate) size_bytes: usize,
    pub(crate) kind: &'static str,
    /// Messages per second of all senders, in an open loop.
    pub(crate) rate: Option<f64>,
    /// Messages that each sender keeps outstanding, in saturation.
    pub(crate) window: Option<u32>,
    pub(crate) duration_secs: f64,
    pub(crate) warmup_secs: f64,
    pub(crate) churn_per_sec: f64,
    pub(crate) quiet_members: u32,
    pub(crate) quiet_rate: f64,
    pub(crate) threads: usize,
}

impl Load {
    /// What the command line says.
    pub(crate) fn new(arguments: &FanoutArguments) -> Self {
        Self {
            members: arguments.members,
            rooms: arguments.rooms,
            senders_per_room: arguments.senders,
            size_bytes: arguments.size,
            kind: if arguments.binary { "binary" } else { "text" },
            rate: arguments.window.is_none().then_some(arguments.rate),
            window: arguments.window,
            duration_secs: arguments.duration.as_secs_f64(),
            warmup_secs: arguments.warmup.as_secs_f64(),
            churn_per_sec: arguments.churn,
            quiet_members: arguments.quiet_members,
            quiet_rate: arguments.quiet_rate,
            threads: arguments.common.threads(),
        }
    }
}

/// How the connections were opened.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Opening {
    pub(crate) asked_for: u64,
    pub(crate) opened: u64,
    pub(crate) per_sec: f64,
    pub(crate) handshake_us: Percentiles,
    pub(crate) failed: u64,
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Opening {
    /// The figures of what was opened.
    pub(crate) fn new(asked_for: u64, opened: &Opened) -> Self {
        Self {
            asked_for,
            opened: opened.count,
            per_sec: per_sec(opened.count, opened.elapsed),
            handshake_us: opened.handshake.percentiles(),
            failed: opened.failed(),
            failures: opened.kinds(),
        }
    }
}

/// What was sent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SentFigures {
    pub(crate) messages: u64,
    /// Over warm-up and measured time.
    pub(crate) per_sec: f64,
    /// Messages of the timetable that were not sent by the stop: the server took no more, or the generator was too
    /// late.
    pub(crate) withheld: u64,
}

/// What arrived at the members of the main rooms that stay.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Deliveries {
    /// What the messages that were sent make, if nothing is lost.
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// In the measured time.
    pub(crate) per_sec: f64,
    /// Payload in the measured time.
    pub(crate) payload_bytes_per_sec: f64,
}

impl Deliveries {
    /// The figures of what was heard, where `expected` was to be.
    pub(crate) fn new(arguments: &FanoutArguments, heard: &Heard, expected: u64) -> Self {
        let per_sec = per_sec(heard.delivered_measured, arguments.duration);
        Self {
            expected,
            received: heard.delivered,
            per_sec,
            payload_bytes_per_sec: per_sec * arguments.size as f64,
        }
    }
}

/// What the quiet room saw; its faults are among the others.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Quiet {
    pub(crate) deliveries: u64,
    pub(crate) latency_us: Percentiles,
}

/// Connections that ended without being asked to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Endings {
    pub(crate) lost: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// Who came and went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Visitors {
    pub(crate) joined: u64,
    pub(crate) left: u64,
    pub(crate) deliveries: u64,
    pub(crate) handshake_us: Percentiles,
    pub(crate) failed: u64,
    pub(crate) failures: BTreeMap<String, u64>,
}

/// What the generator itself used: whether it, and not the server, was the limit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Generator {
    /// CPU time of the threads that drive connections.
    pub(crate) cpu_secs: f64,
    /// How long they could have run but had no core: where it is not far below the CPU time, the machine was too small
    /// for both sides and the latency is partly its own. Absent where the system does not tell.
    pub(crate) starved_secs: Option<f64>,
    /// Deliveries for each second of that CPU time.
    pub(crate) deliveries_per_cpu_sec: f64,
    /// Frames for each call of `recv`.
    pub(crate) frames_per_read: f64,
    /// The most memory that the process ever held, where the system tells.
    pub(crate) peak_resident_bytes: Option<u64>,
}
