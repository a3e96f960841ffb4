//! How many sessions each authenticated user has, on all shards.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::gate::addresses::Excess;

/// The users that have a session now: no more than there are sessions.
#[derive(Debug)]
pub struct Users {
    max: usize,
    sessions: DashMap<Arc<str>, usize>,
}

impl Default for Users {
    /// Each may have as many sessions as it likes.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Users {
    /// None so far; each may have `max` sessions.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, sessions: DashMap::new() }
    }

    /// Takes a place among the sessions of a user.
    ///
    /// # Errors
    /// The user has as many as may be.
    pub fn enter(self: &Arc<Self>, user: &Arc<str>) -> Result<UserPlace, Excess> {
        let mut sessions = self.sessions.entry(Arc::clone(user)).or_insert(0);
        if *sessions >= self.max {
            return Err(Excess::UserConnections);
        }
        *sessions += 1;
        drop(sessions);
        Ok(UserPlace { users: Arc::clone(self), user: Arc::clone(user) })
    }

    /// How many have a session.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nobody has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Gives memory back that a crowd left behind.
    pub fn shrink(&self) {
        if self.sessions.capacity() > 4 * self.sessions.len() + 4096 {
            self.sessions.shrink_to_fit();
        }
    }
}

/// One place among the sessions of a user, given back when dropped.
#[derive(Debug)]
pub struct UserPlace {
    users: Arc<Users>,
    user: Arc<str>,
}

impl Drop for UserPlace {
    fn drop(&mut self) {
        if let Entry::Occupied(mut sessions) = self.users.sessions.entry(Arc::clone(&self.user)) {
            *sessions.get_mut() -= 1;
            if *sessions.get() == 0 {
                sessions.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_for_each_user_and_places_come_back() {
        let users = Arc::new(Users::new(2));
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let first = users.enter(&ann).expect("there is room");
        let second = users.enter(&ann).expect("there is room");
        assert_eq!(users.enter(&ann).err(), Some(Excess::UserConnections));
        let third = users.enter(&bob).expect("another user is another matter");
        drop(first);
        let fourth = users.enter(&ann).expect("there is room again");
        drop((second, third, fourth));
        assert!(users.is_empty());
    }
}
