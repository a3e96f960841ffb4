//! The keys under which messages were stored once: in the order in which they end, and bounded like everything else.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::log::engine::{Outcome, Window};
use crate::log::{Draft, Millis, Refused, Seq};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

/// What one key takes, in bytes, in both tables and with what they leave free.
pub(super) const KEY_BYTES: usize = 384;

pub(super) type Key = (ClientId, Arc<str>, Conversation);

/// The keys of a log.
pub(super) struct Keys {
    window: Window,
    kept: HashMap<Key, Kept>,
    /// By the time at which they are of no use any more.
    ends: BTreeSet<(Millis, Key)>,
    /// Keys made before this may have been given up before their time.
    given_up_before: Millis,
}

/// What was stored under a key.
struct Kept {
    seq: Seq,
    time: Millis,
    body_sha256: [u8; 32],
}

impl Keys {
    pub(super) fn new(window: Window) -> Self {
        Self { window, kept: HashMap::new(), ends: BTreeSet::new(), given_up_before: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What becomes of a draft because of its key; `None` if it is to be stored.
    pub(super) fn judge(&self, draft: &Draft, now: Millis) -> Option<Outcome> {
        let id = draft.client_id;
        let key = (id, draft.author.user.clone(), draft.conversation.clone());
        if let Some(kept) = self.kept.get(&key) {
            let is_same = kept.body_sha256 == hash(draft);
            return Some(self.window.known((kept.seq, kept.time), is_same, (id, now)));
        }
        let admitted = self.window.admits(id, now) && id.made_ms() >= self.given_up_before;
        (!admitted).then_some(Outcome::Refused(Refused::Expired))
    }

    /// Keeps the key of a draft that was stored.
    pub(super) fn add(
        &mut self,
        draft: &Draft,
        conversation: Conversation,
        (seq, time): (Seq, Millis),
    ) {
        let key = (draft.client_id, draft.author.user.clone(), conversation);
        self.ends.insert((self.window.end(time, draft.client_id), key.clone()));
        self.kept.insert(key, Kept { seq, time, body_sha256: hash(draft) });
    }

    /// Takes a key that is of no use any more; the conversation that it was of.
    pub(super) fn pop_ended(&mut self, now: Millis) -> Option<Conversation> {
        let (end, _) = self.ends.first()?;
        if *end < now { self.pop().map(|(_, conversation)| conversation) } else { None }
    }

    /// Gives up the key that would be the next to end. What is as old is refused from now on, so that nothing is stored
    /// twice.
    pub(super) fn give_up(&mut self) -> Option<Conversation> {
        let (end, conversation) = self.pop()?;
        let made_until = end.saturating_sub(self.window.0);
        self.given_up_before = self.given_up_before.max(made_until.saturating_add(1));
        Some(conversation)
    }

    fn pop(&mut self) -> Option<(Millis, Conversation)> {
        let (end, key) = self.ends.pop_first()?;
        self.kept.remove(&key);
        Some((end, key.2))
    }
}

fn hash(draft: &Draft) -> [u8; 32] {
    Sha256::digest(draft.body.as_bytes()).into()
}
