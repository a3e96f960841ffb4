//! The engine that does not last: what is said is kept in the memory of the process, and an ack promises no more.
//!
//! Here are its two ends; between them are its [`rooms`], and the [`keys`] of what they were sent.

mod keys;
mod removal;
mod rooms;

use std::sync::{Arc, PoisonError};

use self::rooms::Rooms;
use crate::log::counters::Counters;
use crate::log::engine::{Engine, Outcome, Reader, Rules, Tidied, Unavailable, Window};
use crate::log::removal::{Errand, Removed};
use crate::log::{Draft, Epoch, Finding, Millis, Query, Unreadable, page};

#[allow(clippy::disallowed_types, reason = "between the writer and the readers; no shard takes it")]
type Mutex<T> = std::sync::Mutex<T>;

/// What there is to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How long keys of idempotency are kept.
    pub(crate) window: Window,
    /// From one position to the next: 1, or more for tests of what relies on positions that follow one another.
    pub(crate) seq_step: u64,
    /// What messages and keys may take, in bytes as they are reckoned here. Above it the oldest go.
    pub(crate) bytes_max: usize,
}

/// The writing end.
pub(crate) struct Memory {
    rooms: Arc<Mutex<Rooms>>,
    counters: Arc<Counters>,
}

impl Memory {
    /// An empty log of an epoch of its own.
    pub(crate) fn new(options: Options, counters: Arc<Counters>) -> Result<Self, getrandom::Error> {
        let epoch: Epoch = format!("{:016x}", getrandom::u64()?).into();
        Ok(Self { rooms: Arc::new(Mutex::new(Rooms::new(epoch, options))), counters })
    }

    /// Does something to the rooms, and counts what went with it.
    fn change<T>(&self, change: impl FnOnce(&mut Rooms) -> T) -> T {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (rooms.removed, rooms.forgotten);
        let result = change(&mut rooms);
        self.counters.removed.add(rooms.removed - before.0);
        self.counters.forgotten.add(rooms.forgotten - before.1);
        result
    }
}

impl Engine for Memory {
    fn is_durable(&self) -> bool {
        false
    }

    fn store(&mut self, drafts: &[Draft], now: Millis) -> Result<Vec<Outcome>, Unavailable> {
        Ok(self.change(|rooms| drafts.iter().map(|draft| rooms.take(draft, now)).collect()))
    }

    fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Result<Tidied, Unavailable> {
        Ok(self.change(|rooms| rooms.tidy(rules, now, budget)))
    }

    fn remove(
        &mut self,
        errand: &mut Errand,
        now: Millis,
        budget: usize,
    ) -> Result<Removed, Unavailable> {
        Ok(self.change(|rooms| rooms.remove(errand, now, budget)))
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(MemoryReader(self.rooms.clone()))
    }
}

struct MemoryReader(Arc<Mutex<Rooms>>);

impl Reader for MemoryReader {
    fn find(&mut self, query: &Query, since: Millis) -> Result<Finding, Unreadable> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Query::Conversations { user, after, limit } = query {
            return Ok(rooms.conversations(user, after.as_deref(), *limit));
        }
        let Ok(page) =
            rooms.with(&query.conversation(), |epoch, room| page::page(query, epoch, room, since));
        page.map(Finding::Page).ok_or(Unreadable)
    }
}
