//! All threads of a run, from outside: started, told what to do, waited for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Poll, Waker};
use tokio::sync::mpsc;

use super::board::Board;
use super::closing::Phase;
use super::dialling::{Dialling, Dials};
use super::log::Log;
use super::outbound::Outbound;
use super::plan::Plan;
use super::session::Session;
use super::worker::{ALARM, Command, Schedule, WAKE, Worker};
use crate::cli::ChatArguments;
use crate::client::dial::Dialer;
use crate::clock::{Clock, nanos};
use crate::worker::READ_BYTES;
use crate::worker::alarm::Alarm;
use crate::worker::timetable::Times;

/// How often the main thread looks up while it waits.
const LOOK: Duration = Duration::from_millis(50);

/// Beside one command for each session, those for all.
const COMMANDS_FOR_ALL: usize = 8;

/// What a message has besides its body: names, ids, positions. A room's name and a user's are 200 bytes each at most.
const MESSAGE_FRAME_BYTES_MAX: usize = 2_048;

/// A frame of up to this size is taken from a server whatever was sent.
const FRAME_BYTES_ALWAYS: usize = 1 << 20;

/// The threads of a run.
pub(super) struct Crew {
    pub(super) board: Arc<Board>,
    settled: Receiver<usize>,
    threads: Vec<JoinHandle<io::Result<Log>>>,
    diallers: Vec<JoinHandle<Result<Dials>>>,
}

impl Crew {
    /// Starts the threads of that plan.
    pub(super) fn start_threads(
        plan: &Arc<Plan>,
        dialer: &Arc<Dialer>,
        clock: Clock,
        arguments: &ChatArguments,
    ) -> Result<Self> {
        let (mut polls, mut inboxes, mut doors) = (Vec::new(), Vec::new(), Vec::new());
        for worker in 0..plan.workers {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let commands = plan.sessions_of(worker).count() + COMMANDS_FOR_ALL;
            let (door, inbox) = sync_channel(commands);
            polls.push(poll);
            inboxes.push(inbox);
            doors.push((door, waker));
        }
        let board = Arc::new(Board::new(plan.slots(), doors));
        let (settled_sender, settled) = sync_channel(plan.workers);
        let mut crew = Self { board, settled, threads: Vec::new(), diallers: Vec::new() };
        for (index, (poll, inbox)) in polls.into_iter().zip(inboxes).enumerate() {
            let sessions: Vec<_> =
                plan.sessions_of(index).map(|number| Session::new(plan, number)).collect();
            let (wishes, to_dial) = mpsc::channel(sessions.len().max(1));
            let dialling = Dialling {
                dialer: dialer.clone(),
                board: crew.board.clone(),
                worker: index,
                concurrency: (arguments.common.concurrency as usize).div_ceil(plan.workers),
            };
            crew.diallers.push(dialling.start_thread(to_dial)?);
            let message_bytes_max = frame_bytes_max(plan);
            let worker = Worker {
                index,
                alarm: Alarm::new(poll.registry(), ALARM)?,
                outbound: Outbound::new(plan.clone()),
                buffer: vec![0; READ_BYTES + 2 * message_bytes_max],
                message_bytes_max,
                plan: plan.clone(),
                board: crew.board.clone(),
                clock,
                poll,
                inbox,
                wishes,
                settled: settled_sender.clone(),
                sessions,
                again: Vec::new(),
                storms_passed: 0,
                returns: Default::default(),
                schedule: never(),
                phase: Phase::Gathering,
                // Whoever was cut off in the end is not back before that.
                patience_ns: nanos(arguments.drain + arguments.storm_away),
                arrivals: 0,
                replies: Vec::new(),
                log: Log::nothing(),
            };
            let thread = std::thread::Builder::new().name(format!("driver-{index}"));
            crew.threads.push(thread.spawn(|| worker.run()).context("cannot start a thread")?);
        }
        Ok(crew)
    }

    /// Brings in everyone who is there from the start, calling `look` with their number every now and then.
    pub(super) fn gather(
        &self,
        sessions: usize,
        patience: Duration,
        look: impl Fn(usize),
    ) -> Result<()> {
        self.tell_all(|| Command::Gather)?;
        let (mut entered, mut since) = (0, Instant::now());
        while entered < sessions {
            self.hold(LOOK.min(patience))?;
            if let Some(why) = self.board.first_loss.get() {
                bail!("only {entered} of {sessions} sessions are in their rooms: {why}");
            }
            let now = self.board.entered.load(Ordering::Relaxed);
            if now > entered {
                (entered, since) = (now, Instant::now());
            } else if since.elapsed() > 2 * patience {
                bail!("only {entered} of {sessions} sessions are in their rooms: no answer");
            }
            look(entered);
        }
        Ok(())
    }

    /// Tells everyone when to send, and when there are storms.
    pub(super) fn start(&self, schedule: &Schedule) -> Result<()> {
        self.tell_all(|| Command::Start(schedule.clone()))
    }

    /// Waits until every thread has closed its records, calling `look` every now and then.
    pub(super) fn wait_until_settled(&self, mut look: impl FnMut()) -> Result<()> {
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

    /// Waits that long while nothing is asked of the threads.
    pub(super) fn hold(&self, duration: Duration) -> Result<()> {
        // Nobody settles before it is told to start: this is a sleep that ends when all threads do.
        if self.settled.recv_timeout(duration) == Err(RecvTimeoutError::Disconnected) {
            bail!("all generator threads have ended");
        }
        self.check_alive()
    }

    /// Lets everyone leave and gives what all threads have seen.
    pub(super) fn leave(self) -> Result<(Log, Dials)> {
        self.tell_all(|| Command::Leave)?;
        let mut all = Log::nothing();
        all.starved_ns = Some(0);
        for thread in self.threads {
            let log = thread.join().ok().context("a generator thread panicked")?;
            all.add(log.context("a generator thread failed")?);
        }
        let mut dials: Option<Dials> = None;
        for dialler in self.diallers {
            let of_one = dialler.join().ok().context("a thread that dials panicked")??;
            match &mut dials {
                Some(all) => {
                    all.first.add(of_one.first);
                    all.later.add(of_one.later);
                }
                none => *none = Some(of_one),
            }
        }
        Ok((all, dials.context("there is at least one thread")?))
    }

    fn check_alive(&self) -> Result<()> {
        if self.threads.iter().any(JoinHandle::is_finished) {
            bail!("a generator thread has ended before its time");
        }
        Ok(())
    }

    fn tell_all(&self, command: impl Fn() -> Command) -> Result<()> {
        for worker in 0..self.threads.len() {
            if !self.board.tell(worker, command()) {
                bail!("a generator thread has ended before its time");
            }
        }
        Ok(())
    }
}

/// A page of history is the longest frame.
fn frame_bytes_max(plan: &Plan) -> usize {
    let message = plan.codec.size() + MESSAGE_FRAME_BYTES_MAX;
    (message * (plan.history as usize + 1)).max(FRAME_BYTES_ALWAYS)
}

/// Before the schedule is known nothing is due.
fn never() -> Schedule {
    let times = Times { start_ns: u64::MAX, measure_ns: u64::MAX, stop_ns: u64::MAX };
    Schedule { times, storms: Arc::default(), away_ns: 0 }
}
