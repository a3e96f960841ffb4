//! The log: the order and the keeping of what was said. An ack means stored, and nothing goes out before it is.
//!
//! A shard hands what its sessions sent to the log as a [`Submission`]; one writer thread stores many of them at once,
//! gives each message its position, and hands the stored ones and the answers to the shards through an [`Outlet`].
//! Whoever is behind asks the readers a [`Query`]. Nothing here waits for a shard.
//!
//! Here are the words that the log and the shards share. The [`handle`] is what a shard holds; behind it are the
//! [`writer`], which hands on what is [`outgoing`] and lets [`retention`] work when there is time, and the [`readers`].
//! Both work on an [`engine`]: [`memory`] or [`sqlite`], which agree on what makes a [`page`].

pub(crate) mod client;
pub(crate) mod counters;
pub(crate) mod data_dir;
pub(crate) mod engine;
pub(crate) mod figures;
pub(crate) mod handle;
pub(crate) mod kind;
pub(crate) mod memory;
mod order;
mod outgoing;
mod page;
mod readers;
pub(crate) mod removal;
mod retention;
pub(crate) mod ruling;
pub(crate) mod sqlite;
#[cfg(test)]
#[cfg(not(uproar_loom))]
mod tests;
pub(crate) mod writer;

use std::sync::Arc;

use crate::log::kind::Kind;
use crate::log::removal::Removal;
use crate::log::ruling::Ruling;
use crate::protocol::SessionId;
use crate::protocol::chat::{ClientId, Identity};
use crate::rooms::conversation::{Conversation, View};

/// Names one beginning of a log. Positions of different epochs have nothing to do with each other.
pub(crate) type Epoch = Arc<str>;

/// A position in a conversation's log: below 2^53, rising, with holes. 0 is before everything.
pub(crate) type Seq = u64;

/// Milliseconds since 1970, UTC.
pub(crate) type Millis = u64;

/// A message that a session sent and nobody has stored yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) conversation: Conversation,
    pub(crate) author: Identity,
    pub(crate) client_id: ClientId,
    /// Valid JSON, as it came.
    pub(crate) body: Box<str>,
    /// Who is to have the answer.
    pub(crate) origin: Origin,
    /// What the application said of it; `None` where it was not asked.
    pub(crate) ruling: Option<Box<Ruling>>,
}

/// Where a draft came from: comes back with the answer, and means nothing to the log.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) session: SessionId,
    /// How the session sees the conversation.
    pub(crate) view: View,
    /// The `ref` of the request, as JSON text.
    pub(crate) reference: Option<Box<str>>,
}

/// What one shard's sessions sent in one turn, in order.
pub(crate) struct Submission {
    pub(crate) drafts: Vec<Draft>,
}

/// A message with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: Seq,
    /// The position of the one before it in its conversation; 0 for the first. Where that one was taken out since, the
    /// one before that.
    pub(crate) prev: Seq,
    pub(crate) time: Millis,
    pub(crate) user: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) client_id: ClientId,
    pub(crate) kind: Kind,
    pub(crate) body: Box<str>,
}

/// What became of one draft.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) origin: Origin,
    pub(crate) client_id: ClientId,
    pub(crate) result: Result<Ack, Refused>,
    /// That of the draft.
    pub(crate) ruling: Option<Box<Ruling>>,
}

/// The draft is in the log, since now or since it was sent the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) seq: Seq,
    pub(crate) time: Millis,
    /// It survives the process.
    pub(crate) stored: bool,
}

/// Why a draft was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The same key was sent before with another body.
    Conflict,
    /// The key is older than the window in which keys are kept, or made too far in the future.
    Expired,
    /// The log cannot store anything at the moment.
    Unavailable,
    /// The application does not want it.
    Denied,
    /// The application has to be asked, and does not answer.
    Unanswered,
}

/// Stored messages and answers on their way to one shard.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) answers: Vec<Answer>,
    /// Whole frames of all parts, end to end, as they go over the wire.
    pub(crate) bytes: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    /// In order behind all parts: what the shard has to read from the log itself.
    pub(crate) notices: Vec<Notice>,
}

/// Some neighbouring messages of one view, in order.
#[derive(Debug)]
pub(crate) struct Part {
    /// The hub's room that they are for.
    pub(crate) view: View,
    /// Where in the delivery's bytes the part ends; it begins where the one before ends.
    pub(crate) end: usize,
    pub(crate) frames: u32,
    /// The position before the first of them in their conversation, and that of the last.
    pub(crate) after: Seq,
    pub(crate) last: Seq,
}

