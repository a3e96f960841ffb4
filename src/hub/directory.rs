//! The directory: which shards have members of which room.
//!
//! Touched when a shard's first member joins and its last one leaves. Publishers hold the room's entry and read its
//! shard set with plain atomic loads, so that no message takes a lock.

use std::collections::BinaryHeap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;

use crate::hub::shard_set::ShardSet;
use crate::rooms::conversation::is_of_users;
use crate::rooms::presence::Happening;

/// One room as all shards know it.
#[derive(Debug)]
pub(crate) struct RoomEntry {
    /// Never given to another room while the node runs, so that a late batch cannot reach the wrong one.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) shards: ShardSet,
    /// Sessions that are members, on all shards.
    members: AtomicUsize,
    /// Shards that are behind with the room's flush: nobody should publish to it.
    behind: ShardSet,
    /// Shards with publishers that wait until there are none of those.
    waiting: ShardSet,
}

impl RoomEntry {
    fn new(id: u64, name: Arc<str>) -> Self {
        let [shards, behind, waiting] = std::array::from_fn(|_| ShardSet::default());
        Self { id, name, shards, members: AtomicUsize::new(0), behind, waiting }
    }

    /// Counts one more member; false, and nothing counted, if there are `max` already.
    pub(crate) fn add_member(&self, max: usize) -> bool {
        let add = |members| (members < max).then_some(members + 1);
        self.members.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Counts one member less.
    pub(crate) fn remove_member(&self) {
        self.members.fetch_sub(1, Ordering::Relaxed);
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

/// Hears of rooms and of who is in them, on the shards' threads: it must not wait. What it hears of one room is in
/// order.
pub(crate) trait Watch: Debug + Send + Sync {
    /// Somebody is in the room of that id and name now, or nobody is.
    fn room(&self, route: usize, room: (u64, &Arc<str>), is_occupied: bool);

    /// Whether it wants to hear of users: then the sessions of each are in a room of their own.
    fn wants_users(&self) -> bool;

    /// That happened among the users in a room, by its id.
    fn member(&self, room: u64, what: &Happening);
}

/// Every room that has a member somewhere on this node, by route and name.
#[derive(Debug)]
pub(crate) struct Directory {
    watch: OnceLock<Arc<dyn Watch>>,
    routes: Box<[DashMap<Arc<str>, Arc<RoomEntry>>]>,
    next_id: AtomicU64,
    /// Rooms of all routes.
    rooms: AtomicUsize,
}

impl Directory {
    pub(crate) fn new(routes: usize) -> Self {
        let routes = (0..routes).map(|_| DashMap::new()).collect();
        Self {
            watch: OnceLock::new(),
            routes,
            next_id: AtomicU64::new(0),
            rooms: AtomicUsize::new(0),
        }
    }

    /// Has somebody hear of everything from now on; the first one does.
    pub(crate) fn watch(&self, watch: Arc<dyn Watch>) {
        let _ = self.watch.set(watch);
    }

    /// Who hears of everything, if anybody does.
    pub(crate) fn watcher(&self) -> Option<&dyn Watch> {
        self.watch.get().map(|watch| &**watch)
    }

    /// Says that `shard` has members of the room now, and makes the room if it is the first. `None`, and nothing done,
    /// if it would be one room more than `rooms_max`.
    pub(crate) fn enter(
        &self,
        route: usize,
        name: &str,
        shard: usize,
        rooms_max: usize,
    ) -> Option<Arc<RoomEntry>> {
        let name: Arc<str> = name.into();
        match self.routes[route].entry(name.clone()) {
            Slot::Occupied(room) => {
                room.get().shards.insert(shard);
                Some(room.get().clone())
            }
            Slot::Vacant(slot) => {
                let add = |rooms| (rooms < rooms_max).then_some(rooms + 1);
                self.rooms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let entry = Arc::new(RoomEntry::new(id, name));
                entry.shards.insert(shard);
                // Under the map's own lock, that nothing of the room is heard before it.
                if let Some(watch) = self.watcher() {
                    watch.room(route, (id, &entry.name), true);
                }
                slot.insert(entry.clone());
                Some(entry)
            }
        }
    }

    /// Says that `shard` has no member of the room any more, and forgets the room if it was the last.
    pub(crate) fn exit(&self, route: usize, entry: &RoomEntry, shard: usize) {
        let map = &self.routes[route];
        // Under the map's own lock, so that a first join elsewhere cannot fall between the look and the removal.
        let removed = map.remove_if(&entry.name, |_, found| {
            found.shards.remove(shard);
            let is_vacated = found.shards.is_empty();
            if is_vacated && let Some(watch) = self.watcher() {
                watch.room(route, (found.id, &found.name), false);
            }
            is_vacated
        });
        if removed.is_some() {
            self.rooms.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The room, if anybody is in it.
    pub(crate) fn find(&self, route: usize, name: &str) -> Option<Arc<RoomEntry>> {
        self.routes[route].get(name).map(|entry| entry.value().clone())
    }

    /// Rooms with a member on this node.
    pub(crate) fn len(&self) -> usize {
        self.rooms.load(Ordering::Relaxed)
    }

    /// The first rooms by name that begin so and come after that one, `limit` at most; and whether there are more. Looks
    /// at every room.
    pub(crate) fn list(
        &self,
        route: usize,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<Arc<str>>, bool) {
        let mut first = BinaryHeap::new();
        for room in &self.routes[route] {
            let name = room.key();
            if !name.starts_with(prefix) || after.is_some_and(|after| **name <= *after) {
                continue;
            }
            if is_of_users(name) || first.len() > limit && first.peek() <= Some(name) {
                continue;
            }
            first.push(Arc::clone(name));
            if first.len() > limit + 1 {
                first.pop();
            }
        }
        let more = first.len() > limit;
        if more {
            first.pop();
        }
        (first.into_sorted_vec(), more)
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
        let enter =
            |route, shard| directory.enter(route, "a", shard, usize::MAX).expect("there is room");
        let room = enter(0, 3);
        assert_eq!(enter(0, 127).id, room.id);
        assert_ne!(enter(1, 0).id, room.id, "routes are namespaces");
        assert_eq!(room.shards.iter().collect::<Vec<_>>(), [3, 127]);
        directory.exit(0, &room, 3);
        assert!(directory.find(0, "a").is_some());
        directory.exit(0, &room, 127);
        assert!(directory.find(0, "a").is_none());
        assert_ne!(enter(0, 3).id, room.id, "ids are not used again");
    }

    #[test]
    fn rooms_are_bounded_and_members_of_each() {
        let directory = Directory::new(2);
        let first = directory.enter(0, "a", 0, 2).expect("there is room");
        assert!(directory.enter(1, "a", 0, 2).is_some());
        assert!(directory.enter(0, "b", 0, 2).is_none());
        assert!(directory.enter(0, "a", 1, 2).is_some(), "a room that is there is no further one");
        assert_eq!(directory.len(), 2);
        directory.exit(0, &first, 0);
        directory.exit(0, &first, 1);
        assert!(directory.enter(0, "b", 0, 2).is_some());
        assert!(first.add_member(2) && first.add_member(2) && !first.add_member(2));
        first.remove_member();
        assert!(first.add_member(2));
    }

    #[test]
    fn rooms_are_listed_in_order_page_by_page() {
        let directory = Directory::new(2);
        let inbox = crate::rooms::conversation::inbox("ann");
        for name in ["b", "a3", "a1", "c", "a2", &inbox] {
            assert!(directory.enter(1, name, 0, usize::MAX).is_some());
        }
        let list = |prefix, after, limit| {
            let (names, more) = directory.list(1, prefix, after, limit);
            (names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" "), more)
        };
        assert_eq!(list("", None, 10), ("a1 a2 a3 b c".to_owned(), false));
        assert_eq!(list("", None, 2), ("a1 a2".to_owned(), true));
        assert_eq!(list("", Some("a2"), 3), ("a3 b c".to_owned(), false));
        assert_eq!(list("a", Some("a1"), 1), ("a2".to_owned(), true));
        assert_eq!(list("x", None, 1), (String::new(), false));
        assert!(directory.list(0, "", None, 10).0.is_empty());
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
