//! Orders about users, carried out on a shard: its sessions are looked through for theirs, a part of them each turn.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::hub::orders::{Order, What};
use crate::protocol::{CloseReason, SessionId};
use crate::shard::session::flag;
use crate::shard::state::State;

/// Slots of the slab that one turn looks at: some hundred microseconds.
pub(super) const LOOKED_AT_PER_TURN: usize = 4096;

/// What is being looked for, the first of them now.
#[derive(Default)]
pub(crate) struct Searches(VecDeque<Search>);

struct Search {
    order: Arc<Order>,
    /// The slot to look at next. Who comes to one that was looked at came later than the order.
    next: usize,
    found: Vec<SessionId>,
}

impl Searches {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl State {
    /// Takes an order; what needs all sessions to be looked at follows turn by turn, in the order of the orders.
    pub(crate) fn take_order(&mut self, order: Arc<Order>) {
        if let What::Mute(users) = &order.what {
            for user in users {
                match self.hub.standings.muted_until(user) {
                    Some(end) => drop(self.mutes.insert(Arc::clone(user), end)),
                    None => drop(self.mutes.remove(user)),
                }
            }
            return;
        }
        self.searches.0.push_back(Search { order, next: 0, found: Vec::new() });
    }

    /// Goes on with what is looked for, in so many slots of the slab.
    pub(crate) fn search(&mut self, slots_max: usize) {
        let mut budget = slots_max;
        while let Some(mut search) = self.searches.0.pop_front() {
            let end = self.sessions.iter().next_back().map_or(0, |(last, _)| last + 1);
            let until = end.min(search.next + budget);
            budget -= until.saturating_sub(search.next);
            for slot in search.next..until {
                self.look_at(slot, &mut search);
            }
            if until < end {
                search.next = until;
                self.searches.0.push_front(search);
                break;
            }
            // A full channel there is none of: it has room for an answer of each shard.
            if let What::Find { found, .. } = &search.order.what {
                let _ = found.try_send(search.found);
            }
        }
    }

    fn look_at(&mut self, slot: usize, search: &mut Search) {
        let Some(session) = self.sessions.get(slot) else { return };
        if session.has(flag::CLOSING) {
            return;
        }
        let slot = slot as u32;
        let Some(access) = self.access(slot) else { return };
        match &search.order.what {
            What::Remove { user, close } if access.identity.user == *user => {
                self.doom(slot, CloseReason::Removed(close.clone()));
            }
            What::Find { user, .. } if access.identity.user == *user => {
                search.found.push(self.id(slot));
            }
            _ => {}
        }
    }

    /// Forgets who may speak again.
    pub(crate) fn forget_mutes(&mut self) {
        if !self.mutes.is_empty() {
            let now = (self.clock)();
            self.mutes.retain(|_, end| *end > now);
        }
    }
}
