//! All threads of a run, from outside: started, told what to do, waited for.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mio::{Poll, Waker};
use slab::Slab;

use super::alarm::Alarm;
use super::auditor::Auditor;
use super::board::Board;
use super::farewells::Farewells;
use super::outbound::Outbound;
use super::phase::Phase;
use super::timetable::Times;
use super::{ALARM, Adoption, Command, Log, READ_BYTES, WAKE, Worker};
use crate::clock::{Clock, nanos};
use crate::plan::{Plan, Seat};

/// Commands that a thread has not taken yet; whoever dials waits when it is full.
const INBOX_MAX: usize = 1024;

/// How often the main thread looks up while it waits.
const LOOK: Duration = Duration::from_millis(100);

/// The threads of a run.
#[derive(Debug)]
pub(crate) struct Crew {
    plan: Arc<Plan>,
    board: Arc<Board>,
    inboxes: Vec<SyncSender<Command>>,
    settled: Receiver<usize>,
    threads: Vec<JoinHandle<io::Result<Log>>>,
}

/// Hands connections to the threads; each thread that dials has one.
#[derive(Clone, Debug)]
pub(crate) struct Doorman {
    plan: Arc<Plan>,
    board: Arc<Board>,
    inboxes: Vec<SyncSender<Command>>,
}

impl Crew {
    /// Starts the threads of that plan. `patience` is how long the drain waits for the next message.
    pub(crate) fn start_threads(
        plan: &Arc<Plan>,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self> {
        let count = plan.workers();
        let polls = (0..count).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(|poll| Waker::new(poll.registry(), WAKE));
        let board = Arc::new(Board::new(plan, wakers.collect::<io::Result<_>>()?));
        let (settled_sender, settled) = sync_channel(count);
        let mut crew =
            Self { plan: plan.clone(), board, inboxes: Vec::new(), settled, threads: Vec::new() };
        for (index, poll) in polls.into_iter().enumerate() {
            let (sender, inbox) = sync_channel(INBOX_MAX);
            let (plan, board) = (plan.clone(), crew.board.clone());
            let worker = Worker {
                index,
                alarm: Alarm::new(poll.registry(), ALARM)?,
                auditor: Auditor::new(plan.clone(), board.clone(), index),
                outbound: Outbound::new(plan.clone(), board.clone(), index),
                buffer: vec![0; READ_BYTES + 2 * plan.codec.size()],
                plan,
                board,
                clock,
                poll,
                inbox,
                settled: settled_sender.clone(),
                sessions: Slab::new(),
                adopted: 0,
                again: Vec::new(),
                farewells: Farewells::default(),
                phase: Phase::Gathering,
                patience_ns: nanos(patience),
                endings: Default::default(),
                left: 0,
                reads: 0,
            };
            let thread = std::thread::Builder::new().name(format!("driver-{index}"));
            crew.threads.push(thread.spawn(|| worker.run()).context("cannot start a thread")?);
            crew.inboxes.push(sender);
        }
        Ok(crew)
    }

    /// What hands new connections to the threads.
    pub(crate) fn doorman(&self) -> Doorman {
        Doorman {
            plan: self.plan.clone(),
            board: self.board.clone(),
            inboxes: self.inboxes.clone(),
        }
    }

    /// Deliveries so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.board.delivered()
    }

    /// Tells everyone when to send.
    pub(crate) fn start(&self, times: Times) -> Result<()> {
        self.tell_all(|| Command::Start(times))
    }

    /// Waits until every thread has closed its ledgers, calling `look` every now and then.
    pub(crate) fn wait_until_settled(&self, mut look: impl FnMut()) -> Result<()> {
        let mut waiting = self.threads.len();
        while waiting > 0 {
            match self.settled.recv_timeout(LOOK) {
                Ok(_) => waiting -= 1,
                Err(RecvTimeoutError::Timeout) => self.check_alive()?,
                Err(RecvTimeoutError::Disconnected) => bail!("all generator threads have ended"),
            }
            look();
        }
        Ok(())
    }

    /// Waits that long while nothing is asked of the threads, calling `look` every now and then.
    pub(crate) fn hold(&self, duration: Duration, mut look: impl FnMut()) -> Result<()> {
        let end = std::time::Instant::now() + duration;
        while let Some(rest) = end.checked_duration_since(std::time::Instant::now()) {
            // Nobody settles before it is told to start: this is a sleep that ends when all threads do.
            if self.settled.recv_timeout(rest.min(LOOK)) == Err(RecvTimeoutError::Disconnected) {
                bail!("all generator threads have ended");
            }
            self.check_alive()?;
            look();
        }
        Ok(())
    }

    /// Lets everyone leave and gives what each thread has seen.
    pub(crate) fn leave(self) -> Result<Vec<Log>> {
        self.tell_all(|| Command::Leave)?;
        let ended = self.threads.into_iter().map(|thread| match thread.join() {
            Ok(log) => log.context("a generator thread failed"),
            Err(_) => bail!("a generator thread panicked"),
        });
        ended.collect()
    }

    fn check_alive(&self) -> Result<()> {
        if self.threads.iter().any(JoinHandle::is_finished) {
            bail!("a generator thread has ended before its time");
        }
        Ok(())
    }

    fn tell_all(&self, command: impl Fn() -> Command) -> Result<()> {
        for (worker, inbox) in self.inboxes.iter().enumerate() {
            inbox.send(command()).ok().context("a generator thread has ended before its time")?;
            self.board.wake(worker);
        }
        Ok(())
    }
}

impl Doorman {
    /// Hands a member that stays to its thread, a visitor to any that drives its room; waits if the thread is behind.
    /// What belongs to a thread that has ended is dropped: the crew will say so.
    pub(crate) fn adopt(&self, index: usize, adoption: Adoption) {
        let worker = match adoption.seat.place {
            Seat::VISITOR => index % self.plan.main_workers,
            _ => self.plan.worker_of(adoption.seat),
        };
        if self.inboxes[worker].send(Command::Adopt(Box::new(adoption))).is_ok() {
            self.board.wake(worker);
        }
    }
}
