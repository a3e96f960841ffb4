//! What all scenarios do before and after: see that the server is there and that the limits allow the run, and add up
//! what the threads saw.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cli::CommonArguments;
use crate::client::dial::Dialer;
use crate::client::tls::Trust;
use crate::clock;
use crate::descriptors;
use crate::report::{Endings, Generator};
use crate::scrape::{self, Sample};
use crate::target::Target;
use crate::worker::Log;

/// What a run stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// Opens connections to the server, which is known to answer.
    pub(crate) dialer: Arc<Dialer>,
    /// Marks the messages, and by default the rooms, of this run.
    pub(crate) run: u32,
    /// The server's figures from before the first connection, where they were asked for.
    pub(crate) before: Option<Sample>,
}

impl Ground {
    /// Checks that so many connections are possible and that the server takes one. `path` is the usual one of what is
    /// loaded.
    pub(crate) fn prepare(
        arguments: &CommonArguments,
        path: &str,
        connections: u64,
    ) -> Result<Self> {
        let target = Target::parse(&arguments.url, path)?;
        descriptors::ensure(connections)?;
        let run = halve(RandomState::new().hash_one(std::process::id()));
        let trust = trust(arguments, &target)?;
        let dialer = Dialer { target, trust, timeout: arguments.timeout };
        let before = arguments.metrics.as_deref().map(scrape::scrape).transpose()?;
        try_out(&dialer, run).with_context(|| format!("cannot connect to {}", arguments.url))?;
        Ok(Self { dialer: Arc::new(dialer), run, before })
    }
}

/// What is needed to speak TLS with the server, if it does.
fn trust(arguments: &CommonArguments, target: &Target) -> Result<Option<Trust>> {
    let Some(host) = target.tls_host() else { return Ok(None) };
    let file = arguments.ca.as_deref().with_context(|| {
        format!("{} needs --ca FILE: nobody is trusted otherwise", arguments.url)
    })?;
    Trust::load(file, host, arguments.resume).map(Some)
}

/// Opens one connection and closes it, so that what is wrong with the target is said once and plainly.
fn try_out(dialer: &Dialer, run: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = dialer.target.path(&format!("loadtest-{run:08x}-first"));
    let mut connection = runtime.block_on(dialer.dial(0, &path))?;
    connection.queue_close();
    match connection.flush() {
        Ok(()) => Ok(()),
        Err(ending) => bail!("the first connection ended at once: {}", ending.label()),
    }
}

/// The connections that any thread lost.
pub(crate) fn endings(logs: &[Log]) -> Endings {
    let mut endings = Endings::default();
    for (reason, count) in logs.iter().flat_map(|log| &log.endings) {
        endings.lost += count;
        *endings.reasons.entry(reason.clone()).or_default() += count;
    }
    endings
}

/// What the threads used.
pub(crate) fn generator(logs: &[Log]) -> Generator {
    let deliveries: u64 =
        logs.iter().map(|log| log.heard.delivered + log.heard.delivered_to_visitors).sum();
    let reads: u64 = logs.iter().map(|log| log.reads).sum();
    let cpu_ns = logs.iter().map(|log| log.cpu_ns).sum();
    used(deliveries, reads, cpu_ns, logs.iter().map(|log| log.starved_ns).sum())
}

/// What threads used that took so many deliveries with so many reads.
pub(crate) fn used(deliveries: u64, reads: u64, cpu_ns: u64, starved_ns: Option<u64>) -> Generator {
    let cpu_secs = clock::secs(cpu_ns);
    Generator {
        cpu_secs,
        starved_secs: starved_ns.map(clock::secs),
        deliveries_per_cpu_sec: deliveries as f64 / cpu_secs.max(1e-9),
        frames_per_read: deliveries as f64 / reads.max(1) as f64,
        peak_resident_bytes: peak_resident_bytes(),
    }
}

/// `VmHWM` of `/proc/self/status`, which is in KiB.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

const fn halve(random: u64) -> u32 {
    random as u32
}
