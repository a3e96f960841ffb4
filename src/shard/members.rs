//! The rooms of one shard: who is in them, and what is on its way to them.
//!
//! Members do not move under a flush: who leaves during one leaves a hole behind, filled when the flush has ended.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::gate::permissions::Rights;
use crate::hub::directory::RoomEntry;
use crate::shard::broadcast::{Broadcast, Pool};
use crate::shard::chat::room::ChatRoom;
use crate::shard::pace::Pace;
use crate::shard::session::{Membership, NONE, Session};

/// Maps are given back when they hold this many times more than they need.
const SPARE_CAPACITY_MAX: usize = 4096;

/// One room as its shard keeps it.
pub(crate) struct Room {
    pub(crate) entry: Arc<RoomEntry>,
    pub(crate) route: u16,
    /// Slots of the members, [`NONE`] where one left during the flush.
    pub(crate) members: Vec<u32>,
    holes: Vec<u32>,
    /// What this turn brought, not yet being written.
    pub(crate) next: Option<Box<Broadcast>>,
    /// What is being written to the members.
    pub(crate) current: Option<Box<Broadcast>>,
    /// Sessions that are not read until `next` begins to be written.
    pub(crate) paused: Vec<u32>,
    /// When its flush is worth a wait.
    pub(crate) pace: Pace,
    /// More has gathered than should, and all shards were told.
    pub(crate) is_congested: bool,
    /// So much more that the shard takes no batches until it is being written.
    pub(crate) is_full: bool,
    /// What it has beyond that on the chat's route.
    pub(crate) chat: Option<Box<ChatRoom>>,
}

impl Room {
    /// Nothing is on its way to the members.
    pub(crate) fn is_quiet(&self) -> bool {
        self.current.is_none() && self.next.is_none()
    }

    /// Members on this shard.
    pub(crate) fn len(&self) -> usize {
        self.members.len() - self.holes.len()
    }
}

/// The shard's rooms, by position, by the directory's id and by name.
pub(crate) struct Rooms {
    pub(crate) rooms: Slab<Room>,
    by_id: HashMap<u64, u32>,
    by_name: Box<[HashMap<Arc<str>, u32>]>,
    pub(crate) pool: Pool,
    pub(crate) memberships: usize,
}

impl Rooms {
    pub(crate) fn new(routes: usize) -> Self {
        Self {
            rooms: Slab::new(),
            by_id: HashMap::new(),
            by_name: (0..routes).map(|_| HashMap::new()).collect(),
            pool: Pool::default(),
            memberships: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn get(&self, room: u32) -> &Room {
        &self.rooms[room as usize]
    }

    pub(crate) fn get_mut(&mut self, room: u32) -> &mut Room {
        &mut self.rooms[room as usize]
    }

    pub(crate) fn find(&self, route: u16, name: &str) -> Option<u32> {
        self.by_name[usize::from(route)].get(name).copied()
    }

    pub(crate) fn find_id(&self, id: u64) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Adds a room that got its first member on this shard.
    pub(crate) fn add(&mut self, route: u16, entry: Arc<RoomEntry>) -> u32 {
        let slot = self.rooms.vacant_entry();
        let room = u32::try_from(slot.key()).unwrap_or(NONE);
        self.by_id.insert(entry.id, room);
        self.by_name[usize::from(route)].insert(entry.name.clone(), room);
        let (members, holes, paused) = (Vec::new(), Vec::new(), Vec::new());
        slot.insert(Room {
            entry,
            route,
            members,
            holes,
            next: None,
            current: None,
            paused,
            pace: Pace::default(),
            is_congested: false,
            is_full: false,
            chat: None,
        });
        room
    }

    /// Puts a session in; what was gathered for the room before is not for it.
    pub(crate) fn join(&mut self, room: u32, slot: u32, rights: Rights) -> Membership {
        self.memberships += 1;
        let found = &mut self.rooms[room as usize];
        found.members.push(slot);
        if let Some(next) = &mut found.next {
            next.exclude_past(slot);
        }
        Membership {
            room,
            position: u32::try_from(found.members.len() - 1).unwrap_or(NONE),
            is_served: false,
            rights,
        }
    }

    /// Takes a session out. False while the room still has members or something to write.
    pub(crate) fn leave(&mut self, membership: Membership, sessions: &mut Slab<Session>) -> bool {
        self.memberships -= 1;
        let room = &mut self.rooms[membership.room as usize];
        if room.current.is_some() {
            room.members[membership.position as usize] = NONE;
            room.holes.push(membership.position);
        } else {
            room.remove(membership.room, membership.position, sessions);
        }
        room.is_over()
    }

    /// Fills the holes that a flush left. True when the room is over.
    pub(crate) fn settle(&mut self, index: u32, sessions: &mut Slab<Session>) -> bool {
        let room = &mut self.rooms[index as usize];
        let mut holes = std::mem::take(&mut room.holes);
        // From the back, so that what moves into a hole is never a hole itself.
        holes.sort_unstable_by(|a, b| b.cmp(a));
        for position in holes {
            room.remove(index, position, sessions);
        }
        room.is_over()
    }

    /// Forgets a room that is over.
    pub(crate) fn remove(&mut self, room: u32) -> Room {
        let room = self.rooms.remove(room as usize);
        self.by_id.remove(&room.entry.id);
        self.by_name[usize::from(room.route)].remove(&room.entry.name);
        room
    }

    /// Gives memory back that a crowd of rooms left behind.
    pub(crate) fn shrink(&mut self) {
        for map in &mut self.by_name {
            if map.capacity() > 4 * map.len() + SPARE_CAPACITY_MAX {
                map.shrink_to_fit();
            }
        }
        if self.by_id.capacity() > 4 * self.by_id.len() + SPARE_CAPACITY_MAX {
            self.by_id.shrink_to_fit();
        }
        if self.rooms.capacity() > 4 * self.rooms.len() + SPARE_CAPACITY_MAX {
            self.rooms.shrink_to_fit();
        }
    }
}

impl Room {
    fn is_over(&self) -> bool {
        self.len() == 0 && self.is_quiet()
    }

    fn remove(&mut self, index: u32, position: u32, sessions: &mut Slab<Session>) {
        self.members.swap_remove(position as usize);
        let Some(&moved) = self.members.get(position as usize) else { return };
        let session = &mut sessions[moved as usize];
        if let Some(membership) =
            session.memberships_mut().find(|membership| membership.room == index)
        {
            membership.position = position;
        }
    }
}
