//! Rooms: what they may be called.

pub mod name;
