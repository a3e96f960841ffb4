//! Taking out of memory what nobody is to see any more. There is no index by user: all messages are looked at, some with
//! each step.

use std::ops::Bound;

use super::rooms::{Room, Rooms, message_bytes};
use crate::log::kind::Kind;
use crate::log::removal::{self, EVENT_SEQS_MAX, Errand, Removal, Removed};
use crate::log::{Message, Millis, Seq};
use crate::rooms::conversation::Conversation;

/// Messages that a step looks at.
const STEP_LOOKS: usize = 4096;

/// Messages that a step moves to close the places of those that go, but for the last time.
const STEP_MOVES: usize = 256 * 1024;

/// What a step may still do.
struct Left {
    messages: usize,
    looks: usize,
    moves: usize,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.messages == 0 || self.looks == 0 || self.moves == 0
    }
}

/// What went of one conversation.
struct Taken {
    seqs: Vec<Seq>,
    /// Where the rest begins that was not looked at.
    rest: Option<Seq>,
}

impl Rooms {
    /// Makes one step.
    pub(super) fn remove(&mut self, errand: &mut Errand, now: Millis, budget: usize) -> Removed {
        let mut left = Left { messages: budget, looks: STEP_LOOKS, moves: STEP_MOVES };
        let before = self.redacted;
        self.last_time = self.last_time.max(now);
        let mut events = Vec::new();
        let is_over = match &mut errand.removal {
            Removal::Redact { conversation, seqs } => {
                self.redact(conversation, seqs, &mut left, &mut events)
            }
            Removal::Clear { conversation } => {
                let conversation = conversation.clone();
                self.clear(&conversation, &mut errand.to, budget, &mut events)
            }
            Removal::Erase { .. } => self.erase(errand, &mut left, &mut events),
        };
        self.fit();
        Removed { removed: self.redacted - before, events, is_over }
    }

    fn redact(
        &mut self,
        of: &Conversation,
        seqs: &mut Vec<Seq>,
        left: &mut Left,
        events: &mut Vec<(Conversation, Message)>,
    ) -> bool {
        let (mut goes, mut done) = (Vec::new(), 0);
        for seq in seqs.iter() {
            if left.is_nothing() {
                break;
            }
            let taken = self.take_out(of, (seq.saturating_sub(1), *seq), left, |_| true);
            goes.extend(taken.seqs);
            done += 1;
        }
        seqs.drain(..done);
        self.tell_gone(of, &goes, events);
        seqs.is_empty()
    }

    fn clear(
        &mut self,
        of: &Conversation,
        to: &mut Option<Seq>,
        budget: usize,
        events: &mut Vec<(Conversation, Message)>,
    ) -> bool {
        let has_begun = to.is_some();
        let Some(last) = self.rooms.get(of).map(|room| room.standing.last) else { return true };
        let to = *to.get_or_insert(last);
        let removed = self.trim(of, budget, |message, _| message.seq <= to);
        // Retention has nothing to do with these.
        self.removed -= removed;
        self.redacted += removed;
        let first = self.rooms.get(of).and_then(|room| room.messages.front());
        let is_over = first.is_none_or(|message| message.seq > to);
        if is_over && (removed > 0 || has_begun) {
            self.tell(of, removal::cleared(to), events);
        }
        is_over
    }

    fn erase(
        &mut self,
        errand: &mut Errand,
        left: &mut Left,
        events: &mut Vec<(Conversation, Message)>,
    ) -> bool {
        let Removal::Erase { user } = &errand.removal else { return true };
        let to = *errand.to.get_or_insert(self.last_seq);
        loop {
            let (conversation, from) = match errand.rest.take() {
                Some(rest) => rest,
                None => {
                    let behind = (Bound::Excluded(errand.place), Bound::Included(to));
                    let Some((first, next)) = self.firsts.range(behind).next() else { return true };
                    errand.place = *first;
                    (next.clone(), 0)
                }
            };
            let taken =
                self.take_out(&conversation, (from, to), left, |message| message.user == *user);
            self.tell_gone(&conversation, &taken.seqs, events);
            errand.rest = taken.rest.map(|rest| (conversation, rest));
            if left.is_nothing() {
                return false;
            }
        }
    }

    /// Takes out those of a conversation's messages that are to go, of those after the one position and up to the other.
    fn take_out(
        &mut self,
        of: &Conversation,
        (after, to): (Seq, Seq),
        left: &mut Left,
        goes: impl Fn(&Message) -> bool,
    ) -> Taken {
        let mut taken = Taken { seqs: Vec::new(), rest: None };
        let Some(room) = self.rooms.get_mut(of) else { return taken };
        let Some(first) = room.messages.front().map(|message| message.seq) else { return taken };
        let start = room.messages.partition_point(|message| message.seq <= after);
        let before = room.messages.get(start).map_or(0, |message| message.prev);
        let (mut stays, mut end) = (start, start);
        while let Some(message) = room.messages.get(end).filter(|message| message.seq <= to) {
            if left.messages == 0 || left.looks == 0 {
                taken.rest = Some(message.seq - 1);
                break;
            }
            left.looks -= 1;
            if message.kind == Kind::Text && goes(message) {
                left.messages -= 1;
                taken.seqs.push(message.seq);
                self.bytes -= message_bytes(message);
            } else {
                room.messages.swap(stays, end);
                stays += 1;
            }
            end += 1;
        }
        if taken.seqs.is_empty() {
            return taken;
        }
        left.moves = left.moves.saturating_sub(stays.min(room.messages.len() - end));
        room.messages.drain(stays..end);
        room.relink(start..stays + 1, before);
        room.give_back();
        self.redacted += taken.seqs.len();
        let now_first = room.messages.front().map(|message| message.seq);
        if now_first != Some(first) {
            self.firsts.remove(&first);
            now_first.map(|first| self.firsts.insert(first, of.clone()));
        }
        taken
    }

    fn tell_gone(
        &mut self,
        of: &Conversation,
        seqs: &[Seq],
        events: &mut Vec<(Conversation, Message)>,
    ) {
        for some in seqs.chunks(EVENT_SEQS_MAX) {
            self.tell(of, removal::redacted(some), events);
        }
    }

    /// Adds an event behind what is left.
    fn tell(
        &mut self,
        of: &Conversation,
        what: (Kind, Box<str>),
        events: &mut Vec<(Conversation, Message)>,
    ) {
        let conversation = self.conversation(of);
        let Some(room) = self.rooms.get_mut(&conversation) else { return };
        self.last_seq += self.options.seq_step;
        let prev = room.messages.back().map_or(room.standing.removed_to, |message| message.seq);
        let event = removal::event(what, (self.last_seq, prev, self.last_time));
        room.standing.last = event.seq;
        self.bytes += message_bytes(&event);
        if room.messages.is_empty() {
            self.firsts.insert(event.seq, conversation.clone());
        }
        room.messages.push_back(event.clone());
        events.push((conversation, event));
    }
}

impl Room {
    /// Has messages at these places name the ones before them again; before the first of these there is `before`.
    fn relink(&mut self, places: std::ops::Range<usize>, before: Seq) {
        let mut prev = before;
        for at in places {
            let Some(message) = self.messages.get_mut(at) else { return };
            message.prev = prev;
            prev = message.seq;
        }
    }
}
