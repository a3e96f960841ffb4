//! The conversations in memory: what was said in them, in order, and what of it has to go.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use super::Options;
use super::keys::{KEY_BYTES, Keys};
use crate::log::engine::{Outcome, Rule, Rules, Standing, Tidied};
use crate::log::kind::Kind;
use crate::log::page::{PAGE_MESSAGES_MAX, Shelf, Take};
use crate::log::{Draft, Epoch, Finding, Message, Millis, Seq};
use crate::rooms::conversation::Conversation;

/// What a conversation takes besides its messages and its name, in bytes.
const ROOM_BYTES: usize = 512;

/// Conversations that one step of retention looks at.
const STEP_CONVERSATIONS: usize = 1024;

/// Everything that is kept.
pub(super) struct Rooms {
    epoch: Epoch,
    pub(super) options: Options,
    pub(super) last_seq: Seq,
    pub(super) last_time: Millis,
    pub(super) rooms: HashMap<Conversation, Room>,
    /// Those that have messages, by the position of the first: so also by its time.
    pub(super) firsts: BTreeMap<Seq, Conversation>,
    keys: Keys,
    /// By user and the other one.
    directs: BTreeMap<(Arc<str>, Arc<str>), Conversation>,
    /// What all of it takes, without the keys.
    pub(super) bytes: usize,
    /// Conversations that were forgotten had their positions up to here.
    floor: Seq,
    /// The first position of the last conversation that retention has looked at.
    place: Seq,
    /// Messages and conversations that went, since the start.
    pub(super) removed: usize,
    pub(super) forgotten: usize,
    /// Messages that were taken out because nobody is to see them any more.
    pub(super) redacted: usize,
}

#[derive(Default)]
pub(super) struct Room {
    pub(super) standing: Standing,
    pub(super) messages: VecDeque<Message>,
    /// How many keys are kept of messages sent to it.
    keys: usize,
}

impl Rooms {
    pub(super) fn new(epoch: Epoch, options: Options) -> Self {
        Self {
            epoch,
            options,
            last_seq: 0,
            last_time: 0,
            rooms: HashMap::new(),
            firsts: BTreeMap::new(),
            keys: Keys::new(options.window),
            directs: BTreeMap::new(),
            bytes: 0,
            floor: 0,
            place: 0,
            removed: 0,
            forgotten: 0,
            redacted: 0,
        }
    }

    /// Stores a draft, and makes room for it.
    pub(super) fn take(&mut self, draft: &Draft, now: Millis) -> Outcome {
        if let Some(outcome) = self.keys.judge(draft, now) {
            return outcome;
        }
        if let Some(refused) = draft.refused() {
            return Outcome::Refused(refused);
        }
        self.last_seq += self.options.seq_step;
        self.last_time = self.last_time.max(now);
        let (seq, time) = (self.last_seq, self.last_time);
        let conversation = self.conversation(&draft.conversation);
        self.keys.add(draft, conversation.clone(), (seq, time));
        let prev = self.add(draft, conversation, (seq, time));
        self.fit();
        Outcome::Stored { seq, prev, time }
    }

    /// The conversation as it is known here, so that its name is in memory once.
    pub(super) fn conversation(&mut self, wanted: &Conversation) -> Conversation {
        if let Some((known, _)) = self.rooms.get_key_value(wanted) {
            return known.clone();
        }
        let standing = Standing { forgotten_to: self.floor, ..Standing::default() };
        self.rooms.insert(wanted.clone(), Room { standing, ..Room::default() });
        self.bytes += room_bytes(wanted);
        if let Some((one, other)) = wanted.ends() {
            for (user, with) in [(one, other), (other, one)] {
                self.directs.insert((user.into(), with.into()), wanted.clone());
            }
        }
        wanted.clone()
    }

    /// Adds a message to its conversation; the position of the one before it.
    fn add(
        &mut self,
        draft: &Draft,
        conversation: Conversation,
        (seq, time): (Seq, Millis),
    ) -> Seq {
        let Some(room) = self.rooms.get_mut(&conversation) else { return 0 };
        let prev = std::mem::replace(&mut room.standing.last, seq);
        room.keys += 1;
        let message = Message {
            seq,
            prev,
            time,
            user: draft.author.user.clone(),
            name: draft.author.name.clone(),
            client_id: draft.client_id,
            kind: Kind::Text,
            body: draft.stored_body().into(),
        };
        self.bytes += message_bytes(&message);
        if room.messages.is_empty() {
            self.firsts.insert(seq, conversation);
        }
        room.messages.push_back(message);
        prev
    }

    /// Makes room for what was added.
    pub(super) fn fit(&mut self) {
        while self.is_over_full() && self.make_room() {}
    }

    fn is_over_full(&self) -> bool {
        self.bytes + self.keys.len() * KEY_BYTES > self.options.bytes_max
    }

    /// Removes the oldest message, or gives up the oldest key where those take more than half. Whether there was one.
    fn make_room(&mut self) -> bool {
        let prefers_keys = self.keys.len() * KEY_BYTES > self.options.bytes_max / 2;
        if !prefers_keys && let Some((_, oldest)) = self.firsts.first_key_value() {
            let (oldest, all) = (oldest.clone(), |_: &Message, _| true);
            self.trim(&oldest, 1, all);
            return true;
        }
        let conversation = self.keys.give_up();
        conversation.inspect(|conversation| self.release(conversation)).is_some()
    }

