//! A thread that drives its share of the connections: one poller, plain `&mut self`, nothing that blocks.
//!
//! A turn: poll; for each ready session read into the thread's one buffer and hear its messages; take what is in the
//! inbox; send what is due; see whether the phase is over. Sending is looked at after each session that was read, so
//! that a burst of arrivals does not delay what is due. [`crew`] starts the threads and speaks to them.

pub(crate) mod alarm;
pub(crate) mod auditor;
mod board;
pub(crate) mod crew;
pub(crate) mod farewells;
pub(crate) mod outbound;
mod phase;
mod session;
pub(crate) mod timetable;
mod window;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use self::alarm::Alarm;
use self::auditor::{Auditor, Heard};
use self::board::Board;
use self::farewells::Farewells;
use self::outbound::{Outbound, Sent};
use self::phase::Phase;
use self::session::{Member, Session};
use self::timetable::Times;
use crate::client::connection::{Chunk, Connection, Ending};
use crate::clock::{Clock, nanos};
use crate::plan::{Plan, Seat};

/// Room for reads in the shared buffer, beside the beginning of one message: so many frames cost one call.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// A message of up to this size is taken from a server whatever size was sent: it is foreign, not a violation.
const MESSAGE_BYTES_ALWAYS: usize = 64 << 10;

/// Full buffers that one session may bring before others have their turn.
const READS_PER_TURN: usize = 4;

/// Messages that may go out between two reads, and at the end of a turn. A thread that cannot keep up is late with
/// both: were it to send whatever is due first, it would stop reading, and its own backlog would pass for the
/// server's latency.
const SENDS_PER_READ: usize = 4;
const SENDS_PER_TURN: usize = 256;

/// What a thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new member has been connected.
    Adopt(Box<Adoption>),
    /// Everyone is there: send.
    Start(Times),
    /// Everyone is to leave; then the thread ends.
    Leave,
}

/// A connection and what it is for.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) connection: Connection,
    pub(crate) seat: Seat,
    /// When a visitor leaves, in nanoseconds of the run's clock.
    pub(crate) leave_ns: Option<u64>,
}

/// What a thread has seen in the whole run.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) heard: Heard,
    pub(crate) sent: Sent,
    /// Connections that ended without being asked to, by reason.
    pub(crate) endings: BTreeMap<String, u64>,
    /// Visitors that left in order.
    pub(crate) left: u64,
    /// CPU time of the thread in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// How long it could have run but had no core, where the system tells.
    pub(crate) starved_ns: Option<u64>,
    /// Calls of `recv` that brought bytes.
    pub(crate) reads: u64,
}

/// One thread of the load generator.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    plan: Arc<Plan>,
    board: Arc<Board>,
    clock: Clock,
    poll: Poll,
    inbox: Receiver<Command>,
    /// Where to say that all that was sent has arrived, or will not.
    settled: SyncSender<usize>,
    alarm: Alarm,
    buffer: Vec<u8>,
    sessions: Slab<Session>,
    /// Sessions adopted so far.
    adopted: u64,
    /// Sessions that have more to read than their share of a turn.
    again: Vec<usize>,
    auditor: Auditor,
    outbound: Outbound,
    farewells: Farewells,
    phase: Phase,
    /// How long the drain waits for the next message before it gives up.
    patience_ns: u64,
    endings: BTreeMap<String, u64>,
    left: u64,
    reads: u64,
}

const WAKE: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

