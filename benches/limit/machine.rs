//! What the figures were measured on, and of which version.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::SystemTime;

use serde::Serialize;

use super::cores::Cores;
use super::crowd::connections_max;

/// The machine and the version.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    server_core: usize,
    client_core: usize,
    kernel: String,
    connections_max: usize,
    version: &'static str,
    /// Of the source tree; empty where it is none of Git's.
    commit: String,
    date: String,
}

impl Machine {
    /// As it is now.
    pub(crate) fn look(cores: Cores) -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let is_core = |line: &&str| line.starts_with("processor");
        let model = information.lines().find_map(|line| line.strip_prefix("model name"));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: model.unwrap_or("unknown").trim_matches([' ', '\t', ':']).to_owned(),
            cores: information.lines().filter(is_core).count(),
            server_core: cores.server,
            client_core: cores.client,
            kernel: kernel.trim().to_owned(),
            connections_max: connections_max(),
            version: env!("CARGO_PKG_VERSION"),
            commit: commit().unwrap_or_default(),
            date: httpdate::fmt_http_date(SystemTime::now()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, kernel, version, commit, date, .. } = self;
        writeln!(f, "{processor}, {cores} cores, Linux {kernel}; Uproar {version} {commit}; {date}")
    }
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
