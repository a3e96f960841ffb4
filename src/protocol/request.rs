//! The handshake's request, as a handler sees it when a session opens.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::{HeaderMap, Uri};

use crate::gate::access::Access;

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
    /// Who asked, where the handshake showed it; `None` for whoever is let in without.
    pub access: Option<Arc<Access>>,
}
