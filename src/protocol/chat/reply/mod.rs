//! What the server says: a struct for each message, that writes itself as JSON text at the end of a buffer.
//!
//! The `message` is not here: the log writes it once, for everybody. Nor is `presence`, which is made of an event.

mod conversation;
mod people;
mod session;

pub(crate) use conversation::{Acknowledged, Gap, History, Joined, Left, Messages, Signal};
pub(crate) use people::{Change, Members, Presence, Roster, write_users};
pub(crate) use session::{Bye, Error, Limits, PING, Pong, Refreshed, Rooms, Welcome};

#[cfg(test)]
mod tests;
