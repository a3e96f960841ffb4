//! What a handler can do: the actions on its session and its rooms.

use crate::gate::permissions::Right;
use crate::handle::Handle;
use crate::protocol::{Close, Message, SessionId};

/// Carries actions out. The shard is one; a test's recorder is another.
pub trait Actions {
    /// Sends `message` to the session itself.
    fn send(&mut self, message: Message<'_>);
    /// Sends `message` to every other member of `room`, on all shards, whether or not the session is in it.
    fn publish(&mut self, room: &str, message: Message<'_>);
    /// Sends `message` to every other member of each room that the session is in.
    fn broadcast(&mut self, message: Message<'_>);
    /// Makes the session a member of `room`; false if it is in too many, or its user may not be there.
    fn join(&mut self, room: &str) -> bool;
    /// Ends the membership; does nothing if there is none. What was queued of the room is not sent any more.
    fn leave(&mut self, room: &str);
    /// Closes the session once what was queued for it is sent.
    fn close(&mut self, close: Close);
    /// Whether the session's user may do that in each room that the session is in.
    fn permits(&mut self, right: Right) -> Permit {
        let _ = right;
        Permit::Granted
    }
    /// For acting later.
    fn handle(&self) -> Handle;
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Granted,
    /// Not for now: the user is [muted](crate::Users::mute). Whatever was to be said is counted as dropped.
    Muted,
    /// The user's permissions do not have it.
    Denied,
}

/// One session, lent to a [`Handler`](crate::Handler) for the length of a call.
pub struct Context<'a> {
    id: SessionId,
    actions: &'a mut dyn Actions,
}

impl<'a> Context<'a> {
    /// A context that acts on session `id` through `actions`: for tests of handlers without a server.
    pub fn new(id: SessionId, actions: &'a mut dyn Actions) -> Self {
        Self { id, actions }
    }

    /// The session's own id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Sends to the session itself. Such messages arrive in the order in which they were sent; between them and a
    /// room's messages there is no order.
    ///
    /// A session that does not read what is sent to it is not read either, until it does.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.actions.send(message.into());
    }

    /// Sends to every other member of `room`, on all shards, whether or not the session is one itself. Members get
    /// the messages of one session in the order in which it sent them.
    pub fn publish<'m>(&mut self, room: &str, message: impl Into<Message<'m>>) {
        self.actions.publish(room, message.into());
    }

    /// Sends to every other member of each room that the session is in.
    pub fn broadcast<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.actions.broadcast(message.into());
    }

    /// Makes the session a member of `room`, which begins with its first member and ends with its last. False, and
    /// nothing done, if the session is in `limits.rooms_per_session_max` rooms already, or if its user's permissions do
    /// not let it in.
    pub fn join(&mut self, room: &str) -> bool {
        self.actions.join(room)
    }

    /// Ends the membership, if there is one. What was queued of the room is not sent any more.
    pub fn leave(&mut self, room: &str) {
        self.actions.leave(room);
    }

    /// Closes the session once what was queued for it is sent. Nothing more is received from it.
    pub fn close(&mut self, close: Close) {
        self.actions.close(close);
    }

    /// Whether the session's user may do that in each room that the session is in: ask before you pass on what it said.
    /// Who was let in without being asked who they are may do everything.
    pub fn permits(&mut self, right: Right) -> Permit {
        self.actions.permits(right)
    }

    /// For acting later, from any task or thread: on this session by its [`id`](Self::id), on others, on rooms.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.actions.handle()
    }
}
