//! The writer's thread: takes what was submitted, has it stored, and only then hands on messages and answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, select};

use crate::log::engine::{Engine, Keeping, Outcome, Rules};
use crate::log::handle::Shared;
use crate::log::outgoing::Outgoing;
use crate::log::retention::Retention;
use crate::log::{Ack, Answer, Draft, Message, Millis, Refused, Submission};
use crate::protocol::chat::Identity;
use crate::rooms::conversation::Conversation;

/// How much is stored at once, but for the last submission that is taken: as long as this takes, everything else waits.
const GROUP_DRAFTS_MAX: usize = 2048;

/// The same in bytes of bodies.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Tells the time.
pub(crate) type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// The time by the system's clock. It may go backwards.
pub(crate) fn system_time() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// The system's clock.
pub(crate) fn system_clock() -> Clock {
    Arc::new(system_time)
}

/// The engines of a log, by what they are for.
pub(crate) struct Engines {
    pub(crate) durable: Box<dyn Engine>,
    pub(crate) memory: Box<dyn Engine>,
}

impl Engines {
    fn get(&mut self, keeping: Keeping) -> &mut dyn Engine {
        match keeping {
            Keeping::Durable => &mut *self.durable,
            Keeping::Memory => &mut *self.memory,
        }
    }
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) submissions: Receiver<Submission>,
    /// Some mailbox has room again.
    pub(super) wakes: Receiver<()>,
    /// Until when to try to get rid of everything, when it is time to stop.
    pub(super) stop: Receiver<Instant>,
    pub(super) engines: Engines,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Clock,
    pub(super) outgoing: Outgoing,
    pub(super) retention: Retention,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// Works until it is told to stop, and then stores and answers what was submitted before.
    pub(super) fn run(mut self) {
        loop {
            select! {
                recv(self.submissions) -> submission => match submission {
                    Ok(submission) => self.store_group(submission),
                    Err(_) => break,
                },
                recv(self.wakes) -> _ => self.send(),
                default(self.retention.wait()) => self.tidy(0),
                recv(self.stop) -> deadline => {
                    self.finish(deadline.unwrap_or_else(|_| Instant::now()));
                    break;
                }
            }
        }
        self.engines.durable.close();
        self.engines.memory.close();
    }

    fn finish(&mut self, deadline: Instant) {
        while let Ok(submission) = self.submissions.try_recv() {
            self.store_group(submission);
        }
        while self.outgoing.is_waiting() {
            if self.wakes.recv_deadline(deadline).is_err() {
                tracing::warn!("the time to stop in is over; some answers were not fetched");
                return;
            }
            self.send();
        }
    }

    /// Stores a submission together with what else is waiting.
    fn store_group(&mut self, first: Submission) {
        let mut drafts = first.drafts;
        let mut bytes: usize = drafts.iter().map(|draft| draft.body.len()).sum();
        while drafts.len() < GROUP_DRAFTS_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(more) = self.submissions.try_recv() else { break };
            bytes += more.drafts.iter().map(|draft| draft.body.len()).sum::<usize>();
            drafts.extend(more.drafts);
        }
        let count = drafts.len();
        let (durable, memory): (Vec<_>, Vec<_>) = drafts
            .into_iter()
            .partition(|draft| (self.rules)(&draft.conversation).keeping == Keeping::Durable);
        self.store(Keeping::Durable, durable);
        self.store(Keeping::Memory, memory);
        self.send();
        if self.retention.is_due() {
            self.tidy(count);
        }
    }

    /// What a failed batch has left in the log.
    fn take_recovered(&mut self, keeping: Keeping) -> Conversations {
        let mut conversations = Conversations::default();
        for (conversation, message) in self.engines.get(keeping).take_recovered() {
            conversations.add(conversation, message);
        }
        conversations
    }

    fn hand_on(&mut self, conversations: Conversations) {
        for (conversation, messages) in conversations.list {
            self.outgoing.messages(&conversation, &messages);
        }
    }

    /// Makes a step of retention, behind a batch of so many.
    fn tidy(&mut self, stored: usize) {
        let (now, budget) = ((self.clock)(), Retention::budget(stored));
        let Engines { durable, memory } = &mut self.engines;
        let steps = [durable, memory].map(|engine| engine.tidy(&*self.rules, now, budget));
        // An engine that cannot do it now is asked again with the next pass.
        let is_over = steps.iter().all(|step| step.is_ok_and(|step| step.is_over));
        let has_failed = steps.iter().any(Result::is_err);
        self.retention.stepped(is_over || has_failed);
        self.shared.counters.retention_steps.add(1);
        // The step may have been the first to open the log again.
        let recovered = self.take_recovered(Keeping::Durable);
        self.hand_on(recovered);
        self.send();
    }

    fn store(&mut self, keeping: Keeping, drafts: Vec<Draft>) {
        if drafts.is_empty() {
            return;
        }
        let engine = self.engines.get(keeping);
        let stored = engine.is_durable();
        let start = Instant::now();
        let outcomes = engine.store(&drafts, (self.clock)()).unwrap_or_else(|_| {
            drafts.iter().map(|_| Outcome::Refused(Refused::Unavailable)).collect()
        });
        if stored {
            self.shared.counters.commits.record(start.elapsed());
        }
        self.shared.counters.batches.add(1);
        let mut conversations = self.take_recovered(keeping);
        for (draft, outcome) in drafts.into_iter().zip(outcomes) {
            self.count(outcome);
            let body = draft.replacement().map(Into::into);
            let Draft { conversation, author, client_id, body: sent, origin, ruling } = draft;
            let body = body.unwrap_or(sent);
            let result = match outcome {
                Outcome::Stored { seq, time, .. } | Outcome::Known { seq, time } => {
                    Ok(Ack { seq, time, stored })
                }
                Outcome::Refused(refused) => Err(refused),
            };
            self.outgoing.answer(Answer { origin, client_id, result, ruling });
            if let Outcome::Stored { seq, prev, time } = outcome {
                let Identity { user, name, .. } = author;
                let message = Message { seq, prev, time, user, name, client_id, body };
                conversations.add(conversation, message);
            }
        }
        self.hand_on(conversations);
    }

    fn count(&self, outcome: Outcome) {
        let counters = &self.shared.counters;
        let total = match outcome {
            Outcome::Stored { .. } => &counters.stored,
            Outcome::Known { .. } => &counters.known,
            Outcome::Refused(Refused::Conflict) => &counters.conflicts,
            Outcome::Refused(Refused::Expired) => &counters.expired,
            Outcome::Refused(Refused::Unavailable) => &counters.unavailable,
            Outcome::Refused(Refused::Denied) => &counters.denied,
            Outcome::Refused(Refused::Unanswered) => &counters.unanswered,
        };
        total.add(1);
    }

    /// Hands on what there is, and lets those submit again that could not before.
    fn send(&mut self) {
        let answered = self.outgoing.send();
        self.shared.answered(answered);
    }
}

/// Messages by conversation, those that were stored first in front.
#[derive(Default)]
struct Conversations {
    list: Vec<(Conversation, Vec<Message>)>,
    places: HashMap<Conversation, usize>,
}

impl Conversations {
    fn add(&mut self, conversation: Conversation, message: Message) {
        if let Some(place) = self.places.get(&conversation) {
            self.list[*place].1.push(message);
        } else {
            self.places.insert(conversation.clone(), self.list.len());
            self.list.push((conversation, vec![message]));
        }
    }
}
