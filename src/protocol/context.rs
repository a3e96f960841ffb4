//! What a handler can do: the actions on its session and its rooms.

use crate::protocol::{Close, Message, SessionId};

/// Carries actions out. The shard is one; a test's recorder is another.
pub trait Actions {
    /// Sends `message` to the session itself.
    fn send(&mut self, message: Message<'_>);
    /// Sends `message` to every other member of `room`, on all shards, whether or not the session is in it.
    fn publish(&mut self, room: &str, message: Message<'_>);
    /// Sends `message` to every other member of each room that the session is in.
    fn broadcast(&mut self, message: Message<'_>);
    /// Makes the session a member of `room`; does nothing if it is one.
    fn join(&mut self, room: &str);
    /// Ends the membership; does nothing if there is none. What was queued of the room is not sent any more.
    fn leave(&mut self, room: &str);
    /// Closes the session once what was queued for it is sent.
    fn close(&mut self, close: Close);
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
}