impl Worker {
    /// Drives the connections until told to leave.
    pub(crate) fn run(mut self) -> io::Result<Log> {
        let mut events = Events::with_capacity(1024);
        while !self.is_done() {
            self.wait(&mut events)?;
            for event in &events {
                match event.token() {
                    WAKE => {}
                    ALARM => self.alarm.rang(),
                    Token(key) => self.handle_readiness(key, event),
                }
            }
            for key in std::mem::take(&mut self.again) {
                self.read(key);
            }
            self.take_commands()?;
            let now = self.clock.now_ns();
            self.send(now);
            self.say_goodbyes(now);
            self.step(now);
            self.board.set_delivered(self.index, self.auditor.heard.delivered);
        }
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Ok(Log {
            heard: self.auditor.heard,
            sent: self.outbound.sent,
            endings: self.endings,
            left: self.left,
            cpu_ns: Duration::try_from(cpu).map_or(0, nanos),
            starved_ns: starved_ns(),
            reads: self.reads,
        })
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        self.board.fall_asleep(self.index);
        // Another thread may have moved the window just before it could see that this one sleeps.
        let now = self.clock.now_ns();
        self.outbound.send_allowed(now, &mut self.sessions);
        let timeout = if self.again.is_empty() {
            let deadlines =
                [self.outbound.next_due_ns(), self.farewells.next_ns(), self.phase.next_ns()];
            self.alarm.timeout(deadlines.into_iter().flatten().min(), now)?
        } else {
            Some(Duration::ZERO)
        };
        let polled = self.poll.poll(events, timeout);
        self.board.stay_awake(self.index);
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    fn take_commands(&mut self) -> io::Result<()> {
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Adopt(adoption) => self.adopt(*adoption)?,
                Command::Start(times) => {
                    self.auditor.start(times);
                    self.outbound.start(times, &mut self.sessions);
                    self.phase = Phase::Running(times);
                }
                Command::Leave => self.leave_all(),
            }
        }
        Ok(())
    }

    fn adopt(&mut self, adoption: Adoption) -> io::Result<()> {
        let Adoption { connection, seat, leave_ns } = adoption;
        let (now, limit) = (self.clock.now_ns(), self.message_bytes_max());
        let sends = seat.place < self.plan.room(seat).senders;
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let session = entry.insert(Session {
            wire: connection,
            member: Member::new(&self.plan, seat),
            id: self.adopted,
            leaving: false,
            hung_up: false,
            sender: sends.then(|| self.outbound.seat(seat, key)),
        });
        self.adopted += 1;
        if let Some(at) = leave_ns {
            self.farewells.plan(at, key, session.id);
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(session.wire.stream(), Token(key), interest)?;
        let Session { wire, member, .. } = session;
        let heard = wire.take_early(limit, |opcode, payload| {
            self.auditor.hear(member, opcode, payload, now);
        });
        if let Err(ending) = heard {
            self.end(key, &ending);
        }
        Ok(())
    }

    fn handle_readiness(&mut self, key: usize, event: &Readiness) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.hung_up |= event.is_read_closed() || event.is_error();
        if event.is_writable() {
            // A failed write shows as an error event too, and is counted when the read fails.
            let _ = session.wire.flush();
            if let Some(index) = session.sender {
                let now = self.clock.now_ns();
                self.outbound.send_from(index, now, &mut self.sessions);
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(key);
        }
    }

    fn read(&mut self, key: usize) {
        let limit = self.message_bytes_max();
        for _ in 0..READS_PER_TURN {
            let Some(session) = self.sessions.get_mut(key) else { return };
            let (length, more) = match session.wire.read(&mut self.buffer) {
                Chunk::Bytes { length, more } => (length, more || session.hung_up),
                Chunk::Nothing => return,
                Chunk::End(ending) => return self.end(key, &ending),
            };
            self.reads += 1;
            let now = self.clock.now_ns();
            let Session { wire, member, .. } = session;
            let auditor = &mut self.auditor;
            let heard = wire.take_messages(&self.buffer[..length], limit, |opcode, payload| {
                auditor.hear(member, opcode, payload, now);
            });
            // Pongs; a failure shows at the next read.
            let _ = wire.flush();
            if let Err(ending) = heard {
                return self.end(key, &ending);
            }
            self.outbound.send_due(now, SENDS_PER_READ, &mut self.sessions);
            if !more {
                return;
            }
        }
        self.again.push(key);
    }

    /// Sends what is due or allowed, and tells other threads that their senders may be free.
    fn send(&mut self, now: u64) {
        self.outbound.send_due(now, SENDS_PER_TURN, &mut self.sessions);
        if self.auditor.take_moved() {
            self.outbound.send_allowed(now, &mut self.sessions);
            self.board.wake_others(self.index);
        }
    }

    /// The longest message that is taken from the server.
    fn message_bytes_max(&self) -> usize {
        self.plan.codec.size().max(MESSAGE_BYTES_ALWAYS)
    }

    /// A connection is over, whoever ended it.
    fn end(&mut self, key: usize, ending: &Ending) {
        let mut session = self.sessions.remove(key);
        // The answer to a Close, as far as the socket takes it.
        let _ = session.wire.flush();
        // Closing the socket takes it out of the poller as well.
        let _ = self.poll.registry().deregister(session.wire.stream());
        if session.leaving && *ending != Ending::Unanswered {
            self.left += u64::from(session.member.is_visitor());
        } else {
            *self.endings.entry(ending.label()).or_default() += 1;
        }
        if !self.phase.is_over() {
            self.auditor.retire(&session.member);
            if let Some(index) = session.sender {
                self.outbound.dismiss(index);
            }
        }
    }
}

/// The second figure of the thread's `schedstat`.
pub(crate) fn starved_ns() -> Option<u64> {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    figures.split_whitespace().nth(1)?.parse().ok()
}