    /// Removes what is due, at most `budget` messages and keys, of some conversations.
    pub(super) fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Tidied {
        let (mut left, removed) = (budget, self.removed);
        while left > 0
            && let Some(conversation) = self.keys.pop_ended(now)
        {
            self.release(&conversation);
            left -= 1;
        }
        let mut is_over = false;
        for _ in 0..STEP_CONVERSATIONS {
            if left == 0 {
                break;
            }
            let behind = (Bound::Excluded(self.place), Bound::Unbounded);
            let Some((first, next)) = self.firsts.range(behind).next() else {
                self.place = 0;
                is_over = true;
                break;
            };
            self.place = *first;
            let (conversation, rule) = (next.clone(), rules(next));
            left -=
                self.trim(&conversation, left, |message, count| goes(&rule, now, message, count));
        }
        Tidied { removed: self.removed - removed, is_over }
    }

    /// Removes messages from the front, at most `limit` and while they are to go; how many.
    pub(super) fn trim(
        &mut self,
        conversation: &Conversation,
        limit: usize,
        goes: impl Fn(&Message, u64) -> bool,
    ) -> usize {
        let Some(room) = self.rooms.get_mut(conversation) else { return 0 };
        let Some(first) = room.messages.front().map(|message| message.seq) else { return 0 };
        let mut removed = 0;
        while removed < limit
            && let Some(message) = room.messages.front()
            && goes(message, room.messages.len() as u64)
        {
            self.bytes -= message_bytes(message);
            room.standing.removed_to = message.seq;
            room.messages.pop_front();
            removed += 1;
        }
        if removed > 0 {
            room.give_back();
            self.removed += removed;
            self.firsts.remove(&first);
            if let Some(message) = room.messages.front() {
                self.firsts.insert(message.seq, conversation.clone());
            }
            self.forget_if_empty(conversation);
        }
        removed
    }

    /// A key of that conversation is gone.
    fn release(&mut self, conversation: &Conversation) {
        if let Some(room) = self.rooms.get_mut(conversation) {
            room.keys -= 1;
        }
        self.forget_if_empty(conversation);
    }

    fn forget_if_empty(&mut self, conversation: &Conversation) {
        let is_empty = |room: &&Room| room.messages.is_empty() && room.keys == 0;
        let Some(room) = self.rooms.get(conversation).filter(is_empty) else { return };
        self.floor = self.floor.max(room.standing.last);
        self.bytes -= room_bytes(conversation);
        self.rooms.remove(conversation);
        self.forgotten += 1;
        if let Some((one, other)) = conversation.ends() {
            self.directs.remove(&(one.into(), other.into()));
            self.directs.remove(&(other.into(), one.into()));
        }
    }

    /// Shows what there is of a conversation.
    pub(super) fn with<T>(&self, of: &Conversation, show: impl FnOnce(&Epoch, &Room) -> T) -> T {
        if let Some(room) = self.rooms.get(of) {
            return show(&self.epoch, room);
        }
        let standing = Standing { forgotten_to: self.floor, ..Standing::default() };
        show(&self.epoch, &Room { standing, ..Room::default() })
    }

    pub(super) fn conversations(
        &self,
        user: &Arc<str>,
        after: Option<&str>,
        limit: u32,
    ) -> Finding {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(PAGE_MESSAGES_MAX);
        // No id is empty, so all come after this.
        let after = (user.clone(), after.unwrap_or_default().into());
        let mut list: Vec<_> = self
            .directs
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(|((owner, _), _)| owner == user)
            .take(limit + 1)
            .map(|((_, other), direct)| {
                (other.clone(), self.rooms.get(direct).map_or(0, |room| room.standing.last))
            })
            .collect();
        let more = list.len() > limit;
        list.truncate(limit);
        Finding::Conversations { list, more }
    }
}

/// Whether a message is to go that is the first of so many.
fn goes(rule: &Rule, now: Millis, message: &Message, count: u64) -> bool {
    rule.excess(count) > 0 || message.time < rule.since(now)
}

fn room_bytes(conversation: &Conversation) -> usize {
    ROOM_BYTES + 3 * conversation.key().len()
}

/// A queue may hold twice the places that it needs, and each text is a piece of memory of its own.
pub(super) fn message_bytes(message: &Message) -> usize {
    let texts = message.body.len() + message.user.len() + message.name.len();
    2 * size_of::<Message>() + texts + 3 * size_of::<[usize; 2]>()
}

impl Room {
    /// Frees places that a queue has no use for, after it was much longer.
    pub(super) fn give_back(&mut self) {
        let places = self.messages.capacity();
        if places > 64 && self.messages.len() < places / 4 {
            self.messages.shrink_to(places / 2);
        }
    }
}

impl Shelf for Room {
    type Error = Infallible;

    fn standing(&self) -> Standing {
        self.standing
    }

    fn after(&self, after: Seq, limit: usize, take: Take<'_>) -> Result<(), Infallible> {
        let start = self.messages.partition_point(|message| message.seq <= after);
        let _ = self.messages.range(start..).take(limit).all(take);
        Ok(())
    }

    fn before(&self, before: Seq, limit: usize, take: Take<'_>) -> Result<(), Infallible> {
        let end = self.messages.partition_point(|message| message.seq < before);
        let _ = self.messages.range(..end).rev().take(limit).all(take);
        Ok(())
    }
}
