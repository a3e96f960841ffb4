//! What serves a route of the server: a handler, or the chat, which needs more of its shard than a handler is lent.

use std::sync::Arc;

use crate::protocol::Handler;

/// The service behind one route.
#[derive(Clone)]
pub(crate) enum Service {
    /// One that acts through a context.
    Handler(Arc<dyn Handler>),
    /// The chat.
    Chat,
}
