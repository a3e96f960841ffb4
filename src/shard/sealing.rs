//! Sessions that speak TLS: the same slab, the same turn and the same outbox as all others, with a channel between
//! them and the socket. What makes the records is in [`tls`](crate::tls).
//!
//! What was encrypted goes out as it is, whatever becomes of the rest: it is a frame that was started. So only what one
//! write takes is encrypted at once, and that is all that a slow reader has of its own beyond its outbox.

use std::io::{self, IoSlice, Read};
use std::ops::Range;

use crate::protocol::{Close, CloseReason};
use crate::shard::broadcast::Broadcast;
use crate::shard::outbox::SLICES_MAX;
use crate::shard::session::flag;
use crate::shard::state::State;
use crate::tls::{Channel, End, OVERHEAD_BYTES_MAX, PLAIN_BYTES_MAX};

/// The most that is encrypted before the socket is asked to take it: four records.
pub(crate) const SEALED_BYTES_MAX: usize = 4 * PLAIN_BYTES_MAX;

/// The most records that a ping and the message beside it come in, and what these are longer by.
pub(crate) const PING_OVERHEAD_BYTES: u32 = 2 * OVERHEAD_BYTES_MAX as u32;

/// The table of channels is given back when it holds this many more places than it needs.
const SPARE_CHANNELS_MAX: usize = 4096;

/// The channels of a shard's sessions, by slot. A table of its own, so that sessions without one cost nothing.
#[derive(Default)]
pub(crate) struct Channels {
    by_slot: Vec<Option<Box<Channel>>>,
    count: usize,
    /// Where records are made, on their way to a socket.
    records: Vec<u8>,
}

impl Channels {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The channel of a session that has one.
    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Channel> {
        self.by_slot.get_mut(slot as usize)?.as_deref_mut()
    }

    fn insert(&mut self, slot: u32, channel: Box<Channel>) {
        let slot = slot as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.by_slot[slot] = Some(channel);
        self.count += 1;
    }

    fn remove(&mut self, slot: u32) {
        let place = self.by_slot.get_mut(slot as usize);
        self.count -= usize::from(place.and_then(Option::take).is_some());
    }

    /// Gives memory back that a crowd left behind.
    pub(crate) fn shrink(&mut self) {
        while matches!(self.by_slot.last(), Some(None)) {
            self.by_slot.pop();
        }
        if self.by_slot.capacity() > 4 * self.by_slot.len() + SPARE_CHANNELS_MAX {
            self.by_slot.shrink_to_fit();
        }
    }
}

impl State {
    /// Puts a channel between a session and its socket.
    pub(crate) fn add_channel(&mut self, slot: u32, channel: Box<Channel>) {
        self.sessions[slot as usize].set(flag::TLS);
        self.channels.insert(slot, channel);
    }

    /// Forgets the channel of a session that is gone.
    pub(crate) fn remove_channel(&mut self, slot: u32) {
        self.channels.remove(slot);
    }

    /// Reads once from a session and acts on what was in it; the bytes that came.
    pub(crate) fn read_sealed(&mut self, slot: u32, buffer: &mut [u8]) -> usize {
        let Some(channel) = self.channels.get(slot) else { return 0 };
        if channel.is_deaf() {
            // It said so when the session was in the middle of something.
            self.hang_up(slot);
            return 0;
        }
        let session = &mut self.sessions[slot as usize];
        let held = channel.partial().len();
        buffer[..held].copy_from_slice(channel.partial());
        self.counters.reads += 1;
        match session.stream.read(&mut buffer[held..]) {
            Ok(0) => {
                self.hang_up(slot);
                0
            }
            Ok(bytes) => {
                self.counters.bytes_in += bytes as u64;
                session.heard = self.tick;
                session.clear(flag::PINGED);
                let more = held + bytes == buffer.len() || session.has(flag::HUNG_UP);
                self.open(slot, &mut buffer[..held + bytes], more);
                bytes
            }
            Err(error) => {
                self.read_failed(slot, &error);
                0
            }
        }
    }

    fn open(&mut self, slot: u32, buffer: &mut [u8], more: bool) {
        let tick = self.tick;
        let Some(channel) = self.channels.get(slot) else { return };
        let opened = channel.open(buffer);
        if !channel.partial().is_empty() {
            channel.partial_since.get_or_insert(tick);
        }
        let has_answer = !channel.pending().is_empty();
        self.steps += opened.records as u64;
        if has_answer && !self.sessions[slot as usize].has(flag::BLOCKED) {
            self.mark_touched(slot);
        }
        let plain = &mut buffer[..opened.plain];
        let consumed = self.decode(slot, plain);
        self.settle(slot, plain[consumed..].to_vec(), more || opened.end.is_some());
        if let Some(End::Broken(fault)) = opened.end {
            self.doom(slot, CloseReason::Tls(fault.text()));
        }
    }

