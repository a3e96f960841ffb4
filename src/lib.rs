//! Uproar, a WebSocket chat and broadcast server.

#[cfg(windows)]
compile_error!(
    "Uproar does not run on Windows, whose sockets lack what its reactor is built on: run the container"
);

pub mod cli;
pub mod config;
mod cores;
pub mod descriptors;
pub mod exposition;
pub mod gate;
mod handle;
pub mod http;
mod hub;
pub mod logs;
pub mod metrics;
mod panics;
pub mod protocol;
pub mod rooms;
mod server;
mod shard;
mod shutdown;
mod telemetry;

pub use config::Config;
pub use handle::{Busy, Handle};
pub use protocol::{Close, CloseReason, Context, Handler, Message, Request, SessionId};
pub use server::{Builder, RunError, Server, StartError, Stopper};
