//! What the application is told of, and how that is written.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::log::{Epoch, Message, Millis, Seq};
use crate::rooms::conversation::Conversation;

/// Which kinds of events are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// A message was stored.
    pub(crate) message: bool,
    /// A room has its first member, or lost its last.
    pub(crate) room: bool,
    /// A user came into a room, or left it.
    pub(crate) member: bool,
    /// A user has the first session, or no session any more.
    pub(crate) user: bool,
}

/// One event, as JSON text.
pub(crate) type Text = Box<str>;

/// Where a message is.
pub(crate) type Place = (Conversation, Seq);

/// What is not in the log.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody is in the room now, or nobody is.
    Room { protocol: usize, room: Arc<str>, id: u64, is_occupied: bool },
    /// A user is in a chat room now, or not any more. The room is named by its id.
    Member { room: u64, user: Arc<str>, name: Arc<str>, has_joined: bool },
    /// A user of the chat has a session now, or none.
    User { user: Arc<str>, is_online: bool },
    /// A message that is kept in memory alone, whose text waits beside the queue.
    Message(Place),
}

#[derive(Serialize)]
struct Author<'a> {
    user: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct MessageEvent<'a> {
    event: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<[&'a str; 2]>,
    seq: u64,
    prev: u64,
    time: Millis,
    from: Author<'a>,
    client_id: String,
    kind: &'static str,
    stored: bool,
    body: &'a RawValue,
}

/// A message; `None` of one that is not what it should be, which the log does not hold.
pub(super) fn message(
    epoch: &Epoch,
    conversation: &Conversation,
    message: &Message,
    stored: bool,
) -> Option<Text> {
    let ends = conversation.ends();
    let event = MessageEvent {
        event: "message",
        id: format!("{epoch}-{}", message.seq),
        room: ends.is_none().then(|| conversation.key()),
        users: ends.map(|(one, other)| [one, other]),
        seq: message.seq,
        prev: message.prev,
        time: message.time,
        from: Author { user: &message.user, name: &message.name },
        client_id: message.client_id.to_string(),
        kind: message.kind.name(),
        stored,
        body: serde_json::from_str(&message.body).ok()?,
    };
    serde_json::to_string(&event).ok().map(Into::into)
}

#[derive(Serialize)]
struct Plain<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    time: Millis,
}

/// An event of a room.
pub(super) fn room(protocol: &str, room: &str, is_occupied: bool, time: Millis) -> Text {
    let event = if is_occupied { "room_occupied" } else { "room_vacated" };
    let (protocol, room) = (Some(protocol), Some(room));
    plain(&Plain { event, protocol, room, user: None, name: None, time })
}

/// An event of a member of a room.
pub(super) fn member(
    room: &str,
    (user, name): (&str, &str),
    has_joined: bool,
    time: Millis,
) -> Text {
    let event = if has_joined { "user_joined" } else { "user_left" };
    let (user, name) = (Some(user), Some(name));
    plain(&Plain { event, protocol: None, room: Some(room), user, name, time })
}

/// An event of a user.
pub(super) fn user(user: &str, is_online: bool, time: Millis) -> Text {
    let event = if is_online { "user_online" } else { "user_offline" };
    plain(&Plain { event, protocol: None, room: None, user: Some(user), name: None, time })
}

fn plain(event: &Plain<'_>) -> Text {
    // Texts and a number are always JSON.
    serde_json::to_string(event).unwrap_or_default().into()
}