    /// Writes what is queued, as far as the kernel takes it.
    pub(crate) fn flush_sealed(&mut self, slot: u32) {
        let mut records = std::mem::take(&mut self.channels.records);
        while self.has_to_send(slot) {
            records.clear();
            self.seal_queued(slot, &mut records);
            match self.send_sealed(slot, &records) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.channels.records = records;
                    self.note_failure(slot, &error);
                    self.lose(slot);
                    return;
                }
            }
        }
        self.channels.records = records;
        self.after_flush(slot);
    }

    fn has_to_send(&mut self, slot: u32) -> bool {
        let extra = self.sessions[slot as usize].extra.as_ref();
        extra.is_some_and(|extra| !extra.outbox.is_empty()) || self.has_pending(slot)
    }

    /// Whether records wait for the socket of a session that speaks TLS.
    pub(crate) fn has_pending(&mut self, slot: u32) -> bool {
        self.channels.get(slot).is_some_and(|channel| !channel.pending().is_empty())
    }

    /// Encrypts some of what is queued, once nothing that was encrypted before waits.
    fn seal_queued(&mut self, slot: u32, records: &mut Vec<u8>) {
        let Some(channel) = self.channels.get(slot).filter(|found| found.pending().is_empty())
        else {
            return;
        };
        let Some(extra) = &mut self.sessions[slot as usize].extra else { return };
        let taken = extra.outbox.take(SEALED_BYTES_MAX, |pieces| channel.seal(pieces, records));
        self.counters.outbox_bytes -= taken;
    }

    /// One write of what is pending or, where nothing is, of `records`. Whether the socket took all of it.
    fn send_sealed(&mut self, slot: u32, records: &[u8]) -> io::Result<bool> {
        let Some(channel) = self.channels.get(slot) else { return Ok(true) };
        let session = &mut self.sessions[slot as usize];
        let is_new = channel.pending().is_empty();
        let bytes = if is_new { records } else { channel.pending() };
        if bytes.is_empty() {
            return Ok(true);
        }
        let length = bytes.len();
        self.counters.writes += 1;
        let written = Self::write_once(&session.stream, bytes)?;
        self.counters.bytes_out += written as u64;
        session.written = session.written.wrapping_add(written as u32);
        match is_new {
            true => channel.keep_unsent(&records[written..]),
            false => channel.sent(written),
        }
        if written < length {
            session.set(flag::BLOCKED);
        }
        Ok(written == length)
    }

    /// Gives a member its part of a broadcast past its outbox: encrypted for it alone and written at once. False where
    /// that cannot be, because the member has something else to be written, or this is too much for one write.
    pub(crate) fn serve_sealed(
        &mut self,
        slot: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) -> bool {
        let session = &self.sessions[slot as usize];
        if session.flags & flag::NOT_PLAIN != flag::TLS || broadcast.bytes.len() > SEALED_BYTES_MAX
        {
            return false;
        }
        if self.has_pending(slot) {
            return false;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for piece in broadcast.pieces(exclusions.clone()) {
            let Some(slice) = slices.get_mut(count) else { return false };
            *slice = IoSlice::new(&broadcast.bytes[piece]);
            count += 1;
        }
        if count == 0 {
            return true;
        }
        let mut records = std::mem::take(&mut self.channels.records);
        records.clear();
        if let Some(channel) = self.channels.get(slot) {
            channel.seal(&slices[..count], &mut records);
        }
        self.counters.deliveries += broadcast.frames_for(exclusions);
        let sent = self.send_sealed(slot, &records);
        self.channels.records = records;
        if let Err(error) = sent {
            self.note_failure(slot, &error);
            self.doom(slot, CloseReason::Lost);
        }
        true
    }

    /// Tells the peer that nothing more comes, ahead of the end of the stream. False as long as the socket has not
    /// taken it.
    pub(crate) fn end_channel(&mut self, slot: u32) -> bool {
        let Some(channel) = self.channels.get(slot) else { return true };
        channel.close();
        // A socket that failed needs no word.
        self.send_sealed(slot, &[]).unwrap_or(true)
    }

    /// Writes a few hundred bytes to an empty socket; whether it took them.
    pub(crate) fn write_sealed(&mut self, slot: u32, bytes: &[u8]) -> bool {
        let Some(channel) = self.channels.get(slot) else { return false };
        let mut records = Vec::new();
        channel.seal(&[IoSlice::new(bytes)], &mut records);
        channel.keep_unsent(&records);
        self.send_sealed(slot, &[]).unwrap_or(false)
    }

    /// What time does to a channel: a record that takes too long, keys that were used too often or not at all.
    pub(crate) fn tend_channel(&mut self, slot: u32) {
        let tick = self.tick;
        let session = &self.sessions[slot as usize];
        let (is_paused, is_blocked) = (session.has(flag::PAUSED), session.has(flag::BLOCKED));
        let Some(channel) = self.channels.get(slot) else { return };
        let can_go_on = channel.tend();
        let has_words = !channel.pending().is_empty();
        let since = channel.partial_since.as_mut();
        if let Some(since) = since {
            if is_paused {
                // Who is not read cannot finish a record: the time for it begins anew.
                *since = tick;
            } else if tick - *since > self.bounds.message_timeout_ticks {
                self.doom(slot, CloseReason::MessageTimeout);
                return;
            }
        }
        if has_words && !is_blocked {
            self.mark_touched(slot);
        }
        if !can_go_on {
            let close = Close::new(1012_u16, "the keys are used up: connect again");
            self.doom(slot, CloseReason::Handler(close));
        }
    }
}
