//! As much of the opening handshake as the yardstick needs.

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
