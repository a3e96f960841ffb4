//! What of a broadcast a member gets that does not get all of it: one that has some of its messages already, or whose
//! socket is full. That one gets no signals: whatever is let go for somebody, they are the first.

use std::ops::Range;

use crate::log::Seq;
use crate::protocol::chat::logged_frame::{frames, is_presence, is_signal, seq_of};
use crate::shard::broadcast::Broadcast;
use crate::shard::counters::Drop;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Queues what a chat's member gets whose socket is full. False if it gets everything.
    pub(crate) fn queue_under_pressure(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) -> bool {
        let leaves_out = self.is_under_pressure(slot) && broadcast.signals() > 0;
        if leaves_out {
            self.queue_after(slot, room, broadcast, exclusions, 0);
        }
        leaves_out
    }

    /// Queues what a member gets of a broadcast, but for the messages up to a position.
    pub(crate) fn queue_after(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
        after: Seq,
    ) {
        let takes_signals = !self.is_under_pressure(slot);
        let takes_presence = !(broadcast.has_presence && self.hides_presence(slot, room));
        for piece in broadcast.pieces(exclusions) {
            let bytes = &broadcast.bytes[piece.clone()];
            let mut run = piece.start..piece.start;
            for frame in frames(bytes) {
                let end = piece.start + frame.end;
                let frame = &bytes[frame];
                let is_left_out = !takes_signals && is_signal(frame);
                let is_hidden = !takes_presence && is_presence(frame);
                if !is_left_out && !is_hidden && seq_of(frame).is_none_or(|seq| seq > after) {
                    self.counters.deliveries += 1;
                    run.end = end;
                } else {
                    self.counters.dropped[Drop::Signal as usize] += u64::from(is_left_out);
                    self.queue_shared(slot, &broadcast.bytes, run.clone(), run.start, room);
                    run = end..end;
                }
            }
            self.queue_shared(slot, &broadcast.bytes, run.clone(), run.start, room);
        }
    }

    /// Queues what a chat's member gets who is not told who comes and goes. False if there is nothing of that.
    pub(crate) fn queue_without_presence(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) -> bool {
        let leaves_out = broadcast.has_presence && self.hides_presence(slot, room);
        if leaves_out {
            self.queue_after(slot, room, broadcast, exclusions, 0);
        }
        leaves_out
    }

    /// Counts the signals of a broadcast for a member that gets nothing of it.
    pub(crate) fn pass_over(&mut self, broadcast: &Broadcast, exclusions: Range<usize>) {
        if broadcast.signals() > 0 {
            let pieces = broadcast.pieces(exclusions);
            let signals: u64 = pieces.map(|piece| signals(&broadcast.bytes[piece])).sum();
            self.counters.dropped[Drop::Signal as usize] += signals;
        }
    }

    fn is_under_pressure(&self, slot: u32) -> bool {
        let session = &self.sessions[slot as usize];
        session.has(flag::BLOCKED) && session.chat.is_some()
    }
}

/// How many of these whole frames are signals.
pub(crate) fn signals(bytes: &[u8]) -> u64 {
    frames(bytes).filter(|frame| is_signal(&bytes[frame.clone()])).count() as u64
}
