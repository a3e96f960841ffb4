//! TLS: rustls makes the handshake on threads of its own beside the control runtime, and what it agreed on becomes a
//! `Channel`, which makes and takes records in memory, for hyper first and for the session's shard from then on.
//!
//! [`Acceptor`] has the rules of the handshake, `certificate` who the server is, and `reload` looks for a new
//! certificate. `half` is one direction of a channel. Which connections speak TLS is decided by `http`; what a shard
//! does with a channel is in `shard`.

mod acceptor;
mod certificate;
mod channel;
mod failure;
mod fault;
mod half;
mod reload;
mod settings;
mod shake;
mod stream;

pub use acceptor::Acceptor;
pub(crate) use channel::{Channel, End};
pub(crate) use failure::{RELOADS, RESULTS, register};
pub(crate) use half::{OVERHEAD_BYTES_MAX, PLAIN_BYTES_MAX};
pub(crate) use reload::Nudge;
pub(crate) use settings::Tls;
pub(crate) use stream::Stream;
