//! Shards as tests need them: mailboxes of any capacity, filled by a log and read when the test says so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::log::counters::Counters;
use crate::log::engine::{Keeping, Rule, Rules};
use crate::log::handle::{Log, Parts, Running};
use crate::log::writer::Engines;
use crate::log::{Answer, Delivery, Found, Outlet, Read, Submission};
use crate::protocol::frame::frame_len;

/// Longer than anything takes that is not broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mail that waits for a shard, and the views that it has.
pub(super) struct Mailbox {
    views: HashSet<View>,
    deliveries: (Sender<Delivery>, Receiver<Delivery>),
    found: (Sender<Found>, Receiver<Found>),
    room: (Sender<()>, Receiver<()>),
    was_full: AtomicBool,
}

pub(super) struct Recorder(Vec<Mailbox>);

impl Outlet for Recorder {
    fn shards(&self, view: &View) -> Vec<usize> {
        let has = |shard: &usize| self.0[*shard].views.contains(view);
        (0..self.0.len()).filter(has).collect()
    }

    fn deliver(&self, shard: usize, delivery: Delivery) -> Result<(), Delivery> {
        let mailbox = &self.0[shard];
        let Err(error) = mailbox.deliveries.0.try_send(delivery) else { return Ok(()) };
        mailbox.was_full.store(true, Ordering::SeqCst);
        mailbox.deliveries.0.try_send(error.into_inner()).map_err(|error| error.into_inner())
    }

    fn found(&self, shard: usize, found: Found) {
        self.0[shard].found.0.try_send(found).expect("there is a place for it");
    }

    fn has_room(&self, shard: usize) {
        let _ = self.0[shard].room.0.try_send(());
    }
}

/// A log whose shards see `views` and have mailboxes for so many deliveries.
pub(super) struct World {
    pub(super) log: Log,
    pub(super) running: Option<Running>,
    pub(super) recorder: Arc<Recorder>,
    directory: TempDir,
    /// What a thread said that panicked.
    pub(super) panicked: Receiver<String>,
}

pub(super) struct Plan<'a> {
    pub(super) views: &'a [&'a [View]],
    pub(super) capacity: usize,
    pub(super) drafts_max: usize,
    pub(super) seq_step: u64,
}

impl World {
    /// Rooms whose names begin with `memory` are kept there, everything else is durable.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let rule = |conversation: &Conversation| Rule {
            keeping: match conversation.key().starts_with("memory") {
                true => Keeping::Memory,
                false => Keeping::Durable,
            },
            age_max: None,
            messages_max: None,
        };
        Self::with(plan, |engines| engines, Arc::new(rule))
    }

    /// With engines as `change` leaves them.
    pub(super) fn with(
        plan: &Plan<'_>,
        change: impl FnOnce(Engines) -> Engines,
        rules: Arc<Rules>,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let directory = tempfile::tempdir().expect("a directory");
        let engines = Engines {
            durable: Box::new(in_database(directory.path(), plan.seq_step, &counters)),
            memory: Box::new(in_memory(plan.seq_step, usize::MAX)),
        };
        let mailbox = |views: &&[View]| Mailbox {
            views: views.iter().cloned().collect(),
            deliveries: bounded(plan.capacity),
            found: bounded(1),
            room: bounded(1),
            was_full: AtomicBool::new(false),
        };
        let recorder = Arc::new(Recorder(plan.views.iter().map(mailbox).collect()));
        let (panics, panicked) = bounded(1);
        let running = Running::start(Parts {
            engines: change(engines),
            rules,
            outlet: recorder.clone(),
            clock: Arc::new(|| NOW),
            drafts_max: plan.drafts_max,
            reads_max: 16,
            readers: 2,
            cursor_age_max: None,
            on_panic: Arc::new(move |message| panics.send(message.to_owned()).expect("a place")),
            counters,
        });
        let running = running.expect("threads start");
        Self { log: running.log(), running: Some(running), recorder, directory, panicked }
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Submits, waiting for room as a shard does between its turns.
    pub(super) fn submit(&self, drafts: Vec<Draft>) {
        let shard = drafts[0].origin.session.shard();
        let mut submission = Submission { drafts };
        while let Err(refused) = self.log.try_submit(submission) {
            submission = refused;
            let room = &self.recorder.0[shard].room.1;
            room.recv_timeout(PATIENCE).expect("it is told when there is room");
        }
    }

    /// The next delivery for a shard, if one comes in time.
    pub(super) fn delivery(&self, shard: usize) -> Delivery {
        let mailbox = &self.recorder.0[shard];
        let delivery = mailbox.deliveries.1.recv_timeout(PATIENCE).expect("it comes");
        if mailbox.was_full.swap(false, Ordering::SeqCst) {
            self.log.wake();
        }
        delivery
    }

    pub(super) fn has_mail(&self, shard: usize) -> bool {
        !self.recorder.0[shard].deliveries.1.is_empty()
    }

    pub(super) fn read(&self, shard: usize, query: Query) -> Page {
        let read = Read { shard, ticket: 7, query };
        assert!(self.log.try_read(read).is_ok());
        let found = self.recorder.0[shard].found.1.recv_timeout(PATIENCE).expect("it is answered");
        assert_eq!(found.ticket, 7);
        let Ok(Finding::Page(page)) = found.result else { panic!("no page") };
        check(&page);
        page
    }

    /// Waits until something is so.
    pub(super) fn wait(&self, is_so: impl Fn(&Log) -> bool) {
        let start = Instant::now();
        while !is_so(&self.log) {
            assert!(start.elapsed() < PATIENCE, "it does not happen");
            std::thread::yield_now();
        }
    }

    /// Stops without waiting for mailboxes that are full.
    pub(super) fn abandon(&mut self) {
        let running = self.running.take().expect("it runs");
        assert!(running.stop(Instant::now()));
    }

    /// Stops; whether all is well.
    pub(super) fn stop(&mut self) -> bool {
        let running = self.running.take().expect("it runs");
        running.stop(Instant::now() + PATIENCE)
    }
}

