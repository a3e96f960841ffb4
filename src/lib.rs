//! Uproar, a WebSocket chat and broadcast server.

pub mod cli;
pub mod config;
pub mod descriptors;
pub mod logs;
pub mod protocol;
pub mod shard;

pub use config::Config;
pub use protocol::{Close, Context, Handler, Message, Request, SessionId};
