//! The latest messages of conversations that somebody asked for lately, so that a crowd that joins reads the disk once.
//!
//! What is here is as new as what the writer has handed on: it adds each batch before that goes out. A conversation
//! comes in when a reader has loaded it, and whoever asks for it in the meantime waits for that one read. Which of them
//! leaves first is decided by when they were last asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};

use super::recent::{Recent, Slice};
use super::retention::Trimmed;
use crate::log::counters::Counters;
use crate::log::engine::Outcome;
use crate::log::kind::Kind;
use crate::log::{Draft, Message, Millis, Query, Seq};
use crate::rooms::conversation::Conversation;

#[allow(clippy::disallowed_types, reason = "between the writer and the readers; no shard takes it")]
type Mutex<T> = std::sync::Mutex<T>;

/// One conversation's share at most, in bytes: several pages.
const SHARE_BYTES_MAX: usize = 1024 * 1024;

/// What is cached of a log.
pub(super) struct Cache {
    state: Mutex<State>,
    /// Some conversation has been loaded, or could not be. Readers wait here for one another, and nobody else does.
    is_loaded: Condvar,
    bytes_max: usize,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Conversation, Entry>,
    /// Those that are loaded, by when they were last asked for.
    uses: BTreeMap<u64, Conversation>,
    clock: u64,
    bytes: usize,
}

enum Entry {
    /// A reader loads it. Kept for when that is done: what was stored meanwhile.
    Loading(Pending),
    Loaded {
        recent: Recent,
        used: u64,
    },
}

#[derive(Default)]
struct Pending {
    messages: Vec<Arc<Message>>,
    removed_to: Seq,
    /// What is being loaded may not be true any more.
    is_spoiled: bool,
}

/// What the cache says to a query.
pub(super) enum Look {
    /// What may answer it.
    Here(Slice),
    /// Nothing: the asker is to load the conversation and to say so, whatever comes of it.
    Load,
}

