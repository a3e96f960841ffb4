//! Rooms: what they may be called, and what a conversation in them is to those who read it, and who is there.

pub(crate) mod conversation;
pub mod name;
pub(crate) mod presence;
