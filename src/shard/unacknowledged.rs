//! How much of what was written the peer's kernel has not acknowledged: the one question that needs an `ioctl`.

use mio::net::TcpStream;

/// Bytes in the kernel's send queue, sent or not, that the peer has not acknowledged; 0 where it cannot be told.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no safe wrapper for SIOCOUTQ exists")]
pub(crate) fn unacknowledged_bytes(stream: &TcpStream) -> u32 {
    use rustix::ioctl::{Getter, Opcode, ioctl};

    /// `SIOCOUTQ`, which has the number of `TIOCOUTQ` on every architecture (tcp(7)).
    const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;
    // SAFETY: SIOCOUTQ writes one C int through its argument, which is what `Getter` passes.
    let queued = unsafe { ioctl(stream, Getter::<SIOCOUTQ, std::ffi::c_int>::new()) };
    queued.ok().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0)
}

/// Bytes in the kernel's send queue that the peer has not acknowledged: not known on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unacknowledged_bytes(_stream: &TcpStream) -> u32 {
    0
}
