//! As much of the opening handshake as the yardstick and its clients need.

use anyhow::{Result, bail};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a request for an upgrade says.
pub(crate) struct Request {
    /// The path, which names the room.
    pub(crate) path: String,
    /// `Sec-WebSocket-Key`.
    pub(crate) key: String,
}

/// The request, once all of it has come.
pub(crate) fn parse(bytes: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    };
    Some(Request { path, key: lines.find_map(header)? })
}

/// The 101.
pub(crate) fn answer(key: &str) -> String {
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// The key of every request that this program sends, which is the one of RFC 6455's example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request for an upgrade.
pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// How long the 101 at the start of `bytes` is, once all of it has come.
pub(crate) fn accepted(bytes: &[u8]) -> Result<Option<usize>> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(head) = end.map(|end| String::from_utf8_lossy(&bytes[..end])) else { return Ok(None) };
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(&derive_accept_key(KEY.as_bytes())) {
        bail!("the server answers {head:?}");
    }
    Ok(end.map(|end| end + 4))
}
