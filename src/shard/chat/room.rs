//! A chat room as its shard keeps it: how far its members are told what the log has stored, and the last of it for
//! those who are about to catch up.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::log::Seq;
use crate::protocol::SessionId;
use crate::protocol::chat::logged_frame::{frames, seq_of};
use crate::rooms::conversation::View;
use crate::rooms::rules::PresenceMode;

/// How much of what went out last is kept while somebody catches up: more than comes in while one page is read.
const TAIL_BYTES_MAX: usize = 256 * 1024;

/// What a room has that is a chat room.
pub(crate) struct ChatRoom {
    pub(crate) view: View,
    pub(crate) presence: PresenceMode,
    /// Messages that who joins is given.
    pub(crate) history: u32,
    /// The position of the last message that was gathered for the members; `None` before the first.
    pub(crate) live: Option<Seq>,
    /// The same of what is being written to them, or was.
    pub(crate) begun: Seq,
    /// The last position that anybody here was told of.
    pub(crate) known: Seq,
    /// The position up to which the shard itself has to read the log before it takes messages again.
    pub(crate) behind: Option<Seq>,
    /// A read for that goes on, or stands in the list.
    pub(crate) is_reading: bool,
    /// Sessions with a cursor here.
    pub(crate) cursors: usize,
    pub(crate) tail: Tail,
    /// Sessions that are told they have joined once the presence is known.
    pub(crate) joining: Vec<SessionId>,
}

impl ChatRoom {
    pub(crate) fn new(view: View, presence: PresenceMode, history: u32) -> Self {
        Self {
            view,
            presence,
            history,
            live: None,
            begun: 0,
            known: 0,
            behind: None,
            is_reading: false,
            cursors: 0,
            tail: Tail::default(),
            joining: Vec::new(),
        }
    }

    /// What was gathered begins to be written.
    pub(crate) fn begin_flush(&mut self, bytes: &Rc<Vec<u8>>) {
        let last = self.live.unwrap_or_default();
        if self.cursors > 0 && last > self.begun {
            self.tail.push(bytes, self.begun, last);
        }
        self.begun = last;
    }

    /// The last position that is known of it.
    pub(crate) fn last(&self) -> Seq {
        self.known.max(self.live.unwrap_or_default())
    }

    /// The position after which everything that went out is kept.
    pub(crate) fn kept_after(&self) -> Seq {
        self.tail.parts.front().map_or(self.begun, |first| first.after)
    }

    /// One cursor less; with the last one what was kept for them goes.
    pub(crate) fn end_cursor(&mut self) {
        self.cursors -= 1;
        if self.cursors == 0 {
            self.tail = Tail::default();
        }
    }
}

/// The last broadcasts of a room, shared with whoever else still needs them.
#[derive(Default)]
pub(crate) struct Tail {
    parts: VecDeque<TailPart>,
    bytes: usize,
}

struct TailPart {
    bytes: Rc<Vec<u8>>,
    /// The position before its first message, and that of its last.
    after: Seq,
    last: Seq,
}

impl Tail {
    fn push(&mut self, bytes: &Rc<Vec<u8>>, after: Seq, last: Seq) {
        self.bytes += bytes.len();
        self.parts.push_back(TailPart { bytes: bytes.clone(), after, last });
        while self.bytes > TAIL_BYTES_MAX
            && let Some(first) = self.parts.pop_front()
        {
            self.bytes -= first.bytes.len();
        }
    }

    /// The frames of the messages after a position.
    pub(crate) fn messages_after(&self, after: Seq) -> Vec<u8> {
        let mut found = Vec::new();
        for part in self.parts.iter().filter(|part| part.last > after) {
            for frame in frames(&part.bytes) {
                let frame = &part.bytes[frame];
                if seq_of(frame).is_some_and(|seq| seq > after) {
                    found.extend_from_slice(frame);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Message, frame};

    fn broadcast(seqs: std::ops::RangeInclusive<Seq>, bytes: usize) -> Rc<Vec<u8>> {
        let mut out = Vec::new();
        for seq in seqs {
            let text =
                format!(r#"{{"type":"message","seq":{seq},"body":"{}"}}"#, "x".repeat(bytes));
            frame::encode(Message::Text(&text), &mut out);
        }
        frame::encode(Message::Text(r#"{"type":"presence"}"#), &mut out);
        Rc::new(out)
    }

    fn seqs(bytes: &[u8]) -> Vec<Option<Seq>> {
        frames(bytes).map(|frame| seq_of(&bytes[frame])).collect()
    }

    #[test]
    fn what_went_out_is_kept_for_who_catches_up_and_no_longer() {
        let mut room = ChatRoom::new(View::room("a"), PresenceMode::Off, 0);
        room.live = Some(2);
        room.begin_flush(&broadcast(1..=2, 10));
        assert_eq!(room.kept_after(), 2, "nobody catches up");
        room.cursors = 1;
        for (first, last) in [(3, 4), (5, 8)] {
            room.live = Some(last);
            room.begin_flush(&broadcast(first..=last, 10));
        }
        assert_eq!(room.kept_after(), 2);
        assert_eq!(seqs(&room.tail.messages_after(3)), [4, 5, 6, 7, 8].map(Some));
        assert_eq!(seqs(&room.tail.messages_after(8)), []);
        room.end_cursor();
        assert_eq!(room.kept_after(), 8);
    }

    #[test]
    fn a_tail_keeps_no_more_than_its_bound() {
        let mut room = ChatRoom::new(View::room("a"), PresenceMode::Off, 0);
        room.cursors = 1;
        for seq in 1..=10 {
            room.live = Some(seq);
            room.begin_flush(&broadcast(seq..=seq, TAIL_BYTES_MAX / 4));
            assert!(room.tail.bytes <= TAIL_BYTES_MAX);
        }
        assert_eq!(room.kept_after(), 7);
        assert_eq!(seqs(&room.tail.messages_after(0)), [8, 9, 10].map(Some));
    }
}
