//! Rooms: what they may be called, and what a conversation in them is to those who read it.

pub(crate) mod characters;
pub(crate) mod conversation;
pub mod name;
