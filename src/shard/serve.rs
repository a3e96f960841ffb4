//! Serving members: what a room's broadcast becomes for each of them.

use std::io::{self, IoSlice};
use std::ops::Range;

use crate::protocol::CloseReason;
use crate::shard::broadcast::Broadcast;
use crate::shard::outbox::SLICES_MAX;
use crate::shard::session::{NONE, flag};
use crate::shard::state::State;

impl State {
    /// Writes the whole broadcast to members that all get the same bytes, straight out of the room's buffer. Here the
    /// time of a fan-out is spent: what can be done once for all of them is done once. By itself, so that the loop has
    /// the registers to itself.
    #[inline(never)]
    pub(crate) fn submit(&mut self, slots: &[u32], room: u32, broadcast: &Broadcast) {
        let bytes = &broadcast.bytes[..];
        let not_plain = broadcast.not_plain();
        // Counted is what is rare: who is not written to, and what is not taken.
        let (mut passed_over, mut missing) = (0, 0);
        for &slot in slots {
            // Who left during the flush has left a hole: no slot that there is.
            let Some(session) = self.sessions.get_mut(slot as usize) else {
                passed_over += 1;
                continue;
            };
            if session.has(not_plain) {
                passed_over += 1;
                self.serve_with_care(slot, room, broadcast, 0..0);
                continue;
            }
            match Self::write_once(&session.stream, bytes) {
                Ok(written) => {
                    session.written = session.written.wrapping_add(written as u32);
                    if written < bytes.len() {
                        missing += bytes.len() - written;
                        self.queue_rest(slot, room, broadcast, written);
                    }
                }
                Err(error) => {
                    missing += bytes.len();
                    self.fail(slot, &error);
                }
            }
        }
        let writes = slots.len() - passed_over;
        self.counters.writes += writes as u64;
        self.counters.deliveries += writes as u64 * u64::from(broadcast.frames);
        self.counters.bytes_out += (writes * bytes.len() - missing) as u64;
    }

    /// Serves a member that must not get some of the frames.
    pub(crate) fn serve_excluded(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) {
        if slot == NONE {
            return;
        }
        if self.sessions[slot as usize].has(broadcast.not_plain()) {
            self.serve_with_care(slot, room, broadcast, exclusions);
        } else {
            self.serve_around(slot, room, broadcast, exclusions);
        }
    }

    /// The pieces around the frames that the member must not get, its own for one, in one `writev`.
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
        match Self::write_slices(&session.stream, &slices[..count]) {
            Ok(written) => {
                session.written = session.written.wrapping_add(written as u32);
                self.counters.bytes_out += written as u64;
                self.counters.deliveries += broadcast.frames_for(exclusions.clone());
                if written < bytes {
                    session.set(flag::BLOCKED);
                    self.queue_pieces(slot, room, broadcast, exclusions, written);
                    self.check_backlog(slot);
                }
            }
            Err(error) => self.fail(slot, &error),
        }
    }

    #[cold]
    fn fail(&mut self, slot: u32, error: &io::Error) {
        self.note_failure(slot, error);
        self.doom(slot, CloseReason::Lost);
    }

    #[cold]
    fn queue_rest(&mut self, slot: u32, room: u32, broadcast: &Broadcast, written: usize) {
        self.sessions[slot as usize].set(flag::BLOCKED);
        self.queue_shared(slot, &broadcast.bytes, written..broadcast.bytes.len(), 0, room);
        self.check_backlog(slot);
    }

    /// A member with output of its own, with frames that it must not get, in several rooms, or that reads slowly:
    /// everything there is for it goes through its outbox, and from there out in one write.
    #[inline(never)]
    fn serve_with_care(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) {
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::CLOSING) {
            return;
        }
        if session.has(flag::TLS) && self.serve_sealed(slot, broadcast, exclusions.clone()) {
            return;
        }
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::MANY_ROOMS) {
            if session.take_served(room) {
                return;
            }
            self.queue_broadcast(slot, room, broadcast, exclusions);
            self.queue_other_rooms(slot, room);
        } else {
            self.queue_broadcast(slot, room, broadcast, exclusions);
        }
        self.check_backlog(slot);
        self.flush_outbox(slot);
    }

    fn queue_broadcast(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) {
        if self.sessions[slot as usize].has(flag::CURSOR)
            && self.queue_for_cursor(slot, room, broadcast, exclusions.clone())
        {
            return;
        }
        if self.queue_under_pressure(slot, room, broadcast, exclusions.clone())
            || self.queue_without_presence(slot, room, broadcast, exclusions.clone())
        {
            return;
        }
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

    /// Queues what the session's other rooms have for it, so that one write takes it all.
    fn queue_other_rooms(&mut self, slot: u32, but: u32) {
        let mut index = 0;
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
            }
            self.rooms.get_mut(member.room).current = Some(broadcast);
        }
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
}
