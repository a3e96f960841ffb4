//! The server's side of the opening handshake (RFC 6455, section 4.2): is it one, is it right, what is the answer.

use bytes::Bytes;
use fastwebsockets::upgrade;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, Version,
    body::{Body, Incoming},
    header::{self, HeaderName, HeaderValue},
};

use crate::http::refusal::Refusal;

/// Whether the request means to open a WebSocket, however badly.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_KEY)
        || headers.contains_key(header::SEC_WEBSOCKET_VERSION)
        || has(headers, &header::UPGRADE, b"websocket")
}

/// Judges everything about the handshake but its path, host and origin.
pub(super) fn check(request: &Request<Incoming>) -> Result<(), Refusal> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    if !has(headers, &header::UPGRADE, b"websocket")
        || !has(headers, &header::CONNECTION, b"upgrade")
    {
        return Err(Refusal::NoUpgrade);
    }
    if !request.body().is_end_stream() {
        return Err(Refusal::UpgradeBody);
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    if !only(headers, &header::SEC_WEBSOCKET_KEY).is_some_and(|key| is_key(key.as_bytes())) {
        return Err(Refusal::Key);
    }
    Ok(())
}

/// The subprotocols that the peer offers, in its order.
pub(super) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
}

/// The 101 to a request that passed [`check`].
pub(super) fn accept(
    request: &mut Request<Incoming>,
    subprotocol: Option<&HeaderValue>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    // The future that comes along would turn hyper's side into a stream; the socket goes to a shard instead.
    let (response, _) = upgrade::upgrade(request).map_err(|_| Refusal::Key)?;
    let mut response = response.map(|_| Full::default());
    if let Some(subprotocol) = subprotocol {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol.clone());
    }
    Ok(response)
}

/// The field's value, if the field is there exactly once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a field that holds a comma-separated list has that element, in any case.
fn has(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    list(headers, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a list, over all lines of the field (RFC 9110, section 5.6.1).
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(|&b| b == b',')).map(<[u8]>::trim_ascii)
}

/// Whether this is 16 bytes in base64: 22 digits and the padding. The four bits of the last digit that encode
/// nothing are not looked at; the server never needs the key decoded.
fn is_key(key: &[u8]) -> bool {
    key.strip_suffix(b"==").is_some_and(|digits| {
        digits.len() == 22
            && digits.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    })
}
