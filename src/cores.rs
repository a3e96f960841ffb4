//! The cores that the process may use, and keeping a shard's thread on one of them.

/// The numbers of the cores in the process's affinity mask, ascending; none where the system cannot tell.
#[cfg(target_os = "linux")]
pub(crate) fn usable() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Keeps the calling thread on one core. Where that is not allowed it goes where the scheduler puts it.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(%error, core, "a shard could not be pinned to its core");
    }
}

/// The cores: not known on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn usable() -> Vec<usize> {
    Vec::new()
}

/// Not done on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_core: usize) {}
