//! Acting on sessions and rooms from outside of their shards: from a task that waited for a database, from a timer,
//! from another thread.

use std::sync::Arc;

use crate::hub::Hub;
use crate::protocol::{Close, Message, SessionId, frame};

/// The shard that has to act has more to do than it can take at the moment. Nothing was done; try again later, or
/// tell whoever asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard is busy")]
pub struct Busy;

/// Acts on the sessions and rooms of one route. Cheap to clone; never blocks.
///
/// What one handle does to one session or one room happens in that order.
#[derive(Clone)]
pub struct Handle {
    hub: Arc<Hub>,
    route: usize,
}

impl Handle {
    pub(crate) fn new(hub: Arc<Hub>, route: usize) -> Self {
        Self { hub, route }
    }

    /// Sends to one session; does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the session's shard has too many requests waiting.
    pub fn send<'m>(
        &self,
        session: SessionId,
        message: impl Into<Message<'m>>,
    ) -> Result<(), Busy> {
        taken(self.hub.send(session, encoded(message.into())))
    }

    /// Sends to every member of a room on all shards, `except` for one session if named.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the shard that hands it on has too many requests waiting.
    pub fn publish<'m>(
        &self,
        room: &str,
        except: Option<SessionId>,
        message: impl Into<Message<'m>>,
    ) -> Result<(), Busy> {
        taken(self.hub.publish(self.route, room, except, encoded(message.into())))
    }

    /// Closes a session once what was queued for it is sent; does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the session's shard has too many requests waiting.
    pub fn close(&self, session: SessionId, close: Close) -> Result<(), Busy> {
        taken(self.hub.close(session, close))
    }
}

fn encoded(message: Message<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::encode(message, &mut frame);
    frame
}

fn taken(taken: bool) -> Result<(), Busy> {
    if taken { Ok(()) } else { Err(Busy) }
}
