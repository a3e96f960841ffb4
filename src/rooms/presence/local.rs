//! Who is in a room through the sessions of one shard, and what of that the room's home was told.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::rooms::presence::SPARE_CAPACITY_MAX;
use crate::rooms::presence::note::Change;

/// The users that one shard has in one room.
#[derive(Debug, Default)]
pub(super) struct Local {
    users: HashMap<Arc<str>, User>,
    /// Those of whom the home was told something else.
    changed: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct User {
    /// What the last session to come calls itself.
    name: Arc<str>,
    sessions: usize,
    /// The name that the home was told, and the delta that told it.
    told: Option<(Arc<str>, u64)>,
}

impl User {
    fn is_told(&self) -> bool {
        let told = self.told.as_ref().map(|(name, _)| name);
        told == (self.sessions > 0).then_some(&self.name)
    }
}

impl Local {
    /// One session more of the user.
    pub(super) fn enter(&mut self, user: &Arc<str>, name: &Arc<str>) {
        let found = self.users.entry(user.clone());
        let found = found.or_insert_with(|| User { name: name.clone(), sessions: 0, told: None });
        found.sessions += 1;
        if found.name != *name {
            found.name = name.clone();
        }
        let is_told = found.is_told();
        self.note(user.clone(), is_told);
    }

    /// One session less of the user.
    pub(super) fn leave(&mut self, user: &str) {
        let Some((user, _)) = self.users.get_key_value(user) else { return };
        let user = user.clone();
        let Some(found) = self.users.get_mut(&user) else { return };
        found.sessions = found.sessions.saturating_sub(1);
        let is_told = found.is_told();
        if found.sessions == 0 && is_told {
            // Gone before anybody heard of them.
            self.users.remove(&user);
        }
        self.note(user, is_told);
    }

    /// No session of anybody any more.
    pub(super) fn clear(&mut self) {
        self.users.retain(|_, user| {
            user.sessions = 0;
            user.told.is_some()
        });
        self.changed = self.users.keys().cloned().collect();
    }

    /// Whether nobody is here, and there is nobody of whom the home has to be told so.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The delta that told the home of the user as they are now, if one did.
    pub(super) fn told(&self, user: &str) -> Option<u64> {
        let user = self.users.get(user).filter(|user| user.sessions > 0 && user.is_told())?;
        user.told.as_ref().map(|(_, delta)| *delta)
    }

    /// What the home has to be told, by user; `delta` is the number of the delta that does so.
    pub(super) fn take_changes(&mut self, delta: u64) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let changes = changed.into_iter().map(|user| self.tell(user, delta)).collect();
        if self.users.capacity() > 4 * self.users.len() + SPARE_CAPACITY_MAX {
            self.users.shrink_to_fit();
        }
        changes
    }

    fn tell(&mut self, user: Arc<str>, delta: u64) -> Change {
        let name = self.users.get_mut(&user).filter(|found| found.sessions > 0).map(|found| {
            found.told = Some((found.name.clone(), delta));
            found.name.clone()
        });
        if name.is_none() {
            self.users.remove(&user);
        }
        Change { user, name }
    }

    fn note(&mut self, user: Arc<str>, is_told: bool) {
        if is_told {
            self.changed.remove(&user);
        } else {
            self.changed.insert(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(local: &mut Local, delta: u64) -> Vec<(String, Option<String>)> {
        let changes = local.take_changes(delta).into_iter();
        let text = |text: &Arc<str>| text.to_string();
        changes.map(|change| (text(&change.user), change.name.as_ref().map(text))).collect()
    }

    fn here(user: &str, name: &str) -> (String, Option<String>) {
        (user.into(), Some(name.into()))
    }

    #[test]
    fn the_first_session_and_the_last_one_are_told_of() {
        let mut local = Local::default();
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        local.enter(&ann, &ann);
        local.enter(&ann, &ann);
        assert_eq!(local.told("ann"), None);
        assert_eq!(changes(&mut local, 3), [here("ann", "ann")]);
        assert_eq!(local.told("ann"), Some(3));
        local.leave("ann");
        local.enter(&bob, &bob);
        local.leave("bob");
        assert_eq!(changes(&mut local, 4), []);
        local.leave("ann");
        assert!(!local.is_empty(), "the home does not know yet");
        assert_eq!(changes(&mut local, 5), [("ann".to_owned(), None)]);
        assert!(local.is_empty());
        local.leave("ann");
        assert_eq!(changes(&mut local, 6), [], "nobody knows them");
    }

    #[test]
    fn who_leaves_and_comes_back_was_never_away() {
        let mut local = Local::default();
        let (ann, other): (Arc<str>, Arc<str>) = ("ann".into(), "Anna".into());
        local.enter(&ann, &ann);
        local.take_changes(1);
        local.leave("ann");
        local.enter(&ann, &ann);
        assert_eq!((changes(&mut local, 2), local.told("ann")), (vec![], Some(1)));
        local.clear();
        local.enter(&ann, &other);
        assert_eq!(local.told("ann"), None, "not by that name");
        assert_eq!(changes(&mut local, 3), [here("ann", "Anna")]);
        local.clear();
        assert_eq!(changes(&mut local, 4), [("ann".to_owned(), None)]);
        assert!(local.is_empty());
    }
}
