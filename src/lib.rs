//! Uproar, a WebSocket chat and broadcast server.

pub mod gate;
pub mod http;
pub mod protocol;
pub mod rooms;
pub mod shard;

pub use protocol::{Close, Context, Handler, Message, Request, SessionId};
