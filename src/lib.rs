//! Uproar, a WebSocket chat and broadcast server.

pub mod config;
pub mod protocol;
pub mod shard;

pub use config::Config;
pub use protocol::{Close, Context, Handler, Message, Request, SessionId};
