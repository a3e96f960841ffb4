//! The task that asks: as many questions at once as may be, and to the log in the order in which messages came.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::sync::mpsc::Receiver;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time;

use super::Asker;
use super::answer::BARRED;
use super::lines::{Lines, Ticket};
use super::question;
use crate::gate::standing::Standings;
use crate::log::handle::Log;
use crate::log::ruling::Ruling;
use crate::log::writer::system_time;
use crate::log::{Draft, Submission};
use crate::metrics::{PUBLISH_CALLBACKS, PUBLISH_WAITING};

/// How long messages wait for a log that has too much to do already, each time.
const RETRY: Duration = Duration::from_millis(5);

/// Of the questions that may be on their way, the part that one conversation may have.
const SHARE: usize = 4;

/// What somebody is told who may say nothing any more.
const SILENCED: &str = "this user may say nothing for now";

/// What the task owns.
pub(super) struct Clerk {
    incoming: Receiver<Vec<Draft>>,
    asker: Arc<Asker>,
    log: Log,
    standings: Arc<Standings>,
    requests_max: usize,
    lines: Lines,
    asking: JoinSet<Ruling>,
    tickets: HashMap<Id, Ticket>,
    /// For the log, in order. No more than the shards have on the way.
    ready: Vec<Draft>,
    waiting: Gauge,
    barred: Counter,
}

impl Clerk {
    pub(super) fn new(
        incoming: Receiver<Vec<Draft>>,
        asker: Arc<Asker>,
        log: Log,
        standings: Arc<Standings>,
        requests_max: usize,
    ) -> Self {
        Self {
            incoming,
            asker,
            log,
            standings,
            requests_max,
            lines: Lines::new(requests_max.div_ceil(SHARE)),
            asking: JoinSet::new(),
            tickets: HashMap::new(),
            ready: Vec::new(),
            waiting: metrics::gauge!(PUBLISH_WAITING),
            barred: metrics::counter!(PUBLISH_CALLBACKS, "result" => BARRED),
        }
    }

    /// Works until no shard is there any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                drafts = self.incoming.recv() => match drafts {
                    Some(drafts) => self.take(drafts),
                    None => break,
                },
                Some(ruled) = self.asking.join_next_with_id() => self.rule(ruled),
                () = time::sleep(RETRY), if !self.ready.is_empty() => {}
            }
            while let Some(ruled) = self.asking.try_join_next_with_id() {
                self.rule(ruled);
            }
            self.ask();
            self.submit();
            self.waiting.set((self.lines.waiting() + self.ready.len()) as f64);
        }
    }

    fn take(&mut self, drafts: Vec<Draft>) {
        drafts.into_iter().for_each(|draft| self.lines.push(draft));
    }

    /// Puts as many questions as may be on their way.
    fn ask(&mut self) {
        while self.asking.len() < self.requests_max {
            let Some((ticket, draft)) = self.lines.next() else { break };
            let question = question::json(draft, system_time());
            let asker = Arc::clone(&self.asker);
            let task = self.asking.spawn(async move { asker.ask(question).await });
            self.tickets.insert(task.id(), ticket);
        }
    }

    fn rule(&mut self, ruled: Result<(Id, Ruling), JoinError>) {
        // One that panicked has said nothing.
        let (id, ruling) = ruled.unwrap_or_else(|error| (error.id(), Ruling::Unanswered));
        if let Some(ticket) = self.tickets.remove(&id) {
            self.lines.rule(ticket, ruling, &mut self.ready);
        }
    }

    /// Hands the log what has left its line. What it does not take now is tried again.
    fn submit(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        self.bar();
        let submission = Submission { drafts: std::mem::take(&mut self.ready) };
        if let Err(submission) = self.log.offer(submission) {
            self.ready = submission.drafts;
        }
    }

    /// Lets nothing be stored of those who were banned, revoked or muted since they sent it. This is as late as can be:
    /// who bans and then erases what was said must not find more of it afterwards.
    fn bar(&mut self) {
        let now = system_time();
        for draft in &mut self.ready {
            if draft.refused().is_none() && self.standings.silences(&draft.author.user, now) {
                draft.ruling = Some(Box::new(Ruling::Denied(Some(SILENCED.into()))));
                self.barred.increment(1);
            }
        }
    }
}
