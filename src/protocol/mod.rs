//! What a session says and what is done about it: messages in, actions out.
//!
//! Nothing here does I/O, knows a socket or reads a clock. A [`Handler`] is told what happened to a session and
//! acts through the [`Context`] that it is lent; the shard that owns the session carries the actions out.

pub mod chat;
mod close;
mod context;
mod echo;
pub mod frame;
mod message;
mod relay;
mod request;

pub(crate) use close::FORBIDDEN;
pub use close::{Close, CloseReason};
pub use context::{Actions, Context, Permit};
pub use echo::Echo;
pub use message::Message;
pub(crate) use relay::LOBBY;
pub use relay::Relay;
pub use request::Request;

use std::fmt;

/// Names one session for as long as its node runs; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// 8 bits of shard, 24 of slab position, 32 of generation.
    pub(crate) const fn new(shard: u8, slot: u32, generation: u32) -> Self {
        Self(((shard as u64) << 56) | ((slot as u64 & 0xff_ffff) << 32) | generation as u64)
    }

    /// The shard that owns the session.
    pub(crate) const fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// Where in its shard's slab the session lives.
    pub(crate) const fn slot(self) -> usize {
        ((self.0 >> 32) & 0xff_ffff) as usize
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// What one path of the server does with its sessions: the trait behind `relay`, `echo` and your own.
///
/// One value serves every session of its route on every shard at once, hence `&self` and `Sync`. The calls of one
/// session come in order: one `open`, any number of `message`, at most one `error`, one `close`. They run on the
/// thread that also writes to thousands of other sessions, so they must not block: to wait for a database, take
/// [`Context::handle`] along into a task of your own and act from there.
pub trait Handler: Send + Sync + 'static {
    /// A session opened. The peer sees the handshake's answer only after this call, so whatever room it joins here
    /// it is a member of by the time the browser's `onopen` fires.
    fn open(&self, session: &mut Context<'_>, request: &Request);

    /// The peer sent a whole message, its fragments put together and its text checked to be UTF-8.
    fn message(&self, session: &mut Context<'_>, message: Message<'_>);

    /// The session ended, for whatever reason; it is still in its rooms during this call and in none after it.
    /// Messages to the session itself are no longer sent.
    fn close(&self, session: &mut Context<'_>, reason: &CloseReason) {
        let _ = (session, reason);
    }

    /// The peer broke the protocol or a limit; `close` follows.
    fn error(&self, session: &mut Context<'_>, reason: &CloseReason) {
        let _ = (session, reason);
    }
}
