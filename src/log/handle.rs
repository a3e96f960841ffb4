//! What a shard holds of the log, and the start and the stop of what is behind it.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use crate::hub::shard_set::ShardSet;
use crate::log::counters::Counters;
use crate::log::engine::Rules;
use crate::log::order::{Order, Work};
use crate::log::outgoing::Outgoing;
use crate::log::readers::ReaderThread;
use crate::log::retention::Retention;
use crate::log::writer::{Clock, Engines, Writer};
use crate::log::{Outlet, Read, Submission};
use crate::panics;

/// Submissions that wait for the writer. A shard has one a turn, so that this is many turns.
const SUBMISSIONS_MAX: usize = 1024;

/// Removals that are on their way or wait.
const ORDERS_MAX: usize = 64;

/// Hears of a panic.
pub(crate) type OnPanic = Arc<dyn Fn(&str) + Send + Sync>;

/// What a log is started with.
pub(crate) struct Parts {
    pub(crate) engines: Engines,
    pub(crate) rules: Arc<Rules>,
    pub(crate) outlet: Arc<dyn Outlet>,
    pub(crate) clock: Clock,
    /// Drafts on the way: above this nothing is taken until some are answered. One submission may exceed it.
    pub(crate) drafts_max: usize,
    /// Queries that wait for a reader.
    pub(crate) reads_max: usize,
    /// Threads that read.
    pub(crate) readers: usize,
    /// Messages older than this are skipped for who resumes or catches up.
    pub(crate) cursor_age_max: Option<Duration>,
    /// Is told what a thread said that panicked.
    pub(crate) on_panic: OnPanic,
    /// What the engines count with as well.
    pub(crate) counters: Arc<Counters>,
}

/// A shard's end of the log. Nothing here waits.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

/// What the log's threads and its handles share.
pub(super) struct Shared {
    work: Sender<Work>,
    reads: Sender<Read>,
    wakes: Sender<()>,
    outlet: Arc<dyn Outlet>,
    drafts_max: usize,
    /// Drafts that were taken and whose answers no mailbox has yet.
    drafts: AtomicUsize,
    /// Removals that were taken and are not over.
    orders: AtomicUsize,
    /// Shards that were turned away with drafts, and with queries.
    submitting: ShardSet,
    asking: ShardSet,
    pub(super) counters: Arc<Counters>,
}

impl Log {
    /// Hands drafts over. They come back when too many are on the way already; then their shard is told when there is
    /// room. Each draft that was taken is answered, once.
    pub(crate) fn try_submit(&self, submission: Submission) -> Result<(), Submission> {
        let Some(draft) = submission.drafts.first() else { return Ok(()) };
        let shard = draft.origin.session.shard();
        let Err(submission) = self.0.submit(submission) else { return Ok(()) };
        self.0.submitting.insert(shard);
        // Again, because the writer may have made room before it could know that somebody waits.
        self.0.submit(submission).inspect_err(|_| self.0.counters.submissions_refused.add(1))
    }

    /// Asks. The query comes back when too many wait already; then its shard is told when there is room.
    pub(crate) fn try_read(&self, read: Read) -> Result<(), Read> {
        let shard = read.shard;
        let Err(read) = self.0.reads.try_send(read) else { return Ok(()) };
        self.0.asking.insert(shard);
        // Again, for the same reason.
        self.0.reads.try_send(read.into_inner()).map_err(|read| {
            self.0.counters.reads_refused.add(1);
            read.into_inner()
        })
    }

    /// Hands drafts over on behalf of nobody that a shard would have to tell when there is room: whoever is turned away
    /// tries again by itself.
    pub(crate) fn offer(&self, submission: Submission) -> Result<(), Submission> {
        self.0.submit(submission).inspect_err(|_| self.0.counters.submissions_refused.add(1))
    }

    /// Has something removed, behind everything that was handed over before. False if too much is on the way already.
    pub(super) fn order(&self, order: Order) -> bool {
        let shared = &self.0;
        let has_room = shared.orders.fetch_add(1, Ordering::SeqCst) < ORDERS_MAX;
        let is_taken = has_room && shared.work.try_send(Work::Order(order)).is_ok();
        if !is_taken {
            shared.ended();
            shared.counters.submissions_refused.add(1);
        }
        is_taken
    }

    /// Asks in the same way.
    pub(super) fn ask(&self, read: Read) -> Result<(), Read> {
        self.0.reads.try_send(read).map_err(|read| {
            self.0.counters.reads_refused.add(1);
            read.into_inner()
        })
    }

    /// Says that a mailbox that turned a delivery away has room again.
    pub(crate) fn wake(&self) {
        // Where a wake is on its way already it serves this mailbox, too.
        let _ = self.0.wakes.try_send(());
    }

    /// Drafts that were taken and whose answers no mailbox has yet.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.0.drafts.load(Ordering::Relaxed)
    }

    /// What the log counts.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }
}

