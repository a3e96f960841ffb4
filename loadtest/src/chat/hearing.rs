//! What a session hears and what it does about it.

use std::sync::atomic::Ordering;

use fastwebsockets::OpCode;

use super::client_id::ClientId;
use super::session::State;
use super::wire::{Ack, Incoming, Joined, Message, Refusal, Request};
use super::worker::Worker;

impl Worker {
    /// Hears one message. The session's connection is not at hand while it does.
    pub(super) fn hear(&mut self, at: usize, opcode: OpCode, text: &[u8], now: u64) {
        self.arrivals += 1;
        match Incoming::parse(text).filter(|_| opcode == OpCode::Text) {
            Some(Incoming::Message(message)) => self.hear_message(at, &message, now),
            Some(Incoming::Ack(ack)) => self.hear_ack(at, &ack, now),
            Some(Incoming::Joined(joined)) => self.hear_joined(at, &joined, now),
            Some(Incoming::Error(refusal)) => self.hear_refusal(at, &refusal),
            Some(Incoming::Welcome(welcome)) => {
                let reply = if self.sessions[at].is_still(&welcome.user) {
                    Reply::Join(welcome.guest.into_owned())
                } else {
                    Reply::GiveUp("came back as somebody else".to_owned())
                };
                self.replies.push(reply);
            }
            Some(Incoming::Gap) => self.log.faults.gaps += 1,
            Some(Incoming::Ping) => self.replies.push(Reply::Pong),
            Some(Incoming::Aside) => {}
            None => self.log.faults.foreign += 1,
        }
    }

    fn hear_message(&mut self, at: usize, message: &Message<'_>, now: u64) {
        let Self { plan, log, .. } = self;
        let session = &mut self.sessions[at];
        let late = session.is_late(plan);
        let Some(seat) = session.seat_in(plan, &message.room).filter(|seat| seat.joined) else {
            return log.faults.foreign += 1;
        };
        let Some(arrived) = seat.hear(plan, message, &mut log.faults) else { return };
        let is_own = plan.room(seat.room).senders.get(arrived.header.sender as usize)
            == Some(&session.number);
        if let Some(sender) = session.sender.as_mut().filter(|_| is_own)
            && !sender.take_own(arrived.id, message.seq)
        {
            log.faults.misacked += 1;
        }
        if late {
            return log.heard.by_late += 1;
        }
        let times = &self.schedule.times;
        log.heard.delivered += 1;
        log.heard.measured += u64::from(now >= times.measure_ns && now < times.stop_ns);
        if !arrived.live {
            log.heard.replayed += 1;
        } else if arrived.header.due_ns >= times.measure_ns {
            log.heard.latency.record(now.saturating_sub(arrived.header.due_ns));
        }
    }

    fn hear_ack(&mut self, at: usize, ack: &Ack<'_>, now: u64) {
        let log = &mut self.log;
        let sender = self.sessions[at].sender.as_mut();
        let acked = sender
            .zip(ClientId::parse(&ack.client_id))
            .and_then(|(sender, id)| sender.take_ack(id, ack.seq));
        let Some(acked) = acked else { return log.faults.misacked += 1 };
        let times = &self.schedule.times;
        log.acks.count += 1;
        log.acks.stored += u64::from(ack.stored);
        log.acks.measured += u64::from(now >= times.measure_ns && now < times.stop_ns);
        if !acked.again && acked.due_ns >= times.measure_ns {
            log.acks.latency.record(now.saturating_sub(acked.due_ns));
        }
    }

    fn hear_joined(&mut self, at: usize, joined: &Joined<'_>, now: u64) {
        let Self { plan, log, .. } = self;
        let session = &mut self.sessions[at];
        let late = session.is_late(plan);
        let asked = session.joins.pop_front();
        let seat = session.seat_in(plan, &joined.room).filter(|seat| !seat.joined);
        let (Some(seat), Some(asked)) = (seat, asked) else { return log.faults.foreign += 1 };
        let before = seat.count;
        seat.take_joined(plan, joined, &mut log.faults);
        if late {
            log.heard.by_late += seat.count - before;
        }
        log.joins.record(now - asked);
        if session.joins.is_empty() && session.state == State::Joining {
            session.state = State::In;
            self.replies.push(Reply::Resume);
        }
    }

    fn hear_refusal(&mut self, at: usize, refusal: &Refusal<'_>) {
        *self.log.errors.entry(refusal.code.to_string()).or_default() += 1;
        let session = &mut self.sessions[at];
        let id = refusal.client_id.as_deref().and_then(ClientId::parse);
        let known = id.zip(session.sender.as_mut()).map(|(id, sender)| sender.take_refusal(id));
        match known {
            Some(true) => {}
            Some(false) => self.log.faults.foreign += 1,
            // It never gets in.
            None if matches!(session.state, State::Greeting | State::Joining) => {
                self.replies.push(Reply::GiveUp(format!("answered {}", refusal.code)));
            }
            None => {}
        }
    }

    /// Does what follows from what was heard, now that the session has its connection back.
    pub(super) fn respond(&mut self, at: usize) {
        let now = self.clock.now_ns();
        for reply in std::mem::take(&mut self.replies) {
            match reply {
                Reply::Join(guest) => self.sessions[at].join_all(&self.plan, guest, now),
                Reply::Pong => self.sessions[at].write(&Request::Pong),
                Reply::Resume => self.resume(at, now),
                Reply::GiveUp(reason) => self.lose(at, reason),
            }
        }
        let session = &mut self.sessions[at];
        if let Some(cut_ns) = session.cut_ns
            && session.state == State::In
            && session.seats.iter().all(super::seat::Seat::is_live)
        {
            session.cut_ns = None;
            self.log.resumes.record(now - cut_ns);
        }
        self.outbound.send_allowed(at, now, &mut self.sessions, &mut self.log.sent);
        // Pongs and closes; a failure shows at the next read.
        if let Some(wire) = &mut self.sessions[at].wire {
            let _ = wire.flush();
        }
    }

    /// A session is in all of its rooms, for the first time or again.
    fn resume(&mut self, at: usize, now: u64) {
        if self.sessions[at].cut_ns.is_none() {
            self.board.entered.fetch_add(1, Ordering::Relaxed);
        }
        self.outbound.resume(at, now, &mut self.sessions, &mut self.log.sent);
    }
}

/// What is to be done behind what was heard.
#[derive(Debug)]
pub(super) enum Reply {
    /// Ask for the rooms, showing this guest token from now on.
    Join(String),
    Pong,
    /// Go on sending.
    Resume,
    /// Nothing will come of this session.
    GiveUp(String),
}
