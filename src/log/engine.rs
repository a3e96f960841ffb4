//! What an engine does: the sequencer and the store behind the log, and the rules that all engines share.

use std::time::Duration;

use crate::log::removal::{Errand, Removed};
use crate::log::{Draft, Finding, Message, Millis, Query, Refused, Seq, Unreadable};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

/// Gives messages their positions and keeps them. Owned by the writer's thread.
pub(crate) trait Engine: Send {
    /// Whether what it keeps survives the process.
    fn is_durable(&self) -> bool;

    /// Stores drafts in order, each of them once: all that can be stored are, or nothing is. One outcome for each.
    ///
    /// `now` may go backwards; the times of messages do not.
    fn store(&mut self, drafts: &[Draft], now: Millis) -> Result<Vec<Outcome>, Unavailable>;

    /// Removes some of what is kept no longer: one step of a pass through all conversations, which goes on where the
    /// one before has ended. At most `budget` messages and keys go in it.
    fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Result<Tidied, Unavailable>;

    /// Takes out what nobody is to see any more, at most `budget` messages, and says so: one step of a removal, which
    /// goes on where the one before has ended. What the step has removed and its events are stored together, or nothing
    /// is, and then another errand for the same finishes what this one has begun.
    fn remove(
        &mut self,
        errand: &mut Errand,
        now: Millis,
        budget: usize,
    ) -> Result<Removed, Unavailable>;

    /// Messages of batches that failed which turned out to be stored all the same, in order; each of them once, and
    /// before anything that is stored later.
    fn take_recovered(&mut self) -> Vec<(Conversation, Message)> {
        Vec::new()
    }

    /// A reader of what is stored: it sees everything that [`store`](Self::store) has returned from.
    fn reader(&self) -> Box<dyn Reader>;

    /// Leaves what is kept in order, before the engine is dropped.
    fn close(&mut self) {}
}

/// Answers queries on a thread of its own.
pub(crate) trait Reader: Send {
    /// What there is to find at one moment, never older than what the writer has handed on.
    /// To who resumes or catches up, messages of before `since` are as good as gone.
    fn find(&mut self, query: &Query, since: Millis) -> Result<Finding, Unreadable>;
}

/// Nothing of a batch was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// What a step of retention has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tidied {
    /// Messages that are gone.
    pub(crate) removed: usize,
    /// All conversations have been looked at: there is no hurry with the next pass.
    pub(crate) is_over: bool,
}

/// What an engine made of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has a position now.
    Stored { seq: Seq, prev: Seq, time: Millis },
    /// It had one already, and was handed on then.
    Known { seq: Seq, time: Millis },
    /// It gets none.
    Refused(Refused),
}

/// Which engine keeps a conversation, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) keeping: Keeping,
    /// Messages older than this go.
    pub(crate) age_max: Option<Duration>,
    /// The oldest of more messages than this go.
    pub(crate) messages_max: Option<u64>,
}

impl Rule {
    /// What was said before this goes.
    pub(crate) fn since(&self, now: Millis) -> Millis {
        let age = |age: Duration| Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX);
        self.age_max.map_or(0, |max| now.saturating_sub(age(max)))
    }

    /// How many of so many messages are too many.
    pub(crate) fn excess(&self, messages: u64) -> u64 {
        self.messages_max.map_or(0, |max| messages.saturating_sub(max))
    }
}

/// The engines to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The configured durable engine.
    Durable,
    /// In the memory of the process.
    Memory,
}

/// The rule for each conversation.
pub(crate) type Rules = dyn Fn(&Conversation) -> Rule + Send + Sync;

/// How long keys of idempotency are kept, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(pub(crate) Millis);

impl Window {
    /// Until when a key is kept under which something was stored at `stored`.
    pub(crate) fn end(self, stored: Millis, id: ClientId) -> Millis {
        stored.max(id.made_ms()).saturating_add(self.0)
    }

    /// What becomes of a draft whose key was found with something stored at `stored` under it.
    pub(crate) fn known(
        self,
        (seq, time): (Seq, Millis),
        is_same: bool,
        (id, now): (ClientId, Millis),
    ) -> Outcome {
        if now > self.end(time, id) {
            Outcome::Refused(Refused::Expired)
        } else if is_same {
            Outcome::Known { seq, time }
        } else {
            Outcome::Refused(Refused::Conflict)
        }
    }

    /// Whether a draft with an unknown key may be stored. A key that was stored and is kept no more may not: it was
    /// made at least a window ago.
    pub(crate) fn admits(self, id: ClientId, now: Millis) -> bool {
        let made = id.made_ms();
        now <= made.saturating_add(self.0) && made <= now.saturating_add(self.0)
    }
}

/// Where the log of a conversation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The position of the last message that was ever stored; 0 if none was, or if that is forgotten.
    pub(crate) last: Seq,
    /// Messages up to this position are gone.
    pub(crate) removed_to: Seq,
    /// If the conversation was forgotten whole, because nothing of it was left, then its positions were up to this.
    pub(crate) forgotten_to: Seq,
}

impl Standing {
    /// Whether somebody may have been told this position.
    pub(crate) fn knows(&self, position: Seq) -> bool {
        position <= self.last.max(self.forgotten_to)
    }

    /// What is gone of that which comes after a position: up to where.
    pub(crate) fn gap(&self, after: Seq) -> Option<Seq> {
        // Who has seen nothing yet has lost nothing of what was forgotten before there was anything.
        let forgotten_to = if after == 0 { 0 } else { self.forgotten_to };
        Some(self.removed_to.max(forgotten_to)).filter(|to| after < *to)
    }
}
