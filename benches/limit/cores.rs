//! One core for the server and another for its client, so that neither takes the other's time.

use std::fs;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which core does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) client: usize,
}

impl Cores {
    /// The first core that may be used, and another one: of another physical core where there is one.
    pub(crate) fn choose() -> Result<Self> {
        let set = sched_getaffinity(None).context("cannot see which cores may be used")?;
        let usable: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
        let [server, others @ ..] = &usable[..] else { bail!("there is no core") };
        let siblings = siblings(*server);
        let apart = others.iter().find(|core| !siblings.contains(core));
        match apart.or(others.first()) {
            Some(client) => Ok(Self { server: *server, client: *client }),
            None => {
                bail!("there is one core, and it takes two: one for the server, one for its client")
            }
        }
    }

    /// Keeps the calling thread, and what it starts, on the client's core.
    pub(crate) fn be_client(self) -> Result<()> {
        pin(self.client)
    }

    /// Keeps the calling thread, and what it starts, on the server's core.
    pub(crate) fn be_server(self) -> Result<()> {
        pin(self.server)
    }
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot stay on core {core}"))
}

/// The cores that share a physical one with that core, itself included; none where the system does not tell.
fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let list = fs::read_to_string(path).unwrap_or_default();
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}
