//! What the tests want of a client, whichever it is.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::PATIENCE;

/// What goes over the wire, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

impl Said {
    /// The payload in pieces of that size, at least one.
    pub(crate) fn pieces(&self, bytes: usize) -> Vec<Vec<u8>> {
        let payload = match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
            Self::Close(_) => panic!("a close has no fragments"),
        };
        if payload.is_empty() {
            return vec![Vec::new()];
        }
        payload.chunks(bytes).map(<[u8]>::to_vec).collect()
    }
}

/// A client after its handshake.
pub(crate) trait Peer: Sized {
    async fn connect(address: SocketAddr, path: &str) -> Self;

    /// Sends a message in fragments of that size.
    async fn send(&mut self, message: &Said, fragment_bytes: usize);

    /// The next message or Close.
    async fn receive(&mut self) -> Said;

    async fn close(&mut self, code: u16);

    /// Requires that the server has closed the connection properly, with nothing behind its Close.
    async fn end(self);
}

/// What `future` comes to, in a time that only a hang exceeds.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    let patience: Duration = PATIENCE;
    tokio::time::timeout(patience, future).await.expect("something happens")
}
