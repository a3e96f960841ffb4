//! What a slow reader's outbox lets go of chat rooms: logged messages, which it will be given again from the log, and
//! whatever else was among them, which it will not.

use super::{Outbox, Segment, Tag};
use crate::log::Seq;
use crate::protocol::chat::logged_frame::{frames, seq_of};

/// What was let go of one room.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LetGo {
    /// The position of the first message among it.
    pub(crate) first: Option<Seq>,
    /// Messages: deferred, not lost.
    pub(crate) messages: u64,
    /// Frames that are no messages: lost.
    pub(crate) others: u64,
}

impl Outbox {
    /// Bytes queued of rooms.
    pub(crate) fn room_bytes(&self) -> usize {
        self.bytes - self.private_bytes
    }

    /// The chat rooms that something is queued of.
    pub(crate) fn logged_rooms(&self) -> Vec<u32> {
        let mut rooms: Vec<u32> = self.segments.iter().filter_map(Segment::logged_room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms
    }

    /// Lets everything go of a chat room that was not started.
    pub(crate) fn let_go_of(&mut self, room: u32) -> LetGo {
        let started = self.split_started();
        let mut found = LetGo::default();
        for segment in self.segments.iter().skip(started) {
            if segment.tag == Tag::Logged(room) {
                found.add(segment.pending());
            }
        }
        self.purge(|tag| tag == Tag::Logged(room));
        found
    }

    /// Queues whole frames of a chat room that were read from its log.
    pub(crate) fn push_logged(&mut self, frames: &[u8], room: u32) {
        if !frames.is_empty() {
            self.push_own(frames, Tag::Logged(room), self.segments.len());
        }
    }
}

impl Segment {
    fn logged_room(&self) -> Option<u32> {
        match self.tag {
            Tag::Logged(room) => Some(room),
            _ => None,
        }
    }
}

impl LetGo {
    fn add(&mut self, bytes: &[u8]) {
        for frame in frames(bytes) {
            match seq_of(&bytes[frame]) {
                Some(seq) => {
                    self.first.get_or_insert(seq);
                    self.messages += 1;
                }
                None => self.others += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Message, frame};

    fn frame(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::encode(Message::Text(text), &mut bytes);
        bytes
    }

    fn message(seq: Seq) -> Vec<u8> {
        frame(&format!(r#"{{"type":"message","seq":{seq},"prev":0}}"#))
    }

    #[test]
    fn what_was_started_and_what_is_of_others_stays() {
        let mut outbox = Outbox::default();
        let signal = frame(r#"{"type":"signal"}"#);
        outbox.push_logged(&[message(1), message(2), signal.clone()].concat(), 0);
        outbox.push_private(&frame("ack"));
        outbox.push_logged(&message(9), 1);
        outbox.push_logged(&[signal, message(3)].concat(), 0);
        // Half of the first message is on its way.
        outbox.advance(5);
        assert_eq!(outbox.logged_rooms(), [0, 1]);
        let let_go = outbox.let_go_of(0);
        assert_eq!(let_go, LetGo { first: Some(2), messages: 2, others: 2 });
        let mut written = Vec::new();
        while !outbox.is_empty() {
            outbox.write(&mut written).expect("memory takes everything");
        }
        let rest = &message(1)[5..];
        assert_eq!(written, [rest, &frame("ack"), &message(9)].concat());
    }

    #[test]
    fn nothing_is_let_go_of_a_room_that_nothing_is_queued_of() {
        let mut outbox = Outbox::default();
        outbox.push_private(&frame("ack"));
        assert_eq!(outbox.let_go_of(3), LetGo::default());
        assert!(!outbox.is_empty());
    }
}
