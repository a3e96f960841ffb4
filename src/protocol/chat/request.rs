//! What a client asks for: its messages, read and checked as far as one can without knowing anything else.

use std::borrow::Cow;

use serde::Deserialize;

use super::ClientId;
use crate::log::{Direction, Seq};

/// The largest position, the largest integer that a double holds with all below it.
pub(crate) const SEQ_MAX: Seq = (1 << 53) - 1;

/// A right message of a client, borrowed from the frame that it came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incoming<'a> {
    /// The `ref` as JSON text, to be copied into the answer.
    pub(crate) reference: Option<&'a str>,
    pub(crate) request: Request<'a>,
}

impl Incoming<'_> {
    /// The id of the message that is to be sent, if one is.
    pub(crate) const fn client_id(&self) -> Option<ClientId> {
        match &self.request {
            Request::Send { client_id, .. } => Some(*client_id),
            _ => None,
        }
    }
}

/// The messages that clients send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request<'a> {
    /// Who is there. No token was verified yet.
    Hello {
        guest: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        token: Option<Cow<'a, str>>,
    },
    /// To be in a conversation from a position on, or with so many of its latest messages; `history` is at most 100.
    Join {
        address: Address<'a>,
        after: Option<Position<'a>>,
        history: Option<u32>,
    },
    /// To be in it no more.
    Leave {
        address: Address<'a>,
    },
    /// To say something, once. The body is valid JSON text, as it came.
    Send {
        address: Address<'a>,
        client_id: ClientId,
        body: &'a str,
    },
    /// To tell those who are there now; the body as with `Send`, but short.
    Signal {
        address: Address<'a>,
        body: &'a str,
    },
    /// To see what was said; `None` for the latest. `limit` is 1 to 100.
    History {
        address: Address<'a>,
        direction: Option<Direction>,
        limit: u32,
    },
    /// To know who is in a room.
    Members {
        room: Cow<'a, str>,
    },
    /// To know one's rooms and conversations, those from this user's id on, exclusive. `limit` is 1 to 100.
    Rooms {
        after: Option<Cow<'a, str>>,
        limit: u32,
    },
    /// To show a new token, not yet verified.
    Refresh {
        token: Cow<'a, str>,
    },
    Ping,
    Pong,
}

/// Which conversation a message is about, its name checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    Room(Cow<'a, str>),
    /// The direct one with this user.
    With(Cow<'a, str>),
}

/// Where a client stopped: a position, and the log that it is one of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Position<'a> {
    #[serde(borrow)]
    pub(crate) epoch: Cow<'a, str>,
    pub(crate) seq: Seq,
}
