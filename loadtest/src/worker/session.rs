//! A member of a room: its connection, its seat, and what it has received.

use crate::audit::{Attendance, Ledger};
use crate::client::connection::Connection;
use crate::plan::{Plan, Seat};

/// One connection of the run and the member that it stands for.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) wire: Connection,
    pub(crate) member: Member,
    /// Tells this session from another that had the same token before.
    pub(crate) id: u64,
    /// Whether the generator ended it: then its end is no surprise.
    pub(crate) leaving: bool,
    /// Whether the server has sent all that it will: the socket must be read to its end.
    pub(crate) hung_up: bool,
    /// Position among the thread's senders.
    pub(crate) sender: Option<usize>,
}

/// Who receives, without the connection.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) seat: Seat,
    /// Senders of the room: the length of the ledger.
    pub(crate) senders: u32,
    /// The run's number of the room's first sender.
    pub(crate) first_sender: usize,
    pub(crate) ledger: Ledger,
}

impl Member {
    /// Whoever takes that seat.
    pub(crate) fn new(plan: &Plan, seat: Seat) -> Self {
        let room = plan.room(seat);
        let attendance = if seat.place == Seat::VISITOR {
            Attendance::FromTheFirstHeard
        } else {
            Attendance::FromTheStart
        };
        let ledger = Ledger::new(room.senders, attendance);
        Self { seat, senders: room.senders, first_sender: room.first_sender, ledger }
    }

    /// Whether it comes and goes.
    pub(crate) const fn is_visitor(&self) -> bool {
        self.seat.place == Seat::VISITOR
    }

    /// The senders that it hears: those of its room, itself excepted.
    pub(crate) fn heard_senders(&self) -> impl Iterator<Item = u32> + use<> {
        let own = self.seat.place;
        (0..self.senders).filter(move |sender| *sender != own)
    }
}
