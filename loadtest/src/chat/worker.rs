//! A thread that drives its share of the sessions: one poller, plain `&mut self`, nothing that blocks.
//!
//! A turn: poll; read each ready session and hear what came; take what is in the inbox; do what is due, of storms,
//! returns and messages; see whether the phase is over. What a session hears is in `hearing`, the end of a run in
//! `closing`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::{Events, Interest, Poll, Token};
use tokio::sync::mpsc;

use super::board::Board;
use super::closing::Phase;
use super::dialling::Wish;
use super::hearing::Reply;
use super::log::Log;
use super::outbound::Outbound;
use super::plan::Plan;
use super::session::{Session, State};
use crate::client::connection::{Chunk, Connection, Ending};
use crate::clock::{Clock, nanos};
use crate::worker::alarm::Alarm;
use crate::worker::starved_ns;
use crate::worker::timetable::Times;

/// Full buffers that one session may bring before others have their turn.
const READS_PER_TURN: usize = 4;

pub(super) const WAKE: Token = Token(usize::MAX);
pub(super) const ALARM: Token = Token(usize::MAX - 1);

/// What a thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// The sessions that are there from the start are to come.
    Gather,
    /// A session has been connected.
    Adopt { session: usize, connection: Connection },
    /// A session could not be connected.
    Fail { session: usize, why: String },
    /// Everyone is there: send.
    Start(Schedule),
    /// Everyone is to leave; then the thread ends.
    Leave,
}

/// When what happens, in nanoseconds of the run's clock.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) times: Times,
    pub(super) storms: Arc<[u64]>,
    /// How long a storm keeps sessions away.
    pub(super) away_ns: u64,
}

pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) board: Arc<Board>,
    pub(super) clock: Clock,
    pub(super) poll: Poll,
    pub(super) inbox: Receiver<Command>,
    pub(super) wishes: mpsc::Sender<Wish>,
    /// Where to say that all that was sent has arrived, or will not.
    pub(super) settled: SyncSender<usize>,
    pub(super) alarm: Alarm,
    pub(super) buffer: Vec<u8>,
    /// The longest message that is taken from the server.
    pub(super) message_bytes_max: usize,
    /// Those of this thread, in the order of their numbers.
    pub(super) sessions: Vec<Session>,
    /// Sessions that have more to read than their share of a turn.
    pub(super) again: Vec<usize>,
    pub(super) outbound: Outbound,
    /// Storms that have passed.
    pub(super) storms_passed: usize,
    /// When which session is to come or come back.
    pub(super) returns: BinaryHeap<Reverse<(u64, usize)>>,
    pub(super) schedule: Schedule,
    pub(super) phase: Phase,
    /// How long the drain waits for anything to happen before it gives up.
    pub(super) patience_ns: u64,
    /// Whatever came, so that the drain sees that something does.
    pub(super) arrivals: u64,
    /// What is to be done behind what the session that is being read has heard.
    pub(super) replies: Vec<Reply>,
    pub(super) log: Log,
}

impl Worker {
    /// Drives the sessions until told to leave.
    pub(super) fn run(mut self) -> io::Result<Log> {
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            self.wait(&mut events)?;
            for event in &events {
                match event.token() {
                    WAKE => {}
                    ALARM => self.alarm.rang(),
                    Token(at) => self.handle_readiness(at, event),
                }
            }
            for at in std::mem::take(&mut self.again) {
                self.read(at);
            }
            while let Ok(command) = self.inbox.try_recv() {
                self.take_command(command)?;
            }
            let now = self.clock.now_ns();
            self.storm(now);
            self.send_for_returns(now);
            self.outbound.send_due(now, &mut self.sessions, &mut self.log.sent);
            self.step(now);
            let heard = &self.log.heard;
            let deliveries = heard.delivered + heard.by_late;
            self.board.set_progress(self.index, self.log.acks.count, deliveries);
        }
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        self.log.cpu_ns = Duration::try_from(cpu).map_or(0, nanos);
        self.log.starved_ns = starved_ns();
        Ok(self.log)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = self.clock.now_ns();
        let timeout = if self.again.is_empty() {
            let deadlines = [
                self.outbound.next_ns(),
                self.next_storm_ns(),
                self.returns.peek().map(|Reverse((at, _))| *at),
                self.next_step_ns(),
            ];
            self.alarm.timeout(deadlines.into_iter().flatten().min(), now)?
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    fn take_command(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Gather => {
                for at in 0..self.sessions.len() {
                    if !self.sessions[at].is_late(&self.plan) {
                        self.wish(at);
                    }
                }
            }
            Command::Adopt { session, connection } => self.adopt(session, connection)?,
            Command::Fail { session, why } => {
                let at = session / self.plan.workers;
                self.lose(at, format!("not connected: {why}"));
            }
            Command::Start(schedule) => self.start(schedule),
            Command::Leave => self.leave_all(),
        }
        Ok(())
    }