impl Cache {
    pub(super) fn new(bytes_max: usize, counters: Arc<Counters>) -> Self {
        let (state, is_loaded) = (Mutex::default(), Condvar::new());
        Self { state, is_loaded, bytes_max, counters }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what answers a query about messages.
    pub(super) fn look(&self, query: &Query, since: Millis) -> Look {
        let conversation = query.conversation();
        let mut state = self.state();
        while let Some(Entry::Loading(_)) = state.entries.get(&conversation) {
            state = self.is_loaded.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.touch(&conversation) {
            Some(recent) => Look::Here(recent.slice(query, since)),
            None => {
                state.entries.insert(conversation, Entry::Loading(Pending::default()));
                Look::Load
            }
        }
    }

    /// Takes what a reader has loaded of a conversation; nothing if it could not.
    pub(super) fn loaded(&self, conversation: &Conversation, recent: Option<Recent>) {
        let mut state = self.state();
        if let Some(Entry::Loading(pending)) = state.entries.remove(conversation)
            && let Some(mut recent) = recent
            && !pending.is_spoiled
        {
            for message in pending.messages {
                recent.push(message);
            }
            recent.remove_to(pending.removed_to);
            recent.shorten(self.share());
            state.insert(conversation.clone(), recent);
            self.settle(&mut state);
        }
        drop(state);
        self.is_loaded.notify_all();
    }

    /// Adds what a batch has stored.
    pub(super) fn stored(&self, drafts: &[Draft], outcomes: &[Outcome]) {
        let mut state = self.state();
        for (draft, outcome) in drafts.iter().zip(outcomes) {
            let Outcome::Stored { seq, prev, time } = *outcome else { continue };
            let message = || {
                Arc::new(Message {
                    seq,
                    prev,
                    time,
                    user: draft.author.user.clone(),
                    name: draft.author.name.clone(),
                    client_id: draft.client_id,
                    kind: Kind::Text,
                    body: draft.stored_body().into(),
                })
            };
            let share = self.share();
            state.change(&draft.conversation, |recent| {
                recent.push(message());
                recent.shorten(share);
            });
            if let Some(Entry::Loading(pending)) = state.entries.get_mut(&draft.conversation) {
                pending.messages.push(message());
            }
        }
        self.settle(&mut state);
    }

    /// Leaves out what retention has removed.
    pub(super) fn trimmed(&self, trimmed: &[Trimmed]) {
        let mut state = self.state();
        if trimmed.iter().any(|trimmed| trimmed.is_forgotten) {
            state.forget_unknown();
        }
        for Trimmed { conversation, removed_to, is_forgotten } in trimmed {
            if let Some(Entry::Loading(pending)) = state.entries.get_mut(conversation) {
                pending.removed_to = pending.removed_to.max(*removed_to);
            } else if *is_forgotten {
                state.remove(conversation);
            } else {
                state.change(conversation, |recent| recent.remove_to(*removed_to));
            }
        }
        self.settle(&mut state);
    }

    /// Forgets some conversations, of which messages were taken out.
    pub(super) fn forget<'c>(&self, conversations: impl IntoIterator<Item = &'c Conversation>) {
        let mut state = self.state();
        for conversation in conversations {
            match state.entries.get_mut(conversation) {
                Some(Entry::Loading(pending)) => pending.is_spoiled = true,
                _ => state.remove(conversation),
            }
        }
        self.settle(&mut state);
    }

    /// Forgets everything, after a batch of which nobody can say what the disk has made of it.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.entries.retain(|_, entry| match entry {
            Entry::Loading(pending) => {
                pending.is_spoiled = true;
                true
            }
            Entry::Loaded { .. } => false,
        });
        state.uses.clear();
        state.bytes = 0;
        self.settle(&mut state);
    }

    fn share(&self) -> usize {
        SHARE_BYTES_MAX.min(self.bytes_max / 4)
    }

    /// Makes room, and says how much is taken.
    fn settle(&self, state: &mut State) {
        while state.bytes > self.bytes_max
            && let Some((_, oldest)) = state.uses.first_key_value()
        {
            let oldest = oldest.clone();
            state.remove(&oldest);
        }
        self.counters.cache_bytes.set(state.bytes);
    }
}

impl State {
    /// A conversation that is loaded, as one that was asked for right now.
    fn touch(&mut self, conversation: &Conversation) -> Option<&Recent> {
        let Some(Entry::Loaded { recent, used }) = self.entries.get_mut(conversation) else {
            return None;
        };
        self.clock += 1;
        if let Some(conversation) = self.uses.remove(used) {
            self.uses.insert(self.clock, conversation);
        }
        *used = self.clock;
        Some(recent)
    }

    fn insert(&mut self, conversation: Conversation, recent: Recent) {
        self.clock += 1;
        self.bytes += recent.bytes() + conversation.key().len();
        self.uses.insert(self.clock, conversation.clone());
        self.entries.insert(conversation, Entry::Loaded { recent, used: self.clock });
    }

    fn change(&mut self, conversation: &Conversation, change: impl FnOnce(&mut Recent)) {
        if let Some(Entry::Loaded { recent, .. }) = self.entries.get_mut(conversation) {
            let before = recent.bytes();
            change(recent);
            self.bytes = self.bytes - before + recent.bytes();
        }
    }

    /// What was said of conversations that the log does not know is not true any more when it forgets another one.
    fn forget_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (conversation, entry) in &mut self.entries {
            match entry {
                Entry::Loading(pending) => pending.is_spoiled = true,
                Entry::Loaded { recent, .. } if recent.is_unknown() => {
                    unknown.push(conversation.clone());
                }
                Entry::Loaded { .. } => {}
            }
        }
        unknown.iter().for_each(|conversation| self.remove(conversation));
    }

    fn remove(&mut self, conversation: &Conversation) {
        if let Some(Entry::Loaded { recent, used }) = self.entries.remove(conversation) {
            self.bytes -= recent.bytes() + conversation.key().len();
            self.uses.remove(&used);
        }
    }
}
