//! What a session is told at once, from what its shard knows.

use std::sync::Arc;

use crate::log::Seq;
use crate::protocol::chat::Code;
use crate::protocol::chat::reply::{self, Bye};
use crate::protocol::{Close, CloseReason, Message};
use crate::shard::chat::session::{Reference, Stage, Want};
use crate::shard::chat::stored::RETRY_AFTER_MS;
use crate::shard::session::flag;
use crate::shard::state::State;

/// What a session that the server closes is told to wait before it comes back, at least: up to a second more is added,
/// so that not everyone comes at once.
const AFTER_MS: u64 = 500;

impl State {
    /// Queues a message for the session alone, written by `write`.
    pub(crate) fn reply(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.send(slot, Message::Text(&text(write)));
    }

    /// Gathers a message for a room's members on this shard.
    pub(crate) fn announce(&mut self, room: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.gather(room, self.now).push(Message::Text(&text(write)), None);
    }

    /// Answers a request with an error.
    pub(crate) fn refuse(&mut self, slot: u32, code: Code, reference: &Reference) {
        self.send_error(
            slot,
            &reply::Error { reference: reference.as_deref(), ..reply::Error::from(code) },
        );
    }

    /// Says of a request that nothing comes of it any more, which is no fault of the session's.
    pub(crate) fn withdraw(&mut self, slot: u32, reference: &Reference) {
        let error = reply::Error::from(Code::NotJoined);
        self.tell_error(slot, &reply::Error { reference: reference.as_deref(), ..error });
    }

    /// Sends an error that costs a session nothing.
    pub(crate) fn tell_error(&mut self, slot: u32, error: &reply::Error<'_>) {
        self.counters.errors[error.code.index()] += 1;
        self.reply(slot, |out| error.write(out));
    }

    /// Sends an error, and ends a session that causes nothing else.
    pub(crate) fn send_error(&mut self, slot: u32, error: &reply::Error<'_>) {
        self.tell_error(slot, error);
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        if error.code.is_fault() && chat.flood.bad() {
            self.doom(slot, CloseReason::Handler(Close::new(4400_u16, "too many bad messages")));
        }
    }

    /// Says that the log could not be read for something.
    pub(crate) fn refuse_want(&mut self, slot: u32, want: Want) {
        let reference = match want {
            Want::Open { room, .. } => {
                let chat = self.sessions[slot as usize].chat.as_mut();
                let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
                if !matches!(cursor.stage, Stage::Asked) {
                    return;
                }
                let reference = cursor.reference.take();
                // It is no member that cannot be told what was said.
                self.leave(slot, room);
                reference
            }
            Want::Welcome { reference } => {
                self.answer_hello(slot, None, &[], &reference);
                return;
            }
            Want::History { reference, .. } | Want::Rooms { reference, .. } => reference,
            Want::Next { .. } => return,
        };
        let error = reply::Error {
            reference: reference.as_deref(),
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..reply::Error::from(Code::Unavailable)
        };
        self.send_error(slot, &error);
    }

    pub(crate) fn answer_ping(&mut self, slot: u32, reference: &Reference) {
        let reference = reference.as_deref();
        self.reply(slot, |out| reply::Pong { reference }.write(out));
    }

    /// The rooms that the session is in, and its conversations.
    pub(crate) fn answer_rooms(
        &mut self,
        slot: u32,
        conversations: &[(Arc<str>, Seq)],
        more: bool,
        reference: &Reference,
    ) {
        let members = self.sessions[slot as usize].memberships();
        let rooms: Vec<_> = members
            .filter_map(|member| self.rooms.get(member.room).chat.as_ref())
            .filter(|room| room.view.ends().is_none())
            .map(|room| (room.view.name(), room.last()))
            .collect();
        let reference = reference.as_deref();
        let rooms = reply::Rooms { rooms: &rooms, conversations, more, reference };
        let text = text(|out| rooms.write(out));
        self.send(slot, Message::Text(&text));
    }

    /// Sends a session of a chat the ping that its page can see, if it is time for one.
    pub(crate) fn ping_in_message(&mut self, slot: u32) {
        let (tick, heartbeat) = (self.tick, self.bounds.heartbeat_ticks);
        let session = &mut self.sessions[slot as usize];
        // One that has not answered the last one is not sent more that its kernel would acknowledge for it.
        let is_silent = session.has(flag::PINGED);
        let Some(chat) = session.chat.as_mut() else { return };
        if is_silent || tick - chat.pinged < heartbeat || !chat.is_welcome {
            return;
        }
        chat.pinged = tick;
        self.send(slot, Message::Text(reply::PING));
    }

    /// What a session of a chat is told ahead of a Close that the server chose.
    pub(crate) fn bye(&self, slot: u32, reason: &CloseReason) -> Option<String> {
        self.sessions[slot as usize].chat.as_ref()?;
        let close = match reason {
            CloseReason::Peer(_) => return None,
            reason => reason.close()?,
        };
        let reconnect = !matches!(close.code, 4400 | 4401 | 4403 | 1002 | 1007 | 1009);
        let spread = u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let bye =
            Bye { code: close.code, reason: &close.reason, reconnect, after_ms: AFTER_MS + spread };
        Some(text(|out| bye.write(out)))
    }
}

/// A message as text.
pub(crate) fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut text = Vec::new();
    write(&mut text);
    // The writers write JSON from text, and nothing else.
    String::from_utf8(text).unwrap_or_default()
}
