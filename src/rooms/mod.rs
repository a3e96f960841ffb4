//! Rooms: what they may be called, how each is kept and shown, what a conversation in them is to those who read it,
//! and who is there.

pub(crate) mod characters;
pub(crate) mod conversation;
pub mod name;
pub(crate) mod pattern;
pub(crate) mod presence;
pub mod rules;
