//! The load generator of this workspace: it audits every frame, keeps several messages under way and has a timetable.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::crowd::connections_max;
use super::sample::Figure;
use super::server::Server;
use super::workload::Taken;

/// The generator's binary.
pub(crate) struct Generator {
    binary: PathBuf,
}

/// Who talks to whom, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rooms: Rooms,
    /// Senders of each room.
    pub(crate) senders: usize,
    pub(crate) pace: Pace,
    /// Bytes of each message.
    pub(crate) size: usize,
}

/// How many rooms and members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rooms {
    /// One room of so many.
    One(usize),
    /// One room of as many as descriptors allow.
    Widest,
    /// Rooms of so many, at most so many of them, or what descriptors allow.
    Many { members: usize, most: usize },
}

/// When the next message is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When each sender has fewer than so many outstanding.
    Window(usize),
    /// So many a second.
    Rate(usize),
}

impl Generator {
    /// Has it built: a benchmark may not depend on another package's binary.
    pub(crate) fn build() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = Command::new(cargo);
        cargo.args(["build", "--quiet", "--release", "--package", "loadtest"]);
        cargo.args(["--message-format", "json"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        // To where this program was built as well.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        cargo.arg("--target-dir").arg(target.context("the target directory has a parent")?);
        let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        if !output.status.success() {
            bail!("the load generator cannot be built: {cargo:?}");
        }
        let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        let paths = messages.filter_map(|message| {
            let message = message.ok()?;
            Some(PathBuf::from(message["executable"].as_str()?))
        });
        let binary = paths.last().context("cargo does not say where the load generator is")?;
        Ok(Self { binary })
    }

    /// Puts that load on a server. What the server's CPU time covers is what is counted: everything from before the
    /// first message of the warm-up until the last one has arrived.
    pub(crate) fn fanout(&self, server: &Server, load: &Load, seconds: Duration) -> Result<Taken> {
        let mut command = Command::new(&self.binary);
        command.args(["fanout", "--json", "--stages", "--threads", "1", "--drain", "30"]);
        command.args(["--url", &format!("ws://{}", server.address)]);
        command.args(["--duration", &seconds.as_secs_f64().to_string()]);
        command.args(["--warmup", &(seconds.as_secs_f64() / 4.0).to_string()]);
        command.args(load.options());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (mut began, mut ended, mut said) = (None, None, Vec::new());
        let lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        for line in lines.map_while(Result::ok) {
            match line.as_str() {
                "sending" => began = Some(server.process().cpu_secs()?),
                "settled" => ended = Some(server.process().cpu_secs()?),
                _ => said.push(line),
            }
        }
        let mut json = String::new();
        child.stdout.take().context("stdout is piped")?.read_to_string(&mut json)?;
        child.wait()?;
        let cpu = began.zip(ended).map(|(began, ended)| ended - began);
        let report: Option<Value> = serde_json::from_str(&json).ok();
        match report.zip(cpu) {
            Some((report, cpu)) => taken(&report, cpu),
            None => bail!("the load generator failed: {}", said.join("; ")),
        }
    }
}

impl Load {
    fn options(&self) -> Vec<String> {
        let (rooms, members) = self.rooms.count();
        let (pace, much) = match self.pace {
            Pace::Window(messages) => ("--window", messages),
            Pace::Rate(per_sec) => ("--rate", per_sec),
        };
        let options = [
            ("--rooms", rooms),
            ("--members", rooms * members),
            ("--senders", self.senders),
            ("--size", self.size),
            (pace, much),
        ];
        options.into_iter().flat_map(|(name, value)| [name.into(), value.to_string()]).collect()
    }
}

impl Rooms {
    /// How many rooms, and how many members each.
    pub(crate) fn count(self) -> (usize, usize) {
        match self {
            Self::One(members) => (1, members),
            Self::Widest => (1, connections_max()),
            Self::Many { members, most } => ((connections_max() / members).min(most), members),
        }
    }
}

/// The figures of a report.
fn taken(report: &Value, cpu_secs: f64) -> Result<Taken> {
    let number = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("the load generator's report has no {path}"))
    };
    let received = number("/deliveries/received")?;
    let figures = BTreeMap::from([
        (Figure::CpuUsPerDelivery, cpu_secs * 1e6 / received.max(1.0)),
        (Figure::DeliveriesPerSec, number("/deliveries/per_sec")?),
        (Figure::LatencyMsP99, number("/latency_us/p99")? / 1e3),
    ]);
    let details = json!({
        "cpu_secs": cpu_secs,
        "sent": report["sent"],
        "deliveries": report["deliveries"],
        "latency_us": report["latency_us"],
        "audit": report["audit"],
        "lost_connections": report["connections"],
        "generator": report["generator"],
    });
    Ok(Taken { figures, details, passed: report["passed"] == true })
}
