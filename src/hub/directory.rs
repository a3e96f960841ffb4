//! The directory: which shards have members of which room.
//!
//! Touched when a shard's first member joins and its last one leaves. Publishers hold the room's entry and read its
//! shard set with plain atomic loads, so that no message takes a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;

use crate::hub::shard_set::ShardSet;

/// One room as all shards know it.
#[derive(Debug)]
pub(crate) struct RoomEntry {
    /// Never given to another room while the node runs, so that a late batch cannot reach the wrong one.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) shards: ShardSet,
    /// Shards that are behind with the room's flush: nobody should publish to it.
    behind: ShardSet,
    /// Shards with publishers that wait until there are none of those.
    waiting: ShardSet,
}

impl RoomEntry {
    fn new(id: u64, name: Arc<str>) -> Self {
        let [shards, behind, waiting] = std::array::from_fn(|_| ShardSet::default());
        Self { id, name, shards, behind, waiting }
    }

    /// Says that `shard` is behind.
    pub(crate) fn fall_behind(&self, shard: usize) {
        self.behind.insert(shard);
    }

    /// Says that it is no more, and gives the shards to wake.
    pub(crate) fn catch_up(&self, shard: usize) -> impl Iterator<Item = usize> + use<> {
        self.behind.remove(shard);
        self.waiting.take()
    }

    /// Whether some shard is.
    pub(crate) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Whether publishers of `shard` should wait; then it is woken once some shard has caught up.
    pub(crate) fn wait(&self, shard: usize) -> bool {
        if self.behind.is_empty() {
            return false;
        }
        self.waiting.insert(shard);
        // Again, because the last one may have caught up before it could know that somebody waits.
        !self.behind.is_empty()
    }
}

/// Every room that has a member somewhere on this node, by route and name.
#[derive(Debug)]
pub(crate) struct Directory {
    routes: Box<[DashMap<Arc<str>, Arc<RoomEntry>>]>,
    next_id: AtomicU64,
}

impl Directory {
    pub(crate) fn new(routes: usize) -> Self {
        Self { routes: (0..routes).map(|_| DashMap::new()).collect(), next_id: AtomicU64::new(0) }
    }

    /// Says that `shard` has members of the room now, and makes the room if it is the first.
    pub(crate) fn enter(&self, route: usize, name: &str, shard: usize) -> Arc<RoomEntry> {
        let name: Arc<str> = name.into();
        match self.routes[route].entry(name.clone()) {
            Slot::Occupied(room) => {
                room.get().shards.insert(shard);
                room.get().clone()
            }
            Slot::Vacant(slot) => {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let entry = Arc::new(RoomEntry::new(id, name));
                entry.shards.insert(shard);
                slot.insert(entry.clone());
                entry
            }
        }
    }

    /// Says that `shard` has no member of the room any more, and forgets the room if it was the last.
    pub(crate) fn exit(&self, route: usize, entry: &RoomEntry, shard: usize) {
        let map = &self.routes[route];
        // Under the map's own lock, so that a first join elsewhere cannot fall between the look and the removal.
        map.remove_if(&entry.name, |_, found| {
            found.shards.remove(shard);
            found.shards.is_empty()
        });
    }

    /// The room, if anybody is in it.
    pub(crate) fn find(&self, route: usize, name: &str) -> Option<Arc<RoomEntry>> {
        self.routes[route].get(name).map(|entry| entry.value().clone())
    }

    /// Rooms with a member on this node.
    pub(crate) fn len(&self) -> usize {
        self.routes.iter().map(DashMap::len).sum()
    }

    /// Gives memory back that a crowd of rooms left behind.
    pub(crate) fn shrink(&self) {
        for map in &self.routes {
            if map.capacity() > 4 * map.len() + 4096 {
                map.shrink_to_fit();
            }
        }
    }
}

#[cfg(all(test, not(uproar_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_room_lives_from_its_first_shard_to_its_last() {
        let directory = Directory::new(2);
        let room = directory.enter(0, "a", 3);
        assert_eq!(directory.enter(0, "a", 127).id, room.id);
        assert_ne!(directory.enter(1, "a", 0).id, room.id, "routes are namespaces");
        assert_eq!(room.shards.iter().collect::<Vec<_>>(), [3, 127]);
        directory.exit(0, &room, 3);
        assert!(directory.find(0, "a").is_some());
        directory.exit(0, &room, 127);
        assert!(directory.find(0, "a").is_none());
        assert_ne!(directory.enter(0, "a", 3).id, room.id, "ids are not used again");
    }

    #[test]
    fn publishers_wait_for_the_last_shard_that_is_behind() {
        let room = RoomEntry::new(0, "a".into());
        assert!(!room.wait(0));
        room.fall_behind(1);
        room.fall_behind(2);
        assert!(room.wait(0) && room.wait(3));
        assert_eq!(room.catch_up(1).collect::<Vec<_>>(), [0, 3]);
        assert!(room.wait(3), "another one is still behind");
        assert_eq!(room.catch_up(2).collect::<Vec<_>>(), [3]);
        assert!(!room.wait(3));
    }
}
