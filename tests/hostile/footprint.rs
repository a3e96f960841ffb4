//! What a process holds: resident memory, now and at its peak, and descriptors.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::memory::{peak_bytes, resident_bytes};
use crate::support::{PATIENCE, pause, wait_for};

/// The log's own files, which each of its readers opens when it first has something to read. Far below what a case that
/// leaks a descriptor for each peer would leave.
const LOG_FILES_MAX: usize = 8;

/// What one process held at one moment.
pub(crate) struct Footprint {
    pid: u32,
    resident: usize,
    descriptors: usize,
}

impl Footprint {
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid, resident: resident_bytes(pid), descriptors: descriptors(pid) }
    }

    /// From now on the peak counts anew.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5")
            .expect("a child's peak can be reset");
    }

    /// Requires that the process never held more than `peak` bytes above this since the peak was forgotten, and waits
    /// until it holds no more than `kept` above it, and no more descriptors than then, but for the log's files.
    #[track_caller]
    pub(crate) fn check(&self, what: &str, peak: usize, kept: usize) {
        let grown = peak_bytes(self.pid).saturating_sub(self.resident);
        assert!(grown <= peak, "{what}: {grown} bytes more at the peak, {peak} are allowed");
        wait_for(&format!("{what}: descriptors back to {}", self.descriptors), || {
            (descriptors(self.pid) <= self.descriptors + LOG_FILES_MAX).then_some(())
        });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let more = resident_bytes(self.pid).saturating_sub(self.resident);
            if more <= kept {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: {more} bytes kept, {kept} are allowed");
            pause(Duration::from_millis(20));
        }
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs").count()
}
