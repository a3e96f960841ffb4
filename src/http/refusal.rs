//! Why a connection was turned away: the status, the words and the label of every refusal before the 101.
//!
//! Nothing else invents a status. A refusal ends its connection, so each answer says `Connection: close`.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    gate::{
        addresses::Excess,
        auth::{Denial, TokenError},
        origin::Foreign,
    },
    metrics::CONNECTIONS_REFUSED,
    rooms::name::RoomNameError,
};

/// How long a client should wait before it tries again after a 429 or a 503, in seconds: by then a handshake storm has passed
/// or another node has taken over.
const RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("5");

/// Why a connection did not become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What came is not an HTTP/1 request.
    Malformed,
    /// A proxy's connection that does not begin with a header of the PROXY protocol.
    ProxyProtocol,
    /// Not exactly one `Host`, or one that names no host.
    Host,
    /// An upgrade asked for in HTTP/1.0, which has none (RFC 6455, section 4.2.1).
    HttpVersion,
    /// WebSocket fields without `Upgrade: websocket` and `Connection: Upgrade`.
    NoUpgrade,
    /// An upgrade request with a body.
    UpgradeBody,
    /// Not exactly one `Sec-WebSocket-Key` of 16 bytes in base64.
    Key,
    /// A percent sign in the path without two hexadecimal digits behind it.
    Encoding,
    /// The path names a room that cannot be.
    RoomName(RoomNameError),
    /// A request to operate the server without a key that is known.
    NoKey,
    /// The same with a key that is not good for it.
    KeyScope,
    /// A host that the server does not answer under, or a page that it does not answer.
    Foreign(Foreign),
    /// More than one token, or one in more than one place.
    TwoTokens,
    /// No token, where one is needed.
    NoToken,
    /// A token that lets nobody in.
    Token(TokenError),
    /// Not let in by the user's backend.
    Backend(Denial),
    /// A user who may not join the room that the path names.
    RoomForbidden,
    /// Nothing lives at that path.
    NotFound,
    /// Something lives there, but not for this method.
    Method {
        /// The methods that would do.
        allow: &'static str,
    },
    /// The request did not complete within the handshake timeout.
    Timeout,
    /// A plain request with a body; no path takes one.
    Body,
    /// A WebSocket version other than 13.
    Version,
    /// A plain request for a path that speaks WebSocket only.
    UpgradeRequired,
    /// The request line and the fields exceed `limits.header_bytes_max` or `limits.headers_max`.
    HeaderTooLarge,
    /// An address or a user has too many of something.
    Excess(Excess),
    /// A request in plain HTTP on an address that speaks TLS.
    PlainHttp,
    /// What came on an address that speaks TLS is neither TLS nor HTTP. Not answered.
    NoTls,
    /// TLS on an address that does not speak it. Not answered: there is no word that both sides know.
    TlsNotSpoken,
    /// The TLS handshake failed; the peer was told why as far as TLS can.
    TlsHandshake,
    /// The server holds `limits.connections_max` sessions.
    ConnectionsMax,
    /// The server is stopping.
    Draining,
    /// The shard takes no more sessions for the moment.
    ShardBusy,
    /// The user is banned.
    Banned,
    /// What the user showed was revoked.
    Revoked,
    /// The peer sent nothing within the handshake timeout. Not answered: there was no question.
    Silent,
    /// The peer had sent nothing yet and made room for others. Not answered.
    Evicted,
    /// The peer went away before its request was complete. Not answered.
    Lost,
}

impl Refusal {
    /// Every value that [`label`](Self::label) can take, for metrics that exist before they are first counted.
    pub const LABELS: [&'static str; 38] = [
        "bad_request",
        "host",
        "not_found",
        "method_not_allowed",
        "timeout",
        "too_large",
        "version",
        "upgrade_required",
        "header_too_large",
        "connections_max",
        "draining",
        "shard_busy",
        "silent",
        "evicted",
        "lost",
        "origin",
        "no_origin",
        "address_pending",
        "address_handshakes",
        "address_failures",
        "address_connections",
        "user_connections",
        "proxy_protocol",
        "no_key",
        "key_scope",
        "no_token",
        "bad_token",
        "keys_unavailable",
        "room_forbidden",
        "banned",
        "revoked",
        "plain_http",
        "no_tls",
        "tls_not_spoken",
        "tls_handshake",
        "backend_unauthorized",
        "backend_forbidden",
        "backend_unavailable",
    ];

