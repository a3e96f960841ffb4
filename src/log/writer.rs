//! The writer's thread: takes what was submitted, has it stored, and only then hands on messages and answers.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, select};

use crate::log::engine::{Engine, Keeping, Outcome, Rules, Unavailable};
use crate::log::handle::Shared;
use crate::log::kind::Kind;
use crate::log::order::{Order, Underway, Work};
use crate::log::outgoing::Outgoing;
use crate::log::removal::{Errand, Removed};
use crate::log::retention::Retention;
use crate::log::{Ack, Answer, Draft, Message, Millis, Refused, Submission};
use crate::protocol::chat::Identity;
use crate::rooms::conversation::Conversation;

/// How much is stored at once, but for the last submission that is taken: as long as this takes, everything else waits.
const GROUP_DRAFTS_MAX: usize = 2048;

/// The same in bytes of bodies.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// What one step of a removal takes, in messages. It need not keep up with anybody.
const REMOVAL_ROWS: usize = 256;

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
    pub(super) work: Receiver<Work>,
    /// Some mailbox has room again.
    pub(super) wakes: Receiver<()>,
    /// Until when to try to get rid of everything, when it is time to stop.
    pub(super) stop: Receiver<Instant>,
    pub(super) engines: Engines,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Clock,
    pub(super) outgoing: Outgoing,
    pub(super) retention: Retention,
    /// Orders that were begun, which take turns.
    pub(super) underway: VecDeque<Underway>,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// Works until it is told to stop, and then stores and answers what was submitted before.
    pub(super) fn run(mut self) {
        loop {
            select! {
                recv(self.work) -> work => match work {
                    Ok(work) => self.take(work),
                    Err(_) => break,
                },
                recv(self.wakes) -> _ => self.send(),
                default(self.wait()) => self.tidy_up(0),
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
        while let Ok(work) = self.work.try_recv() {
            self.take(work);
        }
        // What is not done yet its caller is told to ask for again.
        self.underway.clear();
        while self.outgoing.is_waiting() {
            if self.wakes.recv_deadline(deadline).is_err() {
                tracing::warn!("the time to stop in is over; some answers were not fetched");
                return;
            }
            self.send();
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Drafts(submission) => self.store_group(submission),
            Work::Order(order) => self.begin(order),
        }
    }

    /// How long to wait for something else to do.
    fn wait(&self) -> Duration {
        if self.underway.is_empty() { self.retention.wait() } else { Duration::ZERO }
    }

    /// Stores a submission together with what else is waiting, up to the next order.
    fn store_group(&mut self, first: Submission) {
        let mut next = None;
        let mut drafts = first.drafts;
        let mut bytes: usize = drafts.iter().map(|draft| draft.body.len()).sum();
        while drafts.len() < GROUP_DRAFTS_MAX && bytes < GROUP_BYTES_MAX {
            let more = match self.work.try_recv() {
                Ok(Work::Drafts(more)) => more,
                Ok(Work::Order(order)) => {
                    next = Some(order);
                    break;
                }
                Err(_) => break,
            };
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
        next.into_iter().for_each(|order| self.begin(order));
        self.tidy_up(count);
    }

    /// Makes the first step of an order at once, in every engine: so it is decided what it is about.
    fn begin(&mut self, order: Order) {
        // Also of what an engine has already let go of.
        self.outgoing.removes(&order.removal);
        let mut underway = Underway::new(order);
        for (keeping, errand) in mem::take(&mut underway.errands) {
            match self.remove(keeping, errand, &mut underway) {
                Ok(()) => {}
                Err(unavailable) => return self.end(underway, Err(unavailable)),
            }
        }
        self.go_on_with(underway);
    }

    /// Makes a step of one engine's part of an order, and puts back what is left of it.
    fn remove(
        &mut self,
        keeping: Keeping,
        mut errand: Errand,
        underway: &mut Underway,
    ) -> Result<(), Unavailable> {
        let now = (self.clock)();
        let result = self.engines.get(keeping).remove(&mut errand, now, REMOVAL_ROWS);
        let recovered = self.take_recovered(keeping);
        self.hand_on(recovered);
        let Removed { removed, events, is_over } = result?;
        let mut conversations = Conversations::default();
        for (conversation, message) in events {
            // Where another engine has the conversation now nobody knows of these positions.
            if (self.rules)(&conversation).keeping == keeping {
                conversations.add(conversation, message);
            }
        }
        self.hand_on(conversations);
        self.send();
        underway.add(removed);
        self.shared.counters.redacted.add(removed);
        if !is_over {
            underway.errands.push((keeping, errand));
        }
        Ok(())
    }

    fn go_on_with(&mut self, underway: Underway) {
        if underway.errands.is_empty() {
            self.end(underway, Ok(()));
        } else {
            self.underway.push_back(underway);
        }
    }

    fn end(&mut self, underway: Underway, result: Result<(), Unavailable>) {
        self.shared.ended();
        underway.end(result);
    }

    /// Makes a step of what is to be removed, and one of retention if that is due, behind a batch of so many.
    fn tidy_up(&mut self, stored: usize) {
        if let Some(mut underway) = self.underway.pop_front()
            && let Some((keeping, errand)) = underway.errands.pop()
        {
            match self.remove(keeping, errand, &mut underway) {
                Ok(()) => self.go_on_with(underway),
                Err(unavailable) => self.end(underway, Err(unavailable)),
            }
        }
        if self.retention.is_due() {
            self.tidy(stored);
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
                let kind = Kind::Text;
                let message = Message { seq, prev, time, user, name, client_id, kind, body };
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
