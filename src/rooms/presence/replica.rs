//! What a shard with members of a room knows of who is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rooms::presence::{Event, Happening};

/// Who is in a room, as of one `rev`. At the same `rev` it is the same on every shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    rev: u64,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// Names by user.
    Users(BTreeMap<Arc<str>, Arc<str>>),
    Count(usize),
}

impl Replica {
    /// Of a room whose members are told of one another.
    pub(crate) fn of_users(rev: u64, users: BTreeMap<Arc<str>, Arc<str>>) -> Self {
        Self { rev, who: Who::Users(users) }
    }

    /// Of a room whose members are told how many they are.
    pub(crate) const fn of_count(rev: u64, count: usize) -> Self {
        Self { rev, who: Who::Count(count) }
    }

    /// The last event that it includes.
    pub(crate) const fn rev(&self) -> u64 {
        self.rev
    }

    /// How many users are in the room.
    pub(crate) fn count(&self) -> usize {
        match &self.who {
            Who::Users(users) => users.len(),
            Who::Count(count) => *count,
        }
    }

    /// User and name of everyone, by user; `None` where only the count is told.
    pub(crate) fn users(&self) -> Option<impl ExactSizeIterator<Item = (&str, &str)>> {
        match &self.who {
            Who::Users(users) => Some(users.iter().map(|(user, name)| (&**user, &**name))),
            Who::Count(_) => None,
        }
    }

    /// Takes what happened; false if it is included already.
    pub(super) fn apply(&mut self, event: &Event) -> bool {
        if event.rev <= self.rev {
            return false;
        }
        self.rev = event.rev;
        match (&event.what, &mut self.who) {
            (Happening::Join { user, name }, Who::Users(users)) => {
                users.insert(user.clone(), name.clone());
            }
            (Happening::Leave { user, .. }, Who::Users(users)) => {
                users.remove(user);
            }
            (_, who) => *who = Who::Count(event.count),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(rev: u64, what: Happening, count: usize) -> Event {
        Event { rev, what, count }
    }

    fn join(user: &str, name: &str) -> Happening {
        Happening::Join { user: user.into(), name: name.into() }
    }

    fn users(replica: &Replica) -> Vec<(&str, &str)> {
        replica.users().expect("they are told").collect()
    }

    #[test]
    fn events_make_the_next_replica_of_the_last() {
        let mut replica = Replica::of_users(7, BTreeMap::new());
        assert!(replica.apply(&event(8, join("b", "Bob"), 1)));
        assert!(replica.apply(&event(9, join("a", "Al"), 2)));
        assert_eq!(users(&replica), [("a", "Al"), ("b", "Bob")]);
        assert!(!replica.apply(&event(9, join("c", "old"), 3)), "it is old");
        assert!(replica.apply(&event(10, join("a", "Ann"), 2)), "another name");
        let leave = Happening::Leave { user: "b".into(), name: "Bob".into() };
        assert!(replica.apply(&event(11, leave, 1)));
        assert_eq!((users(&replica), replica.rev()), (vec![("a", "Ann")], 11));
        assert!(replica.apply(&event(12, Happening::Count, 600)));
        assert!(replica.users().is_none());
        assert_eq!((replica.count(), replica.rev()), (600, 12));
    }
}
