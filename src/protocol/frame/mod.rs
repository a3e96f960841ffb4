//! The frame codec of RFC 6455: bytes of a client in, events out; messages in, bytes of a server out.
//!
//! [`decode()`] works on slices that the caller has read, in place and without a copy where a frame lies whole in
//! them; what is left unfinished waits in a [`Partial`]. Handshakes, extensions, sockets and time are not known
//! here: the caller measures how long a message takes, answers pings and sends the Close.

mod assembly;
mod close;
mod decode;
mod encode;
mod head;
mod partial;
mod text;
mod violation;

pub use decode::{Decoded, Event, decode};
pub(crate) use encode::frame_len;
pub use encode::{encode, encode_close, encode_ping, encode_pong};
pub use partial::Partial;
pub use violation::Violation;

/// The largest payload of a control frame, in bytes (RFC 6455, section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
