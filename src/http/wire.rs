//! The socket under hyper. What hyper writes is held back unless a page is being answered.
//!
//! So a 101 does not reach the peer before its session is a member of its rooms, and hyper's own bare answers to
//! requests that it cannot read give way to ours.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;

use crate::http::socket::Socket;

/// Lets output through to the socket: whoever answers a request opens it, and the end of that answer shuts it.
#[derive(Clone, Default)]
pub(super) struct Tap(Arc<AtomicU8>);

/// What a tap lets through: nothing,
const SHUT: u8 = 0;
/// one answer,
const OPEN: u8 = 1;
/// whatever comes.
const KEPT: u8 = 2;

impl Tap {
    /// Decides whether the answer that is about to be written passes.
    pub(super) fn set(&self, open: bool) {
        self.0.store(if open { OPEN } else { SHUT }, Ordering::Relaxed);
    }

    /// Lets through whatever is written until the next answer is decided on, such as the word that a body may come.
    pub(super) fn keep_open(&self) {
        self.0.store(KEPT, Ordering::Relaxed);
    }

    fn end_answer(&self) {
        let _ = self.0.compare_exchange(OPEN, SHUT, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) != SHUT
    }
}

/// A socket, and what was not written to it.
pub(super) struct Wire {
    socket: TokioIo<Socket>,
    held: Vec<u8>,
    tap: Tap,
}

impl Wire {
    pub(super) fn new(socket: Socket, tap: Tap) -> Self {
        Self { socket: TokioIo::new(socket), held: Vec::new(), tap }
    }

    /// Whether an answer has been begun and not ended: nothing else may be written behind it.
    pub(super) fn is_mid_answer(&self) -> bool {
        self.tap.is_open()
    }

    /// The socket and what was held back of it.
    pub(super) fn into_parts(self) -> (Socket, Vec<u8>) {
        (self.socket.into_inner(), self.held)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.tap.is_open() {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// hyper flushes once all that it had to write is written, which is where an answer ends.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.tap.end_answer();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tap.is_open() {
            return Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        }
        for slice in slices {
            self.held.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }
}
