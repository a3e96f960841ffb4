//! A shard's own listener on the shared port, and the accepting that survives a full descriptor table.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};

use crate::shard::counters::AcceptError;

/// Connections that the kernel completes before they are accepted. The kernel cuts it to its `somaxconn`.
pub(crate) const BACKLOG: i32 = 4096;

/// After an accept failed for want of descriptors, the next try: readiness is not told again, and asking at once
/// would be a busy loop.
const BACKOFF: Duration = Duration::from_millis(100);

/// Bytes not yet sent of one connection that the kernel takes before it says that it is full, so that a slow
/// reader's queue is in the outbox, where it is shared, counted and bounded. Enough to keep a fast one busy.
const NOT_SENT_BYTES_MAX: u32 = 128 * 1024;

/// Drops the packets that ask for a connection, and no others: a program for the kernel's packet filter, which sees
/// the TCP header. Loads the byte of flags, keeps SYN and ACK of it, and takes what is not a SYN alone.
#[cfg(target_os = "linux")]
const DROP_SYN: [SockFilter; 5] = {
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    const WHOLE: u32 = u32::MAX;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    [
        SockFilter::new(LOAD_BYTE as u16, 0, 0, FLAGS_OFFSET),
        SockFilter::new(AND as u16, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL as u16, 1, 0, SYN),
        SockFilter::new(RETURN as u16, 0, 0, WHOLE),
        SockFilter::new(RETURN as u16, 0, 0, 0),
    ]
};

/// Binds one listener of those that share `address`. Port 0 takes a free port.
///
/// # Errors
///
/// What the system says: in use, not this machine's, not allowed.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit these: two system calls saved for each.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What an accept came to.
pub(crate) enum Accepted {
    Connection(TcpStream, SocketAddr),
    /// Nobody waits.
    Drained,
    /// Counted; try again, at once or after the back-off.
    Failed(AcceptError),
}

/// The listener, until the shard stops.
pub(crate) struct Listener {
    listener: mio::net::TcpListener,
    /// Somebody may wait: readiness is told once, and not again until the queue was found empty.
    may_wait: bool,
    not_before: Option<Instant>,
    /// Accepts have failed since the last one that did not; only the first failure is worth a line.
    is_failing: bool,
    /// The door is full; others wait in the kernel's queue until it has room.
    is_held: bool,
}

impl Listener {
    pub(crate) fn new(listener: mio::net::TcpListener) -> Self {
        Self { listener, may_wait: true, not_before: None, is_failing: false, is_held: false }
    }

    /// The kernel said that somebody waits.
    pub(crate) fn wake(&mut self) {
        self.may_wait = true;
    }

    /// Whether to try an accept now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.may_wait && !self.is_held && self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// Lets nobody else connect: for as long as the listener is still open a SYN gets no answer, and the peer that
    /// repeats it a second later is refused, or reaches the server that has taken over. Who is connecting already
    /// can be accepted. Where the system cannot do that, connections go on being accepted and turned away.
    pub(crate) fn turn_away(&mut self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&self.listener).attach_filter(&DROP_SYN) {
            tracing::debug!(%error, "connections are accepted until the listener closes");
        }
        self.may_wait = true;
    }

    /// How long nothing is to be accepted yet although somebody may wait.
    pub(crate) fn backs_off_for(&self, now: Instant) -> Option<Duration> {
        let not_before = self.not_before.filter(|_| self.may_wait)?;
        Some(not_before.saturating_duration_since(now))
    }

    /// Accepts nobody for as long as the door is full.
    pub(crate) fn hold(&mut self, is_full: bool) {
        self.is_held = is_full;
    }

    /// Whether somebody may wait for the door to have room.
    pub(crate) fn holds_somebody(&self) -> bool {
        self.may_wait && self.is_held
    }

    /// Takes one connection.
    pub(crate) fn accept(&mut self, now: Instant) -> Accepted {
        self.not_before = None;
        match self.listener.accept() {
            Ok((stream, peer)) => {
                self.is_failing = false;
                Accepted::Connection(stream, peer)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.may_wait = false;
                Accepted::Drained
            }
            Err(error) => Accepted::Failed(self.failed(&error, now)),
        }
    }

    fn failed(&mut self, error: &io::Error, now: Instant) -> AcceptError {
        use rustix::io::Errno;
        let kind = match Errno::from_io_error(error) {
            Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => return AcceptError::Aborted,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                AcceptError::Descriptors
            }
            _ => AcceptError::Other,
        };
        if !self.is_failing {
            tracing::warn!(%error, "connections cannot be accepted; trying again until they can");
        }
        self.is_failing = true;
        self.not_before = Some(now + BACKOFF);
        kind
    }

    /// Gives the socket back for deregistering.
    pub(crate) fn source(&mut self) -> &mut mio::net::TcpListener {
        &mut self.listener
    }
}
