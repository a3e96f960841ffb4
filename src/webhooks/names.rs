//! The names of the rooms whose members are told of, which are said by the rooms' ids.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Rooms that nobody is in whose names are still known, for who is said to have left them a moment later.
const VACATED_MAX: usize = 1024;

/// The names as they were said; what said them may have been dropped.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<u64, Known>,
    vacated: VecDeque<u64>,
    /// So many are known before it is looked again which of them are of rooms that are gone.
    enough: usize,
}

struct Known {
    name: Arc<str>,
    is_vacated: bool,
}

impl Names {
    /// Hears that somebody is in the room now, or nobody is.
    pub(super) fn hear(&mut self, id: u64, name: &Arc<str>, is_occupied: bool) {
        if is_occupied {
            self.known.insert(id, Known { name: Arc::clone(name), is_vacated: false });
            self.fit();
            return;
        }
        let Some(known) = self.known.get_mut(&id) else { return };
        known.is_vacated = true;
        self.vacated.push_back(id);
        if self.vacated.len() > VACATED_MAX
            && let Some(id) = self.vacated.pop_front()
        {
            self.known.remove(&id);
        }
    }

    pub(super) fn of(&self, id: u64) -> Option<&str> {
        self.known.get(&id).map(|known| &*known.name)
    }

    /// Forgets the rooms of which it did not come to be heard that nobody is in them any more: a room that is there, or
    /// that a queued event is about, holds its name too. There are never more than twice as many known as there are rooms,
    /// and some.
    fn fit(&mut self) {
        if self.known.len() <= self.enough.max(2 * VACATED_MAX) {
            return;
        }
        self.known.retain(|_, known| known.is_vacated || Arc::strong_count(&known.name) > 1);
        self.enough = 2 * self.known.len();
        self.known.shrink_to(self.enough);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::event::{Event, Kinds};
    use super::super::live::Tap;
    use super::*;
    use crate::hub::directory::Directory;

    #[test]
    fn nothing_stays_of_rooms_whose_end_did_not_fit_into_the_queue() {
        let (queue, mut events) = mpsc::channel(1);
        let kinds = Kinds { member: true, ..Kinds::default() };
        let tap = Tap::new(queue, Arc::default(), kinds, (Arc::default(), Arc::default()));
        let directory = Directory::new(1);
        directory.watch(Arc::new(tap));
        let mut names = Names::default();
        let mut hear = |events: &mut mpsc::Receiver<_>| {
            let Ok((Event::Room { room, id, is_occupied, .. }, _)) = events.try_recv() else {
                panic!("a room is told of");
            };
            names.hear(id, &room, is_occupied);
            assert!(events.try_recv().is_err(), "there is a place for one");
            names.known.len()
        };
        let enter = |name: &str| directory.enter(0, name, 0, usize::MAX).expect("there is room");
        let lives = enter("lives");
        hear(&mut events);
        let ends = enter("ends");
        hear(&mut events);
        directory.exit(0, &ends, 0);
        hear(&mut events);
        for n in 0..10 * VACATED_MAX {
            let room = enter(&n.to_string());
            // The queue is full.
            directory.exit(0, &room, 0);
            drop(room);
            assert!(hear(&mut events) <= 2 * VACATED_MAX);
        }
        assert_eq!((names.of(lives.id), names.of(ends.id)), (Some("lives"), Some("ends")));
    }
}