/// Messages of one view that were stored and are not sent along, because the shard's mailbox was full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) view: View,
    /// They come after this position,
    pub(crate) after: Seq,
    /// up to this one.
    pub(crate) last: Seq,
}

/// Where the writer's work goes: the hub in a server, a recorder in tests.
pub(crate) trait Outlet: Send + Sync {
    /// The shards, by number below 128, that have sessions which see the conversation so.
    fn shards(&self, view: &View) -> Vec<usize>;
    /// Hands a delivery to a shard without waiting for it. Comes back when its mailbox is full; then the writer hears
    /// when there is room.
    fn deliver(&self, shard: usize, delivery: Delivery) -> Result<(), Delivery>;
    /// Hands the answer to a [`Read`] to the shard that asked, without waiting for it. There is a place for it: a shard
    /// has no more reads on the way than its mailbox holds answers.
    fn found(&self, shard: usize, found: Found);
    /// Hears of messages that were stored one after another in one conversation.
    fn stored(&self, _conversation: &Conversation, _messages: &[Message]) {}
    /// Hears that nobody is to see these any more, of all that was stored before.
    fn removes(&self, _removal: &Removal) {}
    /// Tells a shard that the log has room again, after it turned a submission or a read of that shard away.
    fn has_room(&self, shard: usize);
}

/// What somebody who is behind wants to know.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    /// Where the log stands, and the first messages for who joins.
    Open {
        view: View,
        /// The epoch and the last position that the client has, if it was here before.
        after: Option<(Box<str>, Seq)>,
        /// How many of the latest messages it wants otherwise.
        history: u32,
    },
    /// What comes after a position, as much as one page holds.
    After { view: View, after: Seq },
    /// A page for scrolling.
    History { view: View, direction: Direction, limit: u32 },
    /// The direct conversations of a user, by the other's id in order.
    Conversations { user: Arc<str>, after: Option<Box<str>>, limit: u32 },
}

impl Query {
    /// The conversation that it is about; for a user's conversations one of those.
    pub(crate) fn conversation(&self) -> Conversation {
        match self {
            Self::Open { view, .. } | Self::After { view, .. } | Self::History { view, .. } => {
                view.conversation()
            }
            Self::Conversations { user, .. } => Conversation::direct(user, user),
        }
    }
}

/// Which way a page of history goes, from a position that is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The latest ones before it, oldest first.
    Before(Seq),
    /// The earliest ones after it, oldest first.
    After(Seq),
}

/// A query on its way to the readers.
pub(crate) struct Read {
    /// Who asks: which mailbox the result goes to.
    pub(crate) shard: usize,
    /// Comes back with the result.
    pub(crate) ticket: u64,
    pub(crate) query: Query,
}

/// The answer to a [`Read`].
pub(crate) struct Found {
    pub(crate) ticket: u64,
    pub(crate) result: Result<Finding, Unreadable>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// For `Open`, `After` and `History`.
    Page(Page),
    /// For `Conversations`: the other's id and the last position, and whether there are more.
    Conversations { list: Vec<(Arc<str>, Seq)>, more: bool },
}

/// The log cannot be read at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A piece of a conversation, consistent in itself: read at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) epoch: Epoch,
    /// The last position in the conversation at that moment; 0 if nothing was ever said.
    pub(crate) seq: Seq,
    /// For `Open` and `After`: up to this position the asker now has everything, or is told by `gap` that it is gone.
    /// Below `seq` there is more to read, after this position. An `Open` whose position the log does not know
    /// (another epoch, or one that it never gave) is answered like one without.
    pub(crate) reached: Seq,
    /// The messages as JSON text, end to end, for the view that was asked for.
    pub(crate) bytes: Vec<u8>,
    /// For each of them its position and where it ends.
    pub(crate) ends: Vec<(Seq, usize)>,
    /// Whether there are more in the direction of the query.
    pub(crate) more: bool,
    /// Messages that were asked for and are gone: after the first position, up to the second.
    pub(crate) gap: Option<(Seq, Seq)>,
}

impl Page {
    /// Up to where the asker has everything that there is. At the end of the log that is its last position, whether or
    /// not there is a message of it: positions have holes, and retention may have taken the last of them.
    pub(crate) fn complete_to(&self) -> Seq {
        if self.more { self.reached } else { self.seq.max(self.reached) }
    }
}
