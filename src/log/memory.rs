//! The engine that does not last: what is said is kept in the memory of the process, and an ack promises no more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use sha2::{Digest, Sha256};

use crate::log::engine::{Engine, Outcome, Reader, Standing, Unavailable, Window};
use crate::log::page::{self, PAGE_MESSAGES_MAX, Shelf, Take};
use crate::log::{Draft, Epoch, Finding, Message, Millis, Query, Refused, Seq, Unreadable};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

#[allow(clippy::disallowed_types, reason = "between the writer and the readers; no shard takes it")]
type Mutex<T> = std::sync::Mutex<T>;

/// The writing end.
pub(crate) struct Memory(Arc<Mutex<Rooms>>);

impl Memory {
    /// An empty log of an epoch of its own. Keys of idempotency are kept for `window`; a position is `seq_step` above
    /// the one before it: 1, or more for tests of what relies on positions that follow one another.
    pub(crate) fn new(window: Window, seq_step: u64) -> Result<Self, getrandom::Error> {
        let epoch: Epoch = format!("{:016x}", getrandom::u64()?).into();
        let rooms = Rooms {
            epoch,
            window,
            seq_step,
            last_seq: 0,
            last_time: 0,
            rooms: HashMap::new(),
            keys: HashMap::new(),
            directs: BTreeMap::new(),
        };
        Ok(Self(Arc::new(Mutex::new(rooms))))
    }
}

impl Engine for Memory {
    fn is_durable(&self) -> bool {
        false
    }

    fn store(&mut self, drafts: &[Draft], now: Millis) -> Result<Vec<Outcome>, Unavailable> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(drafts.iter().map(|draft| rooms.take(draft, now)).collect())
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(MemoryReader(self.0.clone()))
    }
}

struct MemoryReader(Arc<Mutex<Rooms>>);

impl Reader for MemoryReader {
    fn find(&mut self, query: &Query) -> Result<Finding, Unreadable> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Query::Conversations { user, after, limit } = query {
            return Ok(rooms.conversations(user, after.as_deref(), *limit));
        }
        let nothing = Room::default();
        let room = rooms.rooms.get(&query.conversation()).unwrap_or(&nothing);
        let Ok(page) = page::page(query, &rooms.epoch, room);
        page.map(Finding::Page).ok_or(Unreadable)
    }
}

/// Everything that is kept.
struct Rooms {
    epoch: Epoch,
    window: Window,
    seq_step: u64,
    last_seq: Seq,
    last_time: Millis,
    rooms: HashMap<Conversation, Room>,
    keys: HashMap<Key, Kept>,
    /// By user and the other one.
    directs: BTreeMap<(Arc<str>, Arc<str>), Conversation>,
}

type Key = (ClientId, Arc<str>, Conversation);

/// What was stored under a key.
struct Kept {
    seq: Seq,
    time: Millis,
    body_sha256: [u8; 32],
}

#[derive(Default)]
struct Room {
    standing: Standing,
    messages: VecDeque<Message>,
}

impl Rooms {
    fn take(&mut self, draft: &Draft, now: Millis) -> Outcome {
        let key = (draft.client_id, draft.author.user.clone(), draft.conversation.clone());
        let body_sha256: [u8; 32] = Sha256::digest(draft.body.as_bytes()).into();
        if let Some(kept) = self.keys.get(&key) {
            let is_same = kept.body_sha256 == body_sha256;
            return self.window.known((kept.seq, kept.time), is_same, (draft.client_id, now));
        }
        if !self.window.admits(draft.client_id, now) {
            return Outcome::Refused(Refused::Expired);
        }
        self.last_seq += self.seq_step;
        self.last_time = self.last_time.max(now);
        let (seq, time) = (self.last_seq, self.last_time);
        self.keys.insert(key, Kept { seq, time, body_sha256 });
        let prev = self.add(draft, seq, time);
        Outcome::Stored { seq, prev, time }
    }

    /// Adds a message to its conversation; the position of the one before it.
    fn add(&mut self, draft: &Draft, seq: Seq, time: Millis) -> Seq {
        let room = self.rooms.entry(draft.conversation.clone()).or_default();
        let prev = room.standing.last;
        if prev == 0
            && let Some((one, other)) = draft.conversation.ends()
        {
            for (user, with) in [(one, other), (other, one)] {
                self.directs.insert((user.into(), with.into()), draft.conversation.clone());
            }
        }
        room.standing.last = seq;
        room.messages.push_back(Message {
            seq,
            prev,
            time,
            user: draft.author.user.clone(),
            name: draft.author.name.clone(),
            client_id: draft.client_id,
            body: draft.body.clone(),
        });
        prev
    }

    fn conversations(&self, user: &Arc<str>, after: Option<&str>, limit: u32) -> Finding {
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