impl Shared {
    fn submit(&self, submission: Submission) -> Result<(), Submission> {
        let drafts = submission.drafts.len();
        if self.drafts.fetch_add(drafts, Ordering::SeqCst) < self.drafts_max {
            let Err(error) = self.work.try_send(Work::Drafts(submission)) else { return Ok(()) };
            self.drafts.fetch_sub(drafts, Ordering::SeqCst);
            let drafts = match error.into_inner() {
                Work::Drafts(submission) => submission.drafts,
                Work::Order(_) => Vec::new(),
            };
            return Err(Submission { drafts });
        }
        self.drafts.fetch_sub(drafts, Ordering::SeqCst);
        Err(submission)
    }

    /// For the writer, when it has taken submissions and got rid of so many answers.
    pub(super) fn answered(&self, drafts: usize) {
        self.drafts.fetch_sub(drafts, Ordering::SeqCst);
        self.submitting.take().for_each(|shard| self.outlet.has_room(shard));
    }

    /// For the writer, when it is done with an order.
    pub(super) fn ended(&self) {
        self.orders.fetch_sub(1, Ordering::SeqCst);
    }

    /// For a reader, when it has taken a query.
    pub(super) fn taken(&self) {
        self.asking.take().for_each(|shard| self.outlet.has_room(shard));
    }
}

/// The log's threads.
pub(crate) struct Running {
    log: Log,
    stop_writer: Sender<Instant>,
    stop_readers: Sender<()>,
    /// Whether all went well.
    writer: JoinHandle<bool>,
    readers: Vec<JoinHandle<bool>>,
}

impl Running {
    /// Starts the writer's thread and those of the readers.
    pub(crate) fn start(parts: Parts) -> io::Result<Self> {
        let Parts { engines, rules, outlet, clock, drafts_max, reads_max, .. } = parts;
        let Parts { readers, cursor_age_max, counters, on_panic, .. } = parts;
        let (work, work_end) = bounded(SUBMISSIONS_MAX);
        let (reads, reads_end) = bounded(reads_max);
        let (wakes, wakes_end) = bounded(1);
        let (stop_writer, stop_writer_end) = bounded(1);
        let (stop_readers, stop_readers_end) = bounded(0);
        let shared = Arc::new(Shared {
            work,
            reads,
            wakes,
            outlet: outlet.clone(),
            drafts_max,
            drafts: AtomicUsize::new(0),
            orders: AtomicUsize::new(0),
            submitting: ShardSet::default(),
            asking: ShardSet::default(),
            counters: counters.clone(),
        });
        let reader = || ReaderThread {
            reads: reads_end.clone(),
            stop: stop_readers_end.clone(),
            durable: engines.durable.reader(),
            memory: engines.memory.reader(),
            rules: rules.clone(),
            clock: clock.clone(),
            cursor_age_max,
            outlet: outlet.clone(),
            shared: shared.clone(),
        };
        let readers: Vec<_> = (0..readers).map(|_| reader()).collect();
        let writer = Writer {
            work: work_end,
            wakes: wakes_end,
            stop: stop_writer_end,
            engines,
            rules,
            clock,
            outgoing: Outgoing::new(outlet, counters),
            retention: Retention::new(),
            underway: VecDeque::new(),
            shared: shared.clone(),
        };
        let stops = (stop_writer, stop_readers);
        Self::spawn(Log(shared), writer, readers, stops, &on_panic)
    }

    fn spawn(
        log: Log,
        writer: Writer,
        readers: Vec<ReaderThread>,
        (stop_writer, stop_readers): (Sender<Instant>, Sender<()>),
        on_panic: &OnPanic,
    ) -> io::Result<Self> {
        let name = |name: &str| thread::Builder::new().name(format!("uproar-log-{name}"));
        let readers = readers.into_iter().enumerate();
        let readers = readers
            .map(|(number, reader)| {
                name(&format!("reader-{number}")).spawn(watched(on_panic, || reader.run()))
            })
            .collect::<io::Result<_>>()?;
        let writer = name("writer").spawn(watched(on_panic, || writer.run()))?;
        Ok(Self { log, stop_writer, stop_readers, writer, readers })
    }

    /// What a shard is to hold.
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// Stores and answers what was submitted, answers what was asked, and ends the threads. Mailboxes that are full may
    /// take until `deadline` to fetch what is for them. False if a thread panicked.
    pub(crate) fn stop(self, deadline: Instant) -> bool {
        let Self { log: _, stop_writer, stop_readers, writer, readers } = self;
        // Readers first: the writer tidies up when nobody looks any more.
        drop(stop_readers);
        let mut is_well = true;
        for reader in readers {
            is_well &= reader.join().unwrap_or_default();
        }
        // A writer that is gone has stopped.
        let _ = stop_writer.send(deadline);
        is_well & writer.join().unwrap_or_default()
    }
}

/// A thread's work, whose panic is told. Whether it went well.
fn watched<W: FnOnce()>(on_panic: &OnPanic, work: W) -> impl FnOnce() -> bool + use<W> {
    let on_panic = on_panic.clone();
    move || {
        let ended = catch_unwind(AssertUnwindSafe(work));
        ended.inspect_err(|panic| on_panic(panics::message(&**panic))).is_ok()
    }
}
