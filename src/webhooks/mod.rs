//! Webhooks: the user's application is told what happens, in batches over HTTP.
//!
//! Stored messages are read from the log behind a [`cursor`] that outlives the process, so that each is told at least
//! once ([`stored`]). What is not kept, who comes and goes, waits in a queue with a bound ([`live`]), which shards
//! only ever try. Both hand batches of [`event`]s to a [`sender`], one batch at a time, so that they arrive in order;
//! a slow receiver makes the cursor stay behind and the queue fill, and nobody else wait.

mod cursor;
pub(crate) mod event;
mod live;
mod names;
mod sender;
mod stored;
mod waiting;

pub(crate) use live::Tap;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use crate::log::sqlite::feed::Feed;
use crate::metrics::{WEBHOOK_EVENTS, WEBHOOK_LAG, WEBHOOK_RETRIES};
use crate::outbound::{Client, Signer};
use crate::rooms::rules::RoomRules;
use cursor::Cursor;
use event::Kinds;
use live::Live;
use sender::Sender;
use stored::Stored;
use waiting::Waiting;

/// What webhooks are made with.
pub(crate) struct Webhooks {
    pub(crate) client: Client,
    pub(crate) signer: Signer,
    pub(crate) kinds: Kinds,
    pub(crate) batch_events_max: usize,
    /// Events that wait to be told and are not in the log.
    pub(crate) queue_events_max: usize,
    /// The longest pause between two tries of a batch, and how long a batch is tried.
    pub(crate) retry_max: Duration,
    pub(crate) give_up: Duration,
}

/// What became of an event.
pub(crate) const RESULTS: [&str; 3] = ["delivered", "dropped", "dead"];

/// Makes every metric of webhooks exist.
pub(crate) fn register() {
    for result in RESULTS {
        metrics::counter!(WEBHOOK_EVENTS, "result" => result).increment(0);
    }
    metrics::counter!(WEBHOOK_RETRIES).increment(0);
    metrics::gauge!(WEBHOOK_LAG).set(0.0);
}

/// The log as far as it is told of.
pub(crate) struct Source {
    pub(crate) feed: Feed,
    pub(crate) data_dir: PathBuf,
}

impl Webhooks {
    /// Starts to tell what happens from now on, and what was stored since the last event that was told. `protocols` are
    /// the names of the routes; `source` is there where the chat is served.
    pub(crate) fn start(
        self,
        runtime: &Handle,
        protocols: Vec<String>,
        rules: Arc<RoomRules>,
        source: Option<Source>,
    ) -> Tap {
        let (queue, events) = mpsc::channel(self.queue_events_max);
        let news = Arc::new(Notify::new());
        let sender = Arc::new(Sender {
            client: self.client,
            signer: self.signer,
            retry_max: self.retry_max,
            give_up: self.give_up,
        });
        let live = (Arc::clone(&sender), self.batch_events_max);
        let waiting = Arc::new(Waiting::default());
        let live = Live::new((events, Arc::clone(&waiting)), live, (protocols, self.kinds.room));
        runtime.spawn(live.run());
        if let Some(source) = source.filter(|_| self.kinds.message) {
            let cursor = Cursor::in_dir(&source.data_dir);
            let stored = Stored::new(
                source.feed,
                cursor,
                sender,
                (Arc::clone(&news), self.batch_events_max),
            );
            runtime.spawn(stored.run());
        }
        Tap::new(queue, news, self.kinds, (rules, waiting))
    }
}
