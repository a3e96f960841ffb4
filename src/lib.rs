//! Uproar: a WebSocket server for chat and broadcast, as a library for programs with handlers of their own.
//!
//! ```
//! use uproar::{Config, Context, Handler, Message, Request, Server};
//!
//! struct Shout;
//!
//! impl Handler for Shout {
//!     fn open(&self, session: &mut Context<'_>, request: &Request) {
//!         session.join(request.room.as_deref().unwrap_or("hall"));
//!     }
//!
//!     fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
//!         if let Message::Text(text) = message {
//!             session.broadcast(text.to_uppercase().as_str());
//!         }
//!     }
//! }
//!
//! let mut config = Config::default();
//! config.server.listen.set_port(0); // any free port
//! config.server.admin_listen.set_port(0);
//! config.chat.enabled = false; // or its log would be made in config.server.data_dir
//! let server = Server::builder(config).route("/shout/{room}", Shout).bind()?;
//! println!("ws://{}/shout/hall", server.address());
//! let stopper = server.stopper();
//! let running = std::thread::spawn(move || server.run());
//! stopper.stop(); // from any thread; `Server::stop_on_signals` does it at SIGTERM
//! running.join().expect("no panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Handler`] is told what happens to the sessions of one path and acts through a [`Context`]; a [`Handle`] acts
//! later, from any task or thread. `uproar serve` is this library with the relay as its handler.
//!
//! # A frame's way
//!
//! From one client's socket to the sockets of the others, module by module:
//!
//! 1. `shard`, one thread a core: its poll says that a socket is readable, and one `recv` brings what there is into
//!    the shard's only read buffer. Before that its listener accepted the connection, [`http`] made the handshake and
//!    asked [`gate`] who may enter, away from the shards, and handed the socket back.
//! 2. [`protocol`]: [`frame`](protocol::frame) decodes in place, the path's [`Handler`] says what is to be done.
//! 3. `shard` again: the message is encoded once, behind what its room has gathered in this turn ([`rooms`] has the
//!    rules for rooms), and appended to the batch for each other shard that has members of the room.
//! 4. `hub`: the directory knows those shards; at the end of the turn each of them gets its batch into its mailbox.
//! 5. `shard`, here and there: the flush gives each member one write of everything that the turn brought it. What a
//!    socket does not take waits in the session's outbox, by reference to the room's buffer, up to a bound.

pub mod gate;
pub mod http;
mod hub;
mod log;
mod outbound;
pub mod protocol;
pub mod rooms;
mod screening;
mod shard;

mod handle;
mod measures;
mod server;
mod users;

#[cfg(windows)]
compile_error!(
    "Uproar does not run on Windows, whose sockets lack what its reactor is built on: run the container"
);

pub mod cli;
pub mod config;
mod cores;
pub mod descriptors;
pub mod exposition;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod logs;
pub mod metrics;
mod panics;
mod shutdown;
mod telemetry;
pub mod tls;
mod webhooks;

pub use config::Config;
pub use gate::access::Access;
pub use gate::permissions::{Grant, Permissions, Right};
pub use gate::standing::{Measure, Restriction};
pub use handle::{Busy, Handle};
pub use protocol::chat::Identity;
pub use protocol::{Close, CloseReason, Context, Handler, Message, Permit, Request, SessionId};
pub use server::{Builder, RunError, Server, StartError, Stopper};
pub use users::{Users, UsersError};
