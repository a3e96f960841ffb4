//! Uproar, a WebSocket chat and broadcast server.

pub mod config;
pub mod gate;
mod handle;
pub mod http;
mod hub;
pub mod protocol;
pub mod rooms;
pub mod shard;

pub use config::Config;
pub use handle::{Busy, Handle};
pub use protocol::{Close, Context, Handler, Message, Request, SessionId};
