//! What one thread has seen in the whole run.

use std::collections::BTreeMap;

use super::audit::Faults;
use crate::latency::Latency;

#[derive(Debug)]
pub(super) struct Log {
    pub(super) faults: Faults,
    /// Errors that the server answered with, by code.
    pub(super) errors: BTreeMap<String, u64>,
    /// Connections that ended without being asked to, by reason.
    pub(super) endings: BTreeMap<String, u64>,
    pub(super) sent: Sent,
    pub(super) acks: Acks,
    pub(super) heard: Heard,
    /// From a join to its answer.
    pub(super) joins: Latency,
    /// Sessions that storms cut off.
    pub(super) cut: u64,
    /// From the cut to when all rooms were caught up with.
    pub(super) resumes: Latency,
    /// The records of the sessions that were there from the start to the end.
    pub(super) records: Vec<Record>,
    pub(super) cpu_ns: u64,
    pub(super) starved_ns: Option<u64>,
    pub(super) reads: u64,
}

/// What was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) messages: u64,
    /// Messages of the timetable that were not: the sender was cut off, the server read no more, or this thread was too
    /// late.
    pub(super) withheld: u64,
    /// Sent once more, because the connection was cut before they were acknowledged.
    pub(super) again: u64,
    /// How long after it was due a message was composed.
    pub(super) lag: Latency,
}

/// What was acknowledged.
#[derive(Debug)]
pub(super) struct Acks {
    pub(super) count: u64,
    /// Those that promise that the message survives the server.
    pub(super) stored: u64,
    /// Those that came between warm-up and stop.
    pub(super) measured: u64,
    /// From when a message was due to its ack, for each message due after the warm-up and sent once.
    pub(super) latency: Latency,
}

/// What was received for the first time.
#[derive(Debug)]
pub(super) struct Heard {
    /// By the sessions that were there from the start.
    pub(super) delivered: u64,
    /// Those between warm-up and stop.
    pub(super) measured: u64,
    /// Those that came behind the answer to a resume.
    pub(super) replayed: u64,
    /// By the sessions that came while others sent, history included.
    pub(super) by_late: u64,
    /// From when a message was due to its arrival at a session that was there, for each message due after the warm-up.
    pub(super) latency: Latency,
    /// What the sessions that are there at the end were to receive, and have.
    pub(super) expected: u64,
    pub(super) received: u64,
}

/// What one session received of one room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) room: u32,
    pub(super) count: u64,
    pub(super) digest: u64,
    /// Whether nothing was missing, twice or out of order.
    pub(super) sound: bool,
}

impl Log {
    /// Before the first message.
    pub(super) fn nothing() -> Self {
        Self {
            faults: Faults::default(),
            errors: BTreeMap::new(),
            endings: BTreeMap::new(),
            sent: Sent { messages: 0, withheld: 0, again: 0, lag: Latency::new() },
            acks: Acks { count: 0, stored: 0, measured: 0, latency: Latency::new() },
            heard: Heard {
                delivered: 0,
                measured: 0,
                replayed: 0,
                by_late: 0,
                latency: Latency::new(),
                expected: 0,
                received: 0,
            },
            joins: Latency::new(),
            cut: 0,
            resumes: Latency::new(),
            records: Vec::new(),
            cpu_ns: 0,
            starved_ns: None,
            reads: 0,
        }
    }

    /// Takes in what another thread saw.
    pub(super) fn add(&mut self, other: Self) {
        self.faults.add(&other.faults);
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
        for (reason, count) in other.endings {
            *self.endings.entry(reason).or_default() += count;
        }
        self.sent.messages += other.sent.messages;
        self.sent.withheld += other.sent.withheld;
        self.sent.again += other.sent.again;
        self.sent.lag.add(&other.sent.lag);
        self.acks.count += other.acks.count;
        self.acks.stored += other.acks.stored;
        self.acks.measured += other.acks.measured;
        self.acks.latency.add(&other.acks.latency);
        self.heard.add(&other.heard);
        self.joins.add(&other.joins);
        self.cut += other.cut;
        self.resumes.add(&other.resumes);
        self.records.extend(other.records);
        self.cpu_ns += other.cpu_ns;
        self.starved_ns = self.starved_ns.zip(other.starved_ns).map(|(one, other)| one + other);
        self.reads += other.reads;
    }
}

impl Heard {
    fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.measured += other.measured;
        self.replayed += other.replayed;
        self.by_late += other.by_late;
        self.latency.add(&other.latency);
        self.expected += other.expected;
        self.received += other.received;
    }
}
