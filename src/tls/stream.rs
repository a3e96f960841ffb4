//! A connection that speaks TLS, as tasks of the control plane read and write it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::channel::Channel;
use crate::tls::half::RECORD_BYTES_MAX;

/// How much is encrypted before the socket has to take it.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A socket, its channel, and what was decrypted and not read yet.
pub(crate) struct Stream {
    socket: TcpStream,
    channel: Box<Channel>,
    plain: Vec<u8>,
    read: usize,
    is_known: bool,
}

impl Stream {
    /// Puts the parts together; `plain` was decrypted before.
    pub(crate) fn new(socket: TcpStream, channel: Box<Channel>, plain: Vec<u8>) -> Self {
        Self { socket, channel, plain, read: 0, is_known: false }
    }

    /// Notes whether the peer has shown a certificate of an authority that was asked for.
    pub(crate) fn known(self, is_known: bool) -> Self {
        Self { is_known, ..self }
    }

    /// Whether the peer has shown one.
    pub(crate) const fn is_known(&self) -> bool {
        self.is_known
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The parts, and what was decrypted and not read.
    pub(crate) fn into_parts(mut self) -> (TcpStream, Box<Channel>, Vec<u8>) {
        self.plain.drain(..self.read);
        (self.socket, self.channel, self.plain)
    }

    /// Has the socket take what is pending.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.channel.pending().is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, self.channel.pending()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.channel.sent(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Decrypts what comes until there is something to read; false at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.read == self.plain.len() {
            if self.channel.is_deaf() {
                return Poll::Ready(Ok(false));
            }
            // No buffer is held while nothing comes.
            ready!(self.socket.poll_read_ready(cx))?;
            let held = self.channel.partial().len();
            let mut buffer = vec![0; RECORD_BYTES_MAX];
            buffer[..held].copy_from_slice(self.channel.partial());
            match self.socket.try_read(&mut buffer[held..]) {
                // An end that was not announced may be somebody else's doing: nothing that came before it is an
                // end of something, and nothing in HTTP or WebSocket takes it for one.
                Ok(0) => return Poll::Ready(Ok(false)),
                Ok(bytes) => {
                    buffer.truncate(held + bytes);
                    let opened = self.channel.open(&mut buffer);
                    buffer.truncate(opened.plain);
                    (self.plain, self.read) = (buffer, 0);
                    // Answers to key updates, alerts. If the socket is full they go out with what is written next.
                    let _ = self.poll_send(cx)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_fill(cx))? {
            let from = self.read;
            let bytes = buf.remaining().min(self.plain.len() - from);
            buf.put_slice(&self.plain[from..from + bytes]);
            self.read += bytes;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if self.channel.is_mute() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = bytes.len().min(WRITE_BYTES_MAX);
        let mut records = Vec::new();
        self.channel.seal(&[io::IoSlice::new(&bytes[..taken])], &mut records);
        self.channel.keep_unsent(&records);
        // What the socket does not take now goes out before the next bytes, or when flushed.
        let _ = self.poll_send(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.close();
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
