//! A process seen from outside, through `/proc`: every server is measured alike, whatever it says of itself.

use std::fs;
use std::io;

use anyhow::{Context, Result};

/// A process of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) id: u32,
}

impl Process {
    /// CPU time of its living threads, in seconds. The scheduler counts in nanoseconds, where the fields of
    /// `/proc/PID/stat` are in ticks of 10 ms.
    pub(crate) fn cpu_secs(self) -> Result<f64> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id)).context("the server is gone")? {
            match fs::read_to_string(task?.path().join("schedstat")) {
                Ok(line) => {
                    let first = line.split(' ').next().and_then(|field| field.parse::<u64>().ok());
                    nanos += first.with_context(|| format!("schedstat says {line:?}"))?;
                }
                // A thread may end at any time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("the kernel has no schedstat"),
            }
        }
        Ok(nanos as f64 / 1e9)
    }

    /// Resident memory in bytes, counted exactly: `VmRSS` may be behind by dozens of pages for each core.
    pub(crate) fn resident_bytes(self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id))
            .context("the server is gone, or the kernel has no smaps_rollup")?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.context("smaps_rollup has no Rss")? * 1024.0)
    }
}
