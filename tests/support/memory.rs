//! What a process and the kernel's sockets take of memory.

use std::fs;

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> usize {
    status(pid, "VmRSS:")
}

/// The most that a process has had resident so far, in bytes.
pub fn peak_bytes(pid: u32) -> usize {
    status(pid, "VmHWM:")
}

fn status(pid: u32, key: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the key is there");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

/// What the TCP sockets of the whole machine hold, both ends of loopback connections, in bytes.
pub fn socket_bytes() -> usize {
    const PAGE_BYTES: usize = 4096;
    let sockstat = fs::read_to_string("/proc/net/sockstat").expect("sockstat can be read");
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:")).expect("a line for TCP");
    let pages = tcp.rsplit(' ').next().and_then(|pages| pages.parse().ok());
    pages.map(|pages: usize| pages * PAGE_BYTES).expect("mem is last")
}
