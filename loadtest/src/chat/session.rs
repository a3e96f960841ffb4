//! One session: its connection while it has one, where it is between knocking and being in all of its rooms, and what it
//! remembers from one connection to the next.

use std::collections::VecDeque;

use fastwebsockets::OpCode;

use super::plan::Plan;
use super::seat::Seat;
use super::sender::{Outgoing, Sender};
use super::wire::Request;
use crate::client::connection::Connection;

#[derive(Debug)]
pub(super) struct Session {
    /// Its number in the run.
    pub(super) number: usize,
    pub(super) state: State,
    pub(super) wire: Option<Connection>,
    /// Shown on return.
    guest: Option<String>,
    /// As whom the server knows it.
    user: Option<String>,
    pub(super) seats: Vec<Seat>,
    pub(super) sender: Option<Sender>,
    /// When the joins that have no answer yet were sent, in order.
    pub(super) joins: VecDeque<u64>,
    /// When it was cut off, until it has caught up.
    pub(super) cut_ns: Option<u64>,
    /// Whether the server has sent all that it will: the socket must be read to its end.
    pub(super) hung_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has no connection and is to have none yet.
    Absent,
    /// It waits for a connection.
    Dialling,
    /// It has said hello.
    Greeting,
    /// It has asked to be let in.
    Joining,
    /// It is in all of its rooms.
    In,
    /// It has said goodbye.
    Leaving,
    /// Its connection ended before its time, or could not be had.
    Lost,
}

impl Session {
    pub(super) fn new(plan: &Plan, number: usize) -> Self {
        let late = number >= plan.on_time;
        let seats = plan.sessions[number].iter().map(|room| Seat::new(plan, *room, late));
        Self {
            number,
            state: State::Absent,
            wire: None,
            guest: None,
            user: None,
            seats: seats.collect(),
            sender: Sender::new(plan, number),
            joins: VecDeque::new(),
            cut_ns: None,
            hung_up: false,
        }
    }

    /// Whether it comes while others send.
    pub(super) const fn is_late(&self, plan: &Plan) -> bool {
        self.number >= plan.on_time
    }

    /// Writes a request; a failure shows at the next read.
    pub(super) fn write(&mut self, request: &Request<'_>) {
        if let Some(wire) = &mut self.wire {
            wire.queue(OpCode::Text, &mut request.text());
            let _ = wire.flush();
        }
    }

    /// It has a connection: says hello.
    pub(super) fn greet(&mut self, connection: Connection) {
        self.wire = Some(connection);
        self.hung_up = false;
        self.state = State::Greeting;
        let (name, guest) = (format!("load {}", self.number), self.guest.take());
        self.write(&Request::Hello { name: &name, guest: guest.as_deref() });
        self.guest = guest;
    }

    /// It is known by now: asks for its rooms, from where it was in each.
    pub(super) fn join_all(&mut self, plan: &Plan, guest: String, now: u64) {
        self.guest = Some(guest);
        self.state = State::Joining;
        let Some(wire) = &mut self.wire else { return };
        for seat in &self.seats {
            let after = seat.position();
            let history = after.is_none().then_some(plan.history);
            let room = &plan.room(seat.room).name;
            wire.queue(OpCode::Text, &mut Request::Join { room, after, history }.text());
            self.joins.push_back(now);
        }
        // A failure shows at the next read.
        let _ = wire.flush();
    }

    /// Whether the server takes it for who it was before.
    pub(super) fn is_still(&mut self, user: &str) -> bool {
        self.user.get_or_insert_with(|| user.to_owned()) == user
    }

    /// The seat in the room of that name.
    pub(super) fn seat_in(&mut self, plan: &Plan, room: &str) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| plan.room(seat.room).name == room)
    }

    /// It loses its connection.
    pub(super) fn disconnect(&mut self) -> Option<Connection> {
        self.joins.clear();
        self.seats.iter_mut().for_each(|seat| seat.joined = false);
        self.wire.take()
    }

    /// Queues a message, composing it in `scratch`.
    pub(super) fn queue(&mut self, plan: &Plan, outgoing: &Outgoing, scratch: &mut Vec<u8>) {
        let Some(wire) = &mut self.wire else { return };
        plan.codec.compose(&outgoing.header, scratch);
        let room = &plan.room(outgoing.header.room).name;
        // The codec of a chat writes ASCII.
        let body = std::str::from_utf8(scratch).unwrap_or_default();
        let client_id = &outgoing.id.text();
        wire.queue(OpCode::Text, &mut Request::Send { room, client_id, body }.text());
    }

    /// Whether it has everything that it must, given what each slot owes.
    pub(super) fn has_all(&self, plan: &Plan, owed: impl Fn(usize) -> (u32, u32)) -> bool {
        let is_in = self.state == State::In && self.cut_ns.is_none();
        is_in
            && self.seats.iter().all(|seat| {
                let first = plan.room(seat.room).first_slot;
                seat.has_all(|sender| owed(first + sender as usize))
            })
    }
}
