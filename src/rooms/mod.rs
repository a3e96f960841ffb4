//! Rooms: what they may be called, how each is kept and shown, and what a conversation in them is to those who read it.

pub(crate) mod characters;
pub(crate) mod conversation;
pub mod name;
pub mod rules;
