//! Uproar, a WebSocket chat and broadcast server.

pub mod protocol;
pub mod shard;

pub use protocol::{Close, Context, Handler, Message, Request, SessionId};
