//! Conversations: what has a log of its own, and as whom one looks at it.
//!
//! A room looks the same to everyone in it. A direct conversation is one log with two ends, and each end sees it under
//! the other's name. Control characters are in no room name and no user id, so that no two of these names are alike.

use std::sync::Arc;

/// Sets the names of direct conversations apart from those of rooms, and their two ends from one another.
const SEPARATOR: char = '\0';

/// What messages are ordered in: a room, or two users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Conversation(Arc<str>);

impl Conversation {
    /// That of a room.
    pub(crate) fn room(name: &str) -> Self {
        Self(name.into())
    }

    /// That of two users, whichever of them is named first.
    pub(crate) fn direct(one: &str, other: &str) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self(format!("{SEPARATOR}{first}{SEPARATOR}{second}").into())
    }

    /// The one that a log keeps under this key.
    pub(crate) fn from_key(key: &str) -> Self {
        Self(key.into())
    }

    /// Its name in a log, never that of another conversation.
    pub(crate) fn key(&self) -> &str {
        &self.0
    }

    /// The two ends of a direct conversation; `None` for a room.
    pub(crate) fn ends(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(SEPARATOR)?.split_once(SEPARATOR)
    }

    /// How an operator is told of it.
    pub(crate) fn in_words(&self) -> String {
        match self.ends() {
            None => format!("the room {:?}", self.key()),
            Some((one, other)) => format!("the conversation of {one:?} and {other:?}"),
        }
    }

    /// As whom it can be looked at: once for a room, once for each end of a direct conversation.
    pub(crate) fn views(&self) -> Vec<View> {
        match self.ends() {
            None => vec![View::room(&self.0)],
            // Somebody's notes to self have one end.
            Some((one, other)) if one == other => vec![View::direct(one, one)],
            Some((one, other)) => vec![View::direct(one, other), View::direct(other, one)],
        }
    }
}

/// A conversation as one of its readers sees it. Its name is that of a room of the hub, in which exactly those
/// sessions are that see it so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View(Arc<str>);

impl View {
    /// A room, the same for everybody.
    pub(crate) fn room(name: &str) -> Self {
        Self(name.into())
    }

    /// A direct conversation as `owner` sees it.
    pub(crate) fn direct(owner: &str, other: &str) -> Self {
        Self(format!("{SEPARATOR}{owner}{SEPARATOR}{other}").into())
    }

    /// The name of its room of the hub.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// How a message names it: the field `room` or `with`, and that field's value.
    pub(crate) fn field(&self) -> (&'static str, &str) {
        match self.ends() {
            None => ("room", &self.0),
            Some((_, other)) => ("with", other),
        }
    }

    /// Whose view it is, and the other end; `None` for a room.
    pub(crate) fn ends(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(SEPARATOR)?.split_once(SEPARATOR)
    }

    /// What is looked at.
    pub(crate) fn conversation(&self) -> Conversation {
        match self.ends() {
            None => Conversation(self.0.clone()),
            Some((owner, other)) => Conversation::direct(owner, other),
        }
    }
}

/// The name of the hub's room that all sessions of a user are in.
pub(crate) fn inbox(user: &str) -> String {
    format!("{SEPARATOR}{user}")
}

/// Whether a room of the hub is none of the chat's rooms: an inbox, or a view of a direct conversation.
pub(crate) fn is_of_users(name: &str) -> bool {
    name.starts_with(SEPARATOR)
}

/// The name of the hub's room that all sessions of a user are in, whatever they may do: only whether it is there counts.
pub(crate) fn online(user: &str) -> String {
    format!("{SEPARATOR}{SEPARATOR}{user}")
}

/// Whose room of the hub it is, if it is one of these.
pub(crate) fn whose_online(name: &str) -> Option<&str> {
    name.strip_prefix(SEPARATOR)?.strip_prefix(SEPARATOR)
}

/// Whether it is the name of a room that users know of, rather than one of the server's own.
pub(crate) fn is_public(name: &str) -> bool {
    !name.starts_with(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_conversation_is_one_log_with_two_views() {
        let conversation = Conversation::direct("bob", "alice");
        assert_eq!(conversation, Conversation::direct("alice", "bob"));
        assert_eq!(conversation.ends(), Some(("alice", "bob")));
        let views = conversation.views();
        assert_eq!(views, [View::direct("alice", "bob"), View::direct("bob", "alice")]);
        assert_eq!(views[0].field(), ("with", "bob"));
        assert_eq!(views[1].field(), ("with", "alice"));
        assert!(views.iter().all(|view| view.conversation() == conversation));
        assert_eq!(Conversation::direct("bob", "bob").views(), [View::direct("bob", "bob")]);
    }

    #[test]
    fn a_room_has_one_view() {
        let room = Conversation::room("lobby");
        assert_eq!(room.ends(), None);
        assert_eq!(room.views(), [View::room("lobby")]);
        assert_eq!(View::room("lobby").field(), ("room", "lobby"));
        assert_eq!(View::room("lobby").conversation(), room);
        assert_eq!(Conversation::from_key(room.key()), room);
    }
}
