//! The hand-over of an upgraded connection from the control plane to the shard that gets it.

use std::net::TcpStream;

use bytes::Bytes;

use crate::gate::turnstile::Place;
use crate::protocol::Request;
use crate::tls::Channel;

/// A connection whose handshake succeeded, with everything a session needs to begin.
pub struct Adopt {
    /// The socket, non-blocking, out of the control runtime's hands.
    pub stream: TcpStream,
    /// What makes the records of one that speaks TLS.
    pub(crate) channel: Option<Box<Channel>>,
    /// The handshake's answer (the 101), not yet written: the shard writes it once the session is a member of its
    /// rooms, so that a client that has seen it misses nothing that is sent afterwards.
    pub response: Vec<u8>,
    /// What the peer sent right behind its request; decoded before anything is read.
    pub leftover: Bytes,
    /// Which of the server's routes was asked for: an index into its table of handlers.
    pub route: usize,
    /// The request, for the handler's `open`.
    pub request: Request,
    /// What the session has taken of what is bounded by address and user; `None` for one that is bounded by nothing.
    pub place: Option<Box<Place>>,
}
