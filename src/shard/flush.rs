//! The flush: what the turn gathered goes out, one write a member however many frames there are.
//!
//! A flush is resumable. After a budget of writes the turn looks at its other work and goes on later. Small flushes
//! and large ones have budgets of their own, and the large ones take turns, so that no number of those holds up a
//! small one. What arrives for a room under flush gathers for its next one.

use std::io::IoSlice;
use std::ops::Range;

use crate::protocol::CloseReason;
use crate::shard::broadcast::Broadcast;
use crate::shard::counters::Counters;
use crate::shard::outbox::SLICES_MAX;
use crate::shard::session::{NONE, flag};
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
            } else if self.rooms.is_flushing(room) || self.begin_flush(room) {
                self.serve(room, &mut budget);
            }
        }
        let mut budget = self.budget(served_max);
        for _ in 0..self.large.len() {
            if budget.is_spent(&self.counters) {
                break;
            }
            let Some(room) = self.large.pop_front() else { break };
            if self.rooms.is_flushing(room) || self.begin_flush(room) {
                self.serve(room, &mut budget);
            }
        }
        self.flush_touched(served_max);
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

    /// Ends the gathering for a room and makes it the one to be written; false if there is nothing.
    fn begin_flush(&mut self, room: u32) -> bool {
        let Some(found) = self.rooms.rooms.get_mut(room as usize) else { return false };
        if found.current.is_some() {
            return false;
        }
        let Some(mut broadcast) = found.next.take() else { return false };
        let sessions = &self.sessions;
        broadcast.begin(found.members.len(), |slot| {
            let session = sessions.get(slot as usize)?;
            session.memberships().find(|member| member.room == room).map(|member| member.position)
        });
        found.current = Some(broadcast);
        if found.is_congested {
            self.clear_congestion(room);
        }
        true
    }

    /// Serves the room's members as far as the budget goes.
    fn serve(&mut self, room: u32, budget: &mut Budget) {
        let Some(mut broadcast) = self.rooms.get_mut(room).current.take() else { return };
        while broadcast.cursor < broadcast.end && !budget.is_spent(&self.counters) {
            let position = broadcast.cursor;
            broadcast.cursor += 1;
            budget.served -= 1;
            let slot = self.rooms.get(room).members[position];
            if slot == NONE {
                continue;
            }
            let exclusions = broadcast.next_exclusions(position as u32);
            let session = &mut self.sessions[slot as usize];
            if session.has(flag::NOT_PLAIN) {
                let others = self.serve_with_care(slot, room, &broadcast, exclusions);
                budget.served = budget.served.saturating_sub(others);
            } else if exclusions.is_empty() {
                self.serve_plain(slot, room, &broadcast);
            } else {
                self.serve_around(slot, room, &broadcast, exclusions);
            }
        }
        if broadcast.cursor < broadcast.end {
            self.rooms.get_mut(room).current = Some(broadcast);
            self.large.push_back(room);
        } else {
            self.end_flush(room, broadcast);
        }
    }

    /// The common case: the whole broadcast, straight out of its buffer.
    #[inline]
    fn serve_plain(&mut self, slot: u32, room: u32, broadcast: &Broadcast) {
        let session = &mut self.sessions[slot as usize];
        let bytes = &broadcast.bytes[..];
        self.counters.writes += 1;
        self.counters.deliveries += u64::from(broadcast.frames);
        match Self::write_once(&mut session.stream, bytes) {
            Ok(written) => {
                session.written = session.written.wrapping_add(written as u32);
                self.counters.bytes_out += written as u64;
                if written < bytes.len() {
                    session.set(flag::BLOCKED);
                    self.queue_rest(slot, room, broadcast, written);
                }
            }
            Err(error) => {
                self.note_failure(slot, &error);
                self.doom(slot, CloseReason::Lost);
            }
        }
    }

    /// A member with frames that it must not get, its own for one: the pieces around them in one `writev`.
    #[inline(never)]
    fn serve_around(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut count, mut bytes) = (0, 0);
        for piece in broadcast.pieces(exclusions.clone()) {
            let Some(slice) = slices.get_mut(count) else {
                self.serve_with_care(slot, room, broadcast, exclusions);
                return;
            };
            bytes += piece.len();
            *slice = IoSlice::new(&broadcast.bytes[piece]);
            count += 1;
        }
        if count == 0 {
            return;
        }
        let session = &mut self.sessions[slot as usize];
        self.counters.writes += 1;
        match Self::write_slices(&mut session.stream, &slices[..count]) {
            Ok(written) => {
                session.written = session.written.wrapping_add(written as u32);
                self.counters.bytes_out += written as u64;
                self.counters.deliveries += broadcast.frames_for(exclusions.clone());
                if written < bytes {
                    session.set(flag::BLOCKED);
                    self.queue_pieces(slot, room, broadcast, exclusions, written);
                }
            }
            Err(error) => {
                self.note_failure(slot, &error);
                self.doom(slot, CloseReason::Lost);
            }
        }
    }

    #[cold]
    fn queue_rest(&mut self, slot: u32, room: u32, broadcast: &Broadcast, written: usize) {
        self.queue_shared(slot, &broadcast.bytes, written..broadcast.bytes.len(), 0, room);
    }

    /// A member with output of its own, with frames that it must not get, in several rooms, or that reads slowly:
    /// everything there is for it goes through its outbox, and from there out in one write. Gives the number of its
    /// other rooms that this took in.
    #[inline(never)]
    fn serve_with_care(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) -> usize {
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::CLOSING) {
            return 0;
        }
        let mut others = 0;
        if session.has(flag::MANY_ROOMS) {
            if session.take_served(room) {
                return 0;
            }
            self.queue_broadcast(slot, room, broadcast, exclusions);
            others = self.queue_other_rooms(slot, room);
        } else {
            self.queue_broadcast(slot, room, broadcast, exclusions);
        }
        self.flush_outbox(slot);
        others
    }

    fn queue_broadcast(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) {
        self.counters.deliveries += broadcast.frames_for(exclusions.clone());
        self.queue_pieces(slot, room, broadcast, exclusions, 0);
    }

    /// Queues the pieces of a broadcast for a member, but for what was written of them already.
    fn queue_pieces(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
        mut written: usize,
    ) {
        for piece in broadcast.pieces(exclusions) {
            let taken = written.min(piece.len());
            written -= taken;
            self.queue_shared(
                slot,
                &broadcast.bytes,
                piece.start + taken..piece.end,
                piece.start,
                room,
            );
        }
    }

    /// Queues what the session's other rooms have for it, so that one write takes it all; from how many of them.
    fn queue_other_rooms(&mut self, slot: u32, but: u32) -> usize {
        let (mut index, mut queued) = (0, 0);
        while let Some(member) = self.sessions[slot as usize].membership(index) {
            index += 1;
            if member.room == but {
                continue;
            }
            // The room is in its list already, and is found begun when its turn comes.
            self.begin_flush(member.room);
            let Some(broadcast) = self.rooms.get_mut(member.room).current.take() else { continue };
            let is_ahead = (broadcast.cursor..broadcast.end).contains(&(member.position as usize));
            if is_ahead && !member.is_served {
                let exclusions = broadcast.find_exclusions(member.position);
                self.queue_broadcast(slot, member.room, &broadcast, exclusions);
                self.sessions[slot as usize].mark_served(member.room);
                queued += 1;
            }
            self.rooms.get_mut(member.room).current = Some(broadcast);
        }
        queued
    }

    /// Queues everything that a session's rooms have for it, before it leaves them and its Close goes out behind it.
    pub(crate) fn queue_all_rooms(&mut self, slot: u32) {
        self.queue_other_rooms(slot, NONE);
        let mut index = 0;
        while let Some(member) = self.sessions[slot as usize].membership(index) {
            index += 1;
            // What gathers while a flush goes on; where none did, one has begun now.
            let Some(mut next) = self.rooms.get_mut(member.room).next.take() else { continue };
            let exclusions = next.gathered_exclusions(slot);
            self.queue_broadcast(slot, member.room, &next, exclusions);
            self.rooms.get_mut(member.room).next = Some(next);
        }
    }

    fn end_flush(&mut self, room: u32, broadcast: Box<Broadcast>) {
        self.counters.fanout.record(broadcast.read_at.elapsed());
        self.rooms.pool.put(broadcast);
        if self.rooms.settle(room, &mut self.sessions) {
            self.forget_room(room);
        } else if self.rooms.get(room).next.is_some() {
            self.fresh.push_back(room);
        }
    }
}