    /// The label under which this refusal is counted.
    #[must_use]
    pub const fn label(self) -> &'static str {
        Self::LABELS[self.index()]
    }

    const fn index(self) -> usize {
        match self {
            Self::Malformed
            | Self::Host
            | Self::HttpVersion
            | Self::NoUpgrade
            | Self::UpgradeBody
            | Self::Key
            | Self::Encoding
            | Self::RoomName(_)
            | Self::TwoTokens => 0,
            Self::Foreign(Foreign::Host | Foreign::UnlistedHost) => 1,
            Self::NotFound => 2,
            Self::Method { .. } => 3,
            Self::Timeout => 4,
            Self::Body => 5,
            Self::Version => 6,
            Self::UpgradeRequired => 7,
            Self::HeaderTooLarge => 8,
            Self::ConnectionsMax => 9,
            Self::Draining => 10,
            Self::ShardBusy => 11,
            Self::Silent => 12,
            Self::Evicted => 13,
            Self::Lost => 14,
            Self::Foreign(Foreign::Origin | Foreign::UnlistedOrigin) => 15,
            Self::Foreign(Foreign::NoOrigin) => 16,
            Self::Excess(excess) => 17 + excess as usize,
            Self::ProxyProtocol => 22,
            Self::NoKey => 23,
            Self::KeyScope => 24,
            Self::NoToken => 25,
            Self::Token(TokenError::KeysUnavailable) => 27,
            Self::Token(_) => 26,
            Self::RoomForbidden => 28,
            Self::Banned => 29,
            Self::Revoked => 30,
            Self::PlainHttp => 31,
            Self::NoTls => 32,
            Self::TlsNotSpoken => 33,
            Self::TlsHandshake => 34,
            Self::Backend(Denial::Unauthorized) => 35,
            Self::Backend(Denial::Forbidden) => 36,
            Self::Backend(Denial::Unavailable) => 37,
        }
    }

    /// The status that the peer gets; `None` where it gets no answer.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        Some(match self {
            Self::Malformed
            | Self::ProxyProtocol
            | Self::Host
            | Self::HttpVersion
            | Self::NoUpgrade
            | Self::UpgradeBody
            | Self::Key
            | Self::Encoding
            | Self::PlainHttp
            | Self::RoomName(_)
            | Self::TwoTokens => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::Revoked => StatusCode::UNAUTHORIZED,
            Self::KeyScope
            | Self::Foreign(_)
            | Self::RoomForbidden
            | Self::Banned
            | Self::Backend(Denial::Forbidden) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Version | Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ConnectionsMax
            | Self::Draining
            | Self::ShardBusy
            | Self::Backend(Denial::Unavailable)
            | Self::Token(TokenError::KeysUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoToken | Self::Token(_) | Self::Backend(Denial::Unauthorized) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Excess(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Silent
            | Self::Evicted
            | Self::Lost
            | Self::NoTls
            | Self::TlsNotSpoken
            | Self::TlsHandshake => return None,
        })
    }

    /// What the body of the answer says, without the line break behind it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ProxyProtocol => {
                "a connection from there begins with a header of the PROXY protocol"
            }
            Self::Malformed => "the request is not valid HTTP/1.1",
            Self::Host => "exactly one Host field with a host name is needed",
            Self::HttpVersion => "a WebSocket handshake needs HTTP/1.1",
            Self::NoUpgrade => {
                "a WebSocket handshake needs \"Upgrade: websocket\" and \"Connection: Upgrade\""
            }
            Self::UpgradeBody => "a WebSocket handshake has no body",
            Self::Key => "exactly one Sec-WebSocket-Key field of 16 bytes in base64 is needed",
            Self::Encoding => {
                "the path has a percent sign without two hexadecimal digits behind it"
            }
            Self::RoomName(error) => error.text(),
            Self::Foreign(Foreign::Host) => {
                "this server answers only under a loopback host name such as localhost: it has no authentication"
            }
            Self::Foreign(Foreign::Origin) => {
                "this server answers only pages of this machine: it has no authentication"
            }
            Self::Foreign(Foreign::UnlistedHost) => {
                "this server does not answer under that host name"
            }
            Self::Foreign(Foreign::UnlistedOrigin) => {
                "this server does not answer pages of that site"
            }
            Self::Foreign(Foreign::NoOrigin) => {
                "this server answers programs, which name no origin, only if they show a token"
            }
            Self::NoKey => "show a key: Authorization: Bearer ...",
            Self::KeyScope => "this key is not good for that",
            Self::TwoTokens => "there must be one token, in one place",
            Self::NoToken => "this path needs a token",
            Self::Token(error) => error.text(),
            Self::Backend(Denial::Unauthorized) => "the application does not know who this is",
            Self::Backend(Denial::Forbidden) => "the application does not let this user in",
            Self::Backend(Denial::Unavailable) => "the application cannot be asked at the moment",
            Self::RoomForbidden => "the token does not grant to join this room",
            Self::NotFound => "nothing lives at this path",
            Self::Method { .. } => "this path does not take that method",
            Self::Timeout => "the request took too long",
            Self::Body => "this path takes no request body",
            Self::Version => "this server speaks version 13 of the WebSocket protocol",
            Self::UpgradeRequired => "this path speaks WebSocket: open it with new WebSocket(url)",
            Self::HeaderTooLarge => "the request has too many or too large header fields",
            Self::Excess(excess) => excess.text(),
            Self::ConnectionsMax => "the server is full",
            Self::Draining => "the server is stopping",
            Self::ShardBusy => "the server is busy",
            Self::Banned => "this user may not come in",
            Self::Revoked => "what this user showed was revoked",
            Self::PlainHttp => "this port speaks TLS: use https:// or wss://",
            Self::NoTls => "neither TLS nor HTTP",
            Self::TlsNotSpoken => "TLS is not spoken on this port",
            Self::TlsHandshake => "the TLS handshake failed",
            Self::Silent | Self::Evicted | Self::Lost => "",
        }
    }

    /// Adds one to the refusals of this label.
    pub(crate) fn count(self) {
        metrics::counter!(CONNECTIONS_REFUSED, "reason" => self.label()).increment(1);
    }

    /// The answer, for hyper to send; empty where there is none.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{}\n", self.text())));
        *response.status_mut() = self.status().unwrap_or(StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method { allow } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::NoKey => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Version | Self::UpgradeRequired => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade, close"));
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Self::TwoTokens
            | Self::NoToken
            | Self::RoomForbidden
            | Self::Backend(Denial::Unauthorized) => {
                headers.insert(header::WWW_AUTHENTICATE, self.challenge());
            }
            Self::Token(error) if error != TokenError::KeysUnavailable => {
                headers.insert(header::WWW_AUTHENTICATE, self.challenge());
            }
            Self::Excess(_)
            | Self::ConnectionsMax
            | Self::Draining
            | Self::ShardBusy
            | Self::Backend(Denial::Unavailable)
            | Self::Token(_) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECS);
            }
            _ => {}
        }
        response
    }

    /// What a client that knows bearer tokens understands (RFC 6750, section 3).
    fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::TwoTokens => "Bearer realm=\"uproar\", error=\"invalid_request\"",
            Self::RoomForbidden => "Bearer realm=\"uproar\", error=\"insufficient_scope\"",
            Self::Token(_) => "Bearer realm=\"uproar\", error=\"invalid_token\"",
            _ => "Bearer realm=\"uproar\"",
        })
    }

    /// The answer as it goes over the wire where hyper cannot send it; `None` where the peer gets none.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        let status = self.status()?;
        let text = self.text();
        let date = httpdate::fmt_http_date(SystemTime::now());
        let reason = status.canonical_reason().unwrap_or_default();
        let mut bytes =
            format!("HTTP/1.1 {} {reason}\r\ndate: {date}\r\n", status.as_str()).into_bytes();
        for (name, value) in self.response().headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(
            format!("content-length: {}\r\n\r\n{text}\n", text.len() + 1).as_bytes(),
        );
        Some(bytes)
    }
}

/// Makes the counter of every reason exist at zero, so that a rate over it sees the first refusal.
pub(super) fn register() {
    for label in Refusal::LABELS {
        metrics::counter!(CONNECTIONS_REFUSED, "reason" => label).increment(0);
    }
}
