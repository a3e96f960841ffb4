//! The handshake's request, as a handler sees it when a session opens.

use std::net::SocketAddr;

use hyper::{HeaderMap, Uri};

/// What the peer asked for when it opened the connection.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path and query, undecoded.
    pub uri: Uri,
    /// Every header of the request.
    pub headers: HeaderMap,
    /// The peer's address.
    pub address: SocketAddr,
    /// The room that the route's last path segment names, percent-decoded and checked; `None` on a route without.
    pub room: Option<String>,
}
