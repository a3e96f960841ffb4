//! Follows the log: what was stored is told in order, at least once, from where it was told before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::cursor::Cursor;
use super::event::{self, Text};
use super::sender::Sender;
use crate::log::Seq;
use crate::log::sqlite::feed::Feed;
use crate::metrics::WEBHOOK_LAG;

/// How long a log or a file that cannot be read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// One reader of the whole log.
pub(super) struct Stored {
    /// Not there while it reads.
    tools: Option<(Feed, Cursor)>,
    sender: Arc<Sender>,
    /// Something was stored.
    news: Arc<Notify>,
    batch_events_max: usize,
    /// Everything up to it was told.
    place: Option<Seq>,
    is_failing: bool,
}

/// What was read: events, the position of the last of them, and how far the log's end is behind that.
struct Batch {
    events: Vec<Text>,
    last: Seq,
    lag: Seq,
}

impl Stored {
    pub(super) fn new(
        feed: Feed,
        cursor: Cursor,
        sender: Arc<Sender>,
        (news, batch_events_max): (Arc<Notify>, usize),
    ) -> Self {
        let tools = Some((feed, cursor));
        Self { tools, sender, news, batch_events_max, place: None, is_failing: false }
    }

    /// For as long as the server runs.
    pub(super) async fn run(mut self) {
        let lag = metrics::gauge!(WEBHOOK_LAG);
        loop {
            let place = self.place;
            let max = self.batch_events_max;
            let Some(batch) = self.work(move |feed, cursor| read(feed, cursor, place, max)).await
            else {
                continue;
            };
            lag.set(batch.lag as f64);
            self.place = Some(batch.last);
            if batch.events.is_empty() {
                self.news.notified().await;
                continue;
            }
            self.sender.deliver(&batch.events).await;
            // Until this is done it is told again, should the process end.
            let save = move |feed: &mut Feed, cursor: &Cursor| {
                cursor.save(feed.epoch(), batch.last).map_err(|error| error.to_string())
            };
            while self.work(save).await.is_none() {}
        }
    }

    /// Does what blocks where that does no harm; `None`, after a pause, where it failed.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Feed, &Cursor) -> Result<T, String> + Send + 'static,
    ) -> Option<T> {
        let (mut feed, cursor) = self.tools.take()?;
        let done = spawn_blocking(move || {
            let result = work(&mut feed, &cursor);
            (result, (feed, cursor))
        });
        let Ok((result, tools)) = done.await else {
            // It panicked, or the runtime is going: nothing can be told any more.
            return std::future::pending().await;
        };
        self.tools = Some(tools);
        match result {
            Ok(done) => {
                self.is_failing = false;
                Some(done)
            }
            Err(error) => {
                if !self.is_failing {
                    tracing::error!(error, "webhooks of stored messages wait");
                }
                self.is_failing = true;
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}

fn read(feed: &mut Feed, cursor: &Cursor, place: Option<Seq>, max: usize) -> Result<Batch, String> {
    let place = match place {
        Some(place) => place,
        None => begin(feed, cursor)?,
    };
    let (found, end) = feed.after(place, max).map_err(|error| error.to_string())?;
    let epoch = feed.epoch();
    let last = found.last().map_or(place, |(_, message)| message.seq);
    let events = found
        .iter()
        .filter_map(|(conversation, message)| event::message(epoch, conversation, message, true));
    Ok(Batch { events: events.collect(), last, lag: end.saturating_sub(last) })
}

/// Where it was, or the end of a log that it has never seen: what was said before is history.
fn begin(feed: &mut Feed, cursor: &Cursor) -> Result<Seq, String> {
    if let Some(place) = cursor.load(feed.epoch()).map_err(|error| error.to_string())? {
        return Ok(place);
    }
    let end = feed.end().map_err(|error| error.to_string())?;
    cursor.save(feed.epoch(), end).map_err(|error| error.to_string())?;
    tracing::info!("webhooks begin at the end of the log");
    Ok(end)
}