    fn start(&mut self, schedule: Schedule) {
        let times = schedule.times;
        self.outbound.start(times, &self.sessions);
        let late = (self.plan.sessions.len() - self.plan.on_time).max(1) as u64;
        let each_ns = (times.stop_ns - times.start_ns) / late;
        for (at, session) in self.sessions.iter().enumerate() {
            if session.is_late(&self.plan) {
                let nth = (session.number - self.plan.on_time) as u64;
                self.returns.push(Reverse((times.start_ns + each_ns * nth, at)));
            }
        }
        self.schedule = schedule;
        self.phase = Phase::Running;
    }

    /// Asks for a connection.
    fn wish(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.state = State::Dialling;
        let gathering = matches!(self.phase, Phase::Gathering);
        let wish = Wish { session: session.number, gathering };
        // There is room for one wish of each session.
        if self.wishes.try_send(wish).is_err() {
            self.lose(at, "nobody dials any more".to_owned());
        }
    }

    fn adopt(&mut self, number: usize, mut connection: Connection) -> io::Result<()> {
        let at = number / self.plan.workers;
        let leaving = matches!(self.phase, Phase::Leaving { .. });
        if leaving || self.sessions[at].state != State::Dialling {
            return Ok(());
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.stream(), Token(at), interest)?;
        self.sessions[at].greet(connection);
        Ok(())
    }

    fn handle_readiness(&mut self, at: usize, event: &Readiness) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let Some(wire) = &mut session.wire else { return };
        session.hung_up |= event.is_read_closed() || event.is_error();
        if event.is_writable() {
            // A failed write shows as an error event too, and is counted when the read fails.
            let _ = wire.flush();
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(at);
        }
    }

    fn read(&mut self, at: usize) {
        for _ in 0..READS_PER_TURN {
            // Out of the session while it is read, so that what is heard can be acted on.
            let Some(mut wire) = self.sessions[at].wire.take() else { return };
            let mut buffer = std::mem::take(&mut self.buffer);
            let chunk = wire.read(&mut buffer);
            let (taken, more) = match chunk {
                Chunk::Bytes { length, more } => {
                    self.log.reads += 1;
                    let now = self.clock.now_ns();
                    let limit = self.message_bytes_max;
                    let taken = wire.take_messages(&buffer[..length], limit, |opcode, text| {
                        self.hear(at, opcode, text, now);
                    });
                    (taken, more || self.sessions[at].hung_up)
                }
                Chunk::Nothing => (Ok(()), false),
                Chunk::End(ending) => (Err(ending), false),
            };
            self.buffer = buffer;
            self.sessions[at].wire = Some(wire);
            match taken {
                Ok(()) => self.respond(at),
                Err(ending) => return self.end(at, &ending),
            }
            if !more {
                return;
            }
        }
        self.again.push(at);
    }

    /// A connection is over, whoever ended it.
    fn end(&mut self, at: usize, ending: &Ending) {
        let session = &mut self.sessions[at];
        if let Some(mut wire) = session.disconnect() {
            // The answer to a Close, as far as the socket takes it.
            let _ = wire.flush();
        }
        if session.state == State::Leaving {
            session.state = State::Absent;
        } else {
            self.lose(at, ending.label());
        }
    }

    /// A session is gone for the rest of the run.
    pub(super) fn lose(&mut self, at: usize, reason: String) {
        let session = &mut self.sessions[at];
        session.disconnect();
        session.state = State::Lost;
        self.board.first_loss.get_or_init(|| reason.clone());
        *self.log.endings.entry(reason).or_default() += 1;
    }

    fn next_storm_ns(&self) -> Option<u64> {
        self.schedule.storms.get(self.storms_passed).copied()
    }

    /// Cuts off whom a storm hits: no Close, whatever is under way.
    fn storm(&mut self, now: u64) {
        while self.next_storm_ns().is_some_and(|at| at <= now) {
            let storm = self.storms_passed;
            self.storms_passed += 1;
            for (at, session) in self.sessions.iter_mut().enumerate() {
                let is_in = session.state == State::In && session.cut_ns.is_none();
                if is_in && self.plan.is_hit(storm, session.number) {
                    drop(session.disconnect());
                    session.state = State::Absent;
                    session.cut_ns = Some(now);
                    self.log.cut += 1;
                    self.returns.push(Reverse((now + self.schedule.away_ns, at)));
                }
            }
        }
    }

    /// Lets those come whose time it is.
    fn send_for_returns(&mut self, now: u64) {
        while let Some(Reverse((due, at))) = self.returns.peek().copied()
            && due <= now
        {
            self.returns.pop();
            if self.sessions[at].state == State::Absent {
                self.wish(at);
            }
        }
    }
}
