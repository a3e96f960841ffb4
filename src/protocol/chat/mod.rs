//! Chat, version 1: what its messages say and which of them are right. One JSON object a text frame.
//!
//! Pure: requests are read, answers are written, names and tokens are checked. Who is in which room, what is stored
//! and who is told is the shard's and the log's matter.

mod body;
mod client_id;
mod code;
mod fields;
mod flood;
mod guest;
mod identity;
mod json;
pub(crate) mod logged_frame;
mod message_text;
mod name;
mod parse;
mod rejection;
pub(crate) mod reply;
mod request;
mod user_id;

#[cfg(test)]
mod documented;

pub(crate) use body::check as check_body;
pub(crate) use client_id::ClientId;
pub(crate) use code::Code;
pub(crate) use flood::Flood;
pub(crate) use guest::{GUEST_ID_BYTES, GUEST_KEY_BYTES, GUEST_PREFIX, Guest, GuestKey};
pub use identity::Identity;
pub(crate) use message_text::message_text;
pub(crate) use name::check as check_name;
pub(crate) use parse::{CONVERSATIONS_MAX, parse};
pub(crate) use rejection::Rejection;
pub(crate) use request::{Address, Incoming, Request, SEQ_MAX};
pub(crate) use user_id::check as check_user_id;

/// The subprotocol's name in the handshake.
pub(crate) const SUBPROTOCOL: &str = "uproar.chat.v1";
