//! What concerns a session as a whole: its welcome, its rooms, its errors, its end.

use std::sync::Arc;

use super::super::json::Object;
use super::super::{ClientId, Code, Identity, Rejection};
use crate::log::{Millis, Seq};
use crate::protocol::SessionId;

/// Asks a client whether it is still there: browsers do not see the Pings of WebSocket.
pub(crate) const PING: &str = r#"{"type":"ping"}"#;

/// The answer to `hello`.
pub(crate) struct Welcome<'a> {
    pub(crate) session: SessionId,
    pub(crate) identity: &'a Identity,
    /// The token that gives a guest its id back.
    pub(crate) guest: Option<&'a str>,
    pub(crate) heartbeat_secs: u64,
    pub(crate) time: Millis,
    pub(crate) limits: Limits,
    /// The first of the user's direct conversations: the other's id, the last position.
    pub(crate) conversations: &'a [(Arc<str>, Seq)],
    pub(crate) reference: Option<&'a str>,
}

/// What a client has to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message_bytes_max: u64,
    pub(crate) history_messages_max: u64,
    pub(crate) rooms_per_session_max: u64,
}

impl Welcome<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "welcome")
            .field("session", self.session.to_string())
            .user(&self.identity.user, &self.identity.name)
            .optional("guest", self.guest)
            .field("heartbeat_secs", self.heartbeat_secs)
            .field("time", self.time)
            .object("limits", |limits| {
                limits
                    .field("message_bytes_max", self.limits.message_bytes_max)
                    .field("history_messages_max", self.limits.history_messages_max)
                    .field("rooms_per_session_max", self.limits.rooms_per_session_max)
                    .end();
            })
            .objects("conversations", self.conversations, conversation)
            .reference(self.reference)
            .end();
    }
}

/// The answer to `rooms`.
pub(crate) struct Rooms<'a> {
    /// The rooms that this session is in, each with its last position.
    pub(crate) rooms: &'a [(&'a str, Seq)],
    /// A page of the user's direct conversations.
    pub(crate) conversations: &'a [(Arc<str>, Seq)],
    /// Whether there are more of these.
    pub(crate) more: bool,
    pub(crate) reference: Option<&'a str>,
}

impl Rooms<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "rooms")
            .objects("rooms", self.rooms, |object, (room, seq)| {
                object.field("room", room).field("seq", seq).end();
            })
            .objects("conversations", self.conversations, conversation)
            .field("more", self.more)
            .reference(self.reference)
            .end();
    }
}

fn conversation(object: Object<'_>, (with, seq): &(Arc<str>, Seq)) {
    object.field("with", &**with).field("seq", seq).end();
}

/// Something was not done. Built from a [`Code`] or a [`Rejection`], then told what it is about.
pub(crate) struct Error<'a> {
    pub(crate) code: Code,
    pub(crate) message: &'a str,
    pub(crate) client_id: Option<ClientId>,
    /// The field `room` or `with` and its value.
    pub(crate) address: Option<(&'a str, &'a str)>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) retry_after_ms: Option<u64>,
}

impl Error<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let object = Object::message(out, "error")
            .field("code", self.code.as_str())
            .field("message", self.message)
            .optional("client_id", self.client_id);
        let object = match self.address {
            None => object,
            Some((name, value)) => object.field(name, value),
        };
        object.reference(self.reference).optional("retry_after_ms", self.retry_after_ms).end();
    }
}

impl From<Code> for Error<'_> {
    fn from(code: Code) -> Self {
        Self {
            code,
            message: code.meaning(),
            client_id: None,
            address: None,
            reference: None,
            retry_after_ms: None,
        }
    }
}

impl<'a> From<&'a Rejection> for Error<'a> {
    fn from(rejection: &'a Rejection) -> Self {
        Self {
            message: &rejection.message,
            client_id: rejection.client_id,
            reference: rejection.reference.as_deref(),
            ..Self::from(rejection.code)
        }
    }
}

/// The answer to `refresh`.
pub(crate) struct Refreshed<'a> {
    /// When the session's time is over; `None` for never.
    pub(crate) expires_at: Option<Millis>,
    pub(crate) reference: Option<&'a str>,
}

impl Refreshed<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "refreshed")
            .optional("expires", self.expires_at)
            .reference(self.reference)
            .end();
    }
}

/// The server is about to close the session.
pub(crate) struct Bye<'a> {
    /// That of the Close frame behind it.
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    /// Whether it makes sense to come back,
    pub(crate) reconnect: bool,
    /// and not before that time.
    pub(crate) after_ms: u64,
}

impl Bye<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "bye")
            .field("code", self.code)
            .field("reason", self.reason)
            .field("reconnect", self.reconnect)
            .field("after_ms", self.after_ms)
            .end();
    }
}

/// The answer to `ping`.
pub(crate) struct Pong<'a> {
    pub(crate) reference: Option<&'a str>,
}

impl Pong<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "pong").reference(self.reference).end();
    }
}
