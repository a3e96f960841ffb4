//! What shards tell one another of who is in a room, and what the members of a room are told.

use std::sync::Arc;

use crate::rooms::presence::{Mode, Replica};

/// From shard to shard. Never lost: what could not be sent yet is not a note yet.
///
/// Users and names are shared between the shards' replicas; their counts are touched when somebody joins or leaves, not
/// when somebody speaks.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// To the room's home: what changed for the users of one shard.
    Delta(Delta),
    /// From the home to a shard that got its first users in the room: everything, and the last delta that is in it.
    Snapshot { room: u64, heard: u64, replica: Replica },
    /// From the home to the other shards with users in the room: what happened, and the last delta that was taken.
    Events { room: u64, heard: u64, events: Arc<[Event]> },
}

impl Note {
    /// What taking it costs, in messages of a batch.
    pub(crate) fn cost(&self) -> usize {
        1 + match self {
            Self::Delta(delta) => delta.changes.len(),
            Self::Snapshot { replica, .. } => replica.users().map_or(0, |users| users.len()),
            Self::Events { events, .. } => events.len(),
        }
    }
}

/// What changed for the users of one shard in one room.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    pub(crate) room: u64,
    pub(crate) shard: usize,
    /// Rising with every delta of the shard, whatever the room; from 1.
    pub(crate) number: u64,
    pub(crate) mode: Mode,
    pub(crate) changes: Vec<Change>,
    /// The shard has no users in the room any more. What it says next begins another stay.
    pub(crate) is_last: bool,
}

/// A user who is in the room through a shard now, under a name, or is so no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) user: Arc<str>,
    pub(crate) name: Option<Arc<str>>,
}

/// Something that happened in a room, as all of its members are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// One more than that of the event before.
    pub(crate) rev: u64,
    pub(crate) what: Happening,
    /// Users in the room from then on.
    pub(crate) count: usize,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The user is in the room. One who was there already has another name now.
    Join { user: Arc<str>, name: Arc<str> },
    /// The user, last known by this name, is in the room no more.
    Leave { user: Arc<str>, name: Arc<str> },
    /// Nothing but the count is told, from now on.
    Count,
}
