//! Chat, version 1: what its messages say and which of them are right. One JSON object a text frame.
//!
//! Pure: requests are read, answers are written, names and tokens are checked. Who is in which room, what is stored
//! and who is told is the shard's and the log's matter.

mod client_id;
mod identity;
mod message_text;

pub(crate) use client_id::ClientId;
pub use identity::Identity;
pub(crate) use message_text::message_text;
