//! The flush: what the turn gathered goes out, one write a member however many frames there are.
//!
//! A flush is resumable. After a budget of writes the turn looks at its other work and goes on later. Small flushes
//! and large ones have budgets of their own, and the large ones take turns, so that no number of those holds up a
//! small one. What arrives for a room under flush gathers for its next one.

use std::time::Instant;

use crate::shard::broadcast::Broadcast;
use crate::shard::counters::Counters;
use crate::shard::session::flag;
use crate::shard::state::State;

/// Members served, and bytes written to them, before the turn looks at its other work: a millisecond of kernel time
/// or less. The last write may go beyond the bytes.
pub(crate) const SERVED_MAX: usize = 256;
const BYTES_MAX: u64 = 1024 * 1024;

/// A flush of more members, or of more bytes to all of them together, waits its turn among the large ones.
const SMALL_MEMBERS_MAX: usize = 64;
const SMALL_BYTES_MAX: usize = 256 * 1024;

/// What the end of a session counts for among members served: a write, a shutdown, and a socket to close.
pub(crate) const CLOSING_COST: usize = 4;

/// What is left of one step.
struct Budget {
    served: usize,
    /// The shard's count of bytes written at which the step ends.
    bytes_out: u64,
}

impl Budget {
    fn is_spent(&self, counters: &Counters) -> bool {
        self.served == 0 || counters.bytes_out >= self.bytes_out
    }

    /// How many members may be served with so many bytes each; at least one.
    fn covers(&self, counters: &Counters, bytes: usize) -> usize {
        let left = self.bytes_out.saturating_sub(counters.bytes_out);
        let by_bytes = usize::try_from(left.div_ceil(bytes.max(1) as u64)).unwrap_or(usize::MAX);
        self.served.min(by_bytes).max(1)
    }
}

impl State {
    /// One step of every flush there is: small ones first, then large ones, then the sessions with output of their
    /// own, with a budget for each of the three: `served_max` members are one bound of it.
    pub(crate) fn flush_step(&mut self, served_max: usize) {
        let mut budget = self.budget(served_max);
        for _ in 0..self.fresh.len() {
            if budget.is_spent(&self.counters) {
                break;
            }
            let Some(room) = self.fresh.pop_front() else { break };
            if self.is_large(room) {
                self.large.push_back(room);
            } else {
                self.begin_flush(room);
                self.serve(room, &mut budget);
            }
        }
        let mut budget = self.budget(served_max);
        self.end_waits();
        for _ in 0..self.large.len() {
            if budget.is_spent(&self.counters) {
                break;
            }
            let Some(room) = self.large.pop_front() else { break };
            if self.waits(room) {
                self.waiting.push_back(room);
            } else {
                self.begin_flush(room);
                self.serve(room, &mut budget);
            }
        }
        self.flush_touched(served_max);
    }

    /// Begins the flushes that have waited long enough, ahead of the other large ones: a wait is not a round.
    fn end_waits(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(room) = self.waiting.pop_front() else { break };
            if self.waits(room) {
                self.waiting.push_back(room);
            } else {
                self.begin_flush(room);
                self.large.push_front(room);
            }
        }
    }

    /// Whether a room's flush waits for more frames. Where too many have gathered already, nobody may send more.
    fn waits(&mut self, room: u32) -> bool {
        let (now, is_stopping) = (self.now, self.is_stopping);
        self.rooms.rooms.get_mut(room as usize).is_some_and(|room| {
            let begins = room.current.is_none() && !room.is_congested && !is_stopping;
            room.next.as_ref().is_some_and(|next| begins && room.pace.waits(next.frames, now))
        })
    }

    /// Whether what a room has to write makes a large flush.
    fn is_large(&self, room: u32) -> bool {
        let room = self.rooms.get(room);
        let Some(broadcast) = room.current.as_ref().or(room.next.as_ref()) else { return false };
        let members = room.members.len();
        members > SMALL_MEMBERS_MAX || members * broadcast.bytes.len() > SMALL_BYTES_MAX
    }

    fn budget(&self, served_max: usize) -> Budget {
        Budget { served: served_max, bytes_out: self.counters.bytes_out + BYTES_MAX }
    }

    /// Whether another step has something to do.
    pub(crate) fn has_to_flush(&self) -> bool {
        !self.fresh.is_empty() || !self.large.is_empty() || !self.touched.is_empty()
    }

    fn flush_touched(&mut self, served_max: usize) {
        let mut budget = self.budget(served_max);
        for _ in 0..self.touched.len() {
            if budget.is_spent(&self.counters) {
                break;
            }
            budget.served -= 1;
            let Some(slot) = self.touched.pop_front() else { break };
            if let Some(session) = self.sessions.get_mut(slot as usize) {
                session.clear(flag::TOUCHED);
                if session.has(flag::CLOSING) {
                    budget.served = budget.served.saturating_sub(CLOSING_COST - 1);
                }
                self.flush_outbox(slot);
            }
        }
    }

    /// Ends the gathering for a room and makes what there is the one to be written, unless one is already.
    pub(crate) fn begin_flush(&mut self, room: u32) {
        let found = self.rooms.get_mut(room);
        if found.current.is_some() {
            return;
        }
        let Some(mut broadcast) = found.next.take() else { return };
        let sessions = &self.sessions;
        broadcast.begin(found.members.len(), Instant::now(), |slot| {
            let session = sessions.get(slot as usize)?;
            session.memberships().find(|member| member.room == room).map(|member| member.position)
        });
        let reads_on = found.chat.as_mut().is_some_and(|chat| {
            chat.begin_flush(&broadcast.bytes);
            chat.behind.is_some()
        });
        found.current = Some(broadcast);
        if found.is_congested {
            self.clear_congestion(room);
        }
        if reads_on {
            self.want_room_read(room);
        }
    }

    /// Serves the room's members as far as the budget goes.
    fn serve(&mut self, room: u32, budget: &mut Budget) {
        let found = self.rooms.get_mut(room);
        let Some(mut broadcast) = found.current.take() else { return };
        // Borrowed for the while: nobody joins or leaves between two writes.
        let members = std::mem::take(&mut found.members);
        while broadcast.cursor < broadcast.end && !budget.is_spent(&self.counters) {
            let covered = budget.covers(&self.counters, broadcast.bytes.len());
            let from = broadcast.cursor;
            let until = broadcast.end.min(from + covered);
            let alike = broadcast.next_excluded().clamp(from, until);
            if alike > from {
                self.submit(&members[from..alike], room, &broadcast);
                broadcast.cursor = alike;
            } else {
                let exclusions = broadcast.take_exclusions();
                self.serve_excluded(members[from], room, &broadcast, exclusions);
                broadcast.cursor += 1;
            }
            budget.served -= broadcast.cursor - from;
        }
        let found = self.rooms.get_mut(room);
        found.members = members;
        if broadcast.cursor < broadcast.end {
            found.current = Some(broadcast);
            if self.is_large(room) {
                self.large.push_back(room);
            } else {
                self.fresh.push_front(room);
            }
        } else {
            self.end_flush(room, broadcast);
        }
    }

    fn end_flush(&mut self, room: u32, broadcast: Box<Broadcast>) {
        let now = Instant::now();
        self.counters.fanout.record(now - broadcast.read_at);
        let took = now - broadcast.begun_at;
        self.rooms.pool.put(broadcast);
        let found = self.rooms.get_mut(room);
        found.pace.flushed(took, now);
        if self.rooms.settle(room, &mut self.sessions) {
            self.forget_room(room);
        } else if self.rooms.get(room).next.is_some() {
            self.fresh.push_back(room);
        }
    }
}
