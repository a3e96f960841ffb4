//! The publish callback: the application says of each message, before it is stored, whether it may be, and as what.
//!
//! A shard hands what its sessions sent to a [`Screening`] instead of the log; its `clerk`, a task of the control runtime,
//! keeps the order of each conversation in `lines`, puts a `question` for each message, makes a ruling of each `answer`,
//! and hands the messages to the log in their order, those that are not to be stored as well: the log answers everybody,
//! and knows what it stored before. No shard waits for any of it, and each bounds what it has on the way.

mod answer;
mod clerk;
mod lines;
mod question;

pub(crate) use answer::{ANSWERS, FULL, register};

use std::sync::Arc;

use metrics::Counter;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::gate::standing::Standings;
use crate::log::Draft;
use crate::log::handle::{Log, OnPanic};
use crate::metrics::PUBLISH_CALLBACKS;
use crate::outbound::{Client, Signer};
use crate::panics;
use crate::rooms::conversation::Conversation;
use crate::rooms::pattern::Pattern;
use clerk::Clerk;

/// Which conversations the application is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) rooms: Vec<Pattern>,
    /// The direct conversations.
    pub(crate) direct: bool,
}

impl Scope {
    fn covers(&self, conversation: &Conversation) -> bool {
        match conversation.ends() {
            Some(_) => self.direct,
            None => self.rooms.iter().any(|pattern| pattern.matches(conversation.key())),
        }
    }
}

/// What asks the application.
pub(crate) struct Asker {
    pub(crate) client: Client,
    pub(crate) signer: Signer,
    /// The largest body that may take the place of another.
    pub(crate) body_bytes_max: usize,
}

/// What the configuration makes of it.
pub(crate) struct Plan {
    pub(crate) asker: Asker,
    pub(crate) scope: Scope,
    /// Questions on their way at once.
    pub(crate) requests_max: usize,
    /// Messages that wait for their answer, of all shards.
    pub(crate) waiting_max: usize,
}

/// A shard's end of it. Nothing here waits.
#[derive(Clone)]
pub(crate) struct Screening {
    scope: Arc<Scope>,
    drafts: mpsc::Sender<Vec<Draft>>,
    /// Messages of one shard that may wait.
    pub(crate) waiting_max: usize,
    full: Counter,
}

impl Plan {
    /// Has somebody ask from now on, for that many shards. What is ruled goes to that log, and nothing is stored of those
    /// who have lost their standing. A panic is told: those who wait would wait for ever.
    pub(crate) fn start(
        self,
        runtime: &Handle,
        log: Log,
        standings: Arc<Standings>,
        shards: usize,
        on_panic: OnPanic,
    ) -> Screening {
        let Self { asker, scope, requests_max, waiting_max } = self;
        let waiting_max = (waiting_max / shards.max(1)).max(1);
        // Each hand-over has one message at least, so that there is always room for it.
        let (drafts, incoming) = mpsc::channel(waiting_max * shards.max(1));
        let clerk = Clerk::new(incoming, Arc::new(asker), log, standings, requests_max);
        let work = runtime.spawn(clerk.run());
        runtime.spawn(async move {
            if let Err(error) = work.await
                && let Ok(panic) = error.try_into_panic()
            {
                on_panic(panics::message(&*panic));
            }
        });
        let full = metrics::counter!(PUBLISH_CALLBACKS, "result" => FULL);
        Screening { scope: Arc::new(scope), drafts, waiting_max, full }
    }
}

impl Screening {
    /// Whether the application is asked about what is said there.
    pub(crate) fn covers(&self, conversation: &Conversation) -> bool {
        self.scope.covers(conversation)
    }

    /// Hands messages over, of which each is answered by the log, once. They come back when nobody is there any more.
    pub(crate) fn hand(&self, drafts: Vec<Draft>) -> Result<(), Vec<Draft>> {
        self.drafts.try_send(drafts).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Counts a message for which there was no room.
    pub(crate) fn count_full(&self) {
        self.full.increment(1);
    }
}
