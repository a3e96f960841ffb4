//! What time does to sessions: heartbeats, slow messages, closes that nobody answers.
//!
//! No session has a timer. Each tick looks at a part of the slab, the whole of it about once a second.

use crate::protocol::CloseReason;
use crate::protocol::chat::reply::PING;
use crate::shard::sealing::PING_OVERHEAD_BYTES;
use crate::shard::session::flag;
use crate::shard::state::State;
use crate::shard::unacknowledged::unacknowledged_bytes;

/// Ticks in which the whole slab is looked at.
const SWEEP_TICKS: usize = 4;

/// An empty ping.
const PING_BYTES: u32 = 2;

/// The ping that a chat's session is sent beside it, with its head.
const PING_MESSAGE_BYTES: u32 = 2 + PING.len() as u32;

impl State {
    /// Looks at one part of the sessions.
    pub(crate) fn sweep(&mut self) {
        let end = self.sessions.iter().next_back().map_or(0, |(last, _)| last + 1);
        let part = end.div_ceil(SWEEP_TICKS);
        let start = self.swept % SWEEP_TICKS * part;
        self.swept += 1;
        if self.swept.is_multiple_of(SWEEP_TICKS) {
            self.forget_mutes();
        }
        for slot in start..(start + part).min(end) {
            if self.sessions.contains(slot) {
                self.examine(slot as u32);
            }
        }
    }

    fn examine(&mut self, slot: u32) {
        let tick = self.tick;
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::CLOSING) {
            if session.extra.as_ref().is_none_or(|extra| extra.deadline < tick) {
                self.abort(slot);
            }
            return;
        }
        if session.has(flag::TLS) {
            self.tend_channel(slot);
        }
        self.check_hello(slot);
        self.check_expiry(slot);
        self.ping_in_message(slot);
        let session = &mut self.sessions[slot as usize];
        let is_paused = session.has(flag::PAUSED);
        let partial = session.extra.as_mut().and_then(|extra| extra.partial.as_mut());
        if let Some(started) = partial.and_then(|partial| partial.started_tick.as_mut()) {
            if is_paused {
                // Who is not read cannot finish a message: the time for it begins anew.
                *started = tick;
            } else if tick - *started > self.bounds.message_timeout_ticks {
                self.doom(slot, CloseReason::MessageTimeout);
                return;
            }
        }
        let quiet = tick - session.heard;
        if quiet >= self.bounds.heartbeat_ticks && !session.has(flag::PINGED) {
            session.set(flag::PINGED);
            session.acknowledged =
                session.written.wrapping_sub(unacknowledged_bytes(&session.stream));
            self.ping(slot);
        } else if quiet >= self.bounds.heartbeat_timeout_ticks {
            self.judge(slot);
        }
    }

    /// Nothing was heard for the whole of the timeout: is the peer dead, or does it only read slowly?
    fn judge(&mut self, slot: u32) {
        let session = &mut self.sessions[slot as usize];
        let acknowledged = session.written.wrapping_sub(unacknowledged_bytes(&session.stream));
        // Who asks the log for more than it reads of the answers is not waiting for us.
        let waits_for_answers = session.has(flag::PAUSED_BY_READS)
            && !session.has(flag::BLOCKED | flag::PAUSED_BY_OUTBOX);
        let is_paused_by_us =
            session.has(flag::PAUSED_BY_US & !flag::PAUSED_BY_READS) || waits_for_answers;
        // The ping itself was acknowledged by the peer's kernel, which says nothing about the peer.
        let progress = acknowledged.wrapping_sub(session.acknowledged);
        let records = if session.has(flag::TLS) { PING_OVERHEAD_BYTES } else { 0 };
        let ping_bytes =
            PING_BYTES + session.chat.as_ref().map_or(0, |_| PING_MESSAGE_BYTES) + records;
        if progress <= ping_bytes && !is_paused_by_us {
            self.doom(slot, CloseReason::HeartbeatTimeout);
        } else {
            session.heard = self.tick;
            session.clear(flag::PINGED);
        }
    }
}