/// What a shard has seen so far: messages by view, and answers.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) messages: HashMap<View, Vec<Value>>,
    positions: HashMap<View, Seq>,
    pub(super) answers: Vec<Answer>,
    pub(super) notices: usize,
    pub(super) parts: usize,
}

impl Seen {
    /// Takes a delivery as a shard does: parts as they come, notices by reading.
    pub(super) fn take(&mut self, world: &World, shard: usize, delivery: Delivery) {
        let Delivery { answers, bytes, parts, notices } = delivery;
        self.answers.extend(answers);
        self.parts += parts.len();
        self.notices += notices.len();
        let mut frames = bytes.as_slice();
        let mut start = 0;
        for part in parts {
            let (own, rest) = frames.split_at(part.end - start);
            let own = split(own);
            assert_eq!(own.len(), part.frames as usize);
            let position = *self.positions.entry(part.view.clone()).or_default();
            assert!(part.after <= position, "a hole: {position} and then {part:?}");
            assert_eq!(own.last().and_then(|message| message["seq"].as_u64()), Some(part.last));
            let is_new = |message: &Value| message["seq"].as_u64() > Some(position);
            self.add(&part.view, own.into_iter().filter(is_new));
            (frames, start) = (rest, part.end);
        }
        assert!(frames.is_empty());
        for notice in notices {
            let position = self.positions.get(&notice.view).copied().unwrap_or_default();
            assert!(notice.after <= position, "a hole: {position} and then {notice:?}");
            while self.positions.get(&notice.view).copied().unwrap_or_default() < notice.last {
                let position = self.positions.get(&notice.view).copied().unwrap_or_default();
                let page = world.read(shard, after(&notice.view, position));
                assert_eq!(page.gap, None);
                self.add(&notice.view, messages(&page));
            }
        }
    }

    /// Takes a delivery's messages, whatever they are linked to.
    pub(super) fn take_any(&mut self, delivery: Delivery) {
        assert_eq!(delivery.notices, [], "the mailbox was never full");
        let mut start = 0;
        for part in delivery.parts {
            let messages = split(&delivery.bytes[start..part.end]);
            self.messages.entry(part.view).or_default().extend(messages);
            start = part.end;
        }
        self.answers.extend(delivery.answers);
    }

    fn add(&mut self, view: &View, messages: impl IntoIterator<Item = Value>) {
        for message in messages {
            let position = self.positions.entry(view.clone()).or_default();
            assert_eq!(message["prev"].as_u64(), Some(*position), "one after the other");
            *position = message["seq"].as_u64().expect("a position");
            self.messages.entry(view.clone()).or_default().push(message);
        }
    }
}

/// The messages of frames that lie end to end.
fn split(mut frames: &[u8]) -> Vec<Value> {
    let mut all = Vec::new();
    while !frames.is_empty() {
        let (frame, rest) = frames.split_at(frame_len(frames));
        assert_eq!(frame[0], 0x81, "a whole text frame");
        let head = match frame[1] {
            127 => 10,
            126 => 4,
            _ => 2,
        };
        all.push(serde_json::from_slice(&frame[head..]).expect("JSON"));
        frames = rest;
    }
    all
}
