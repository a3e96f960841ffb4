//! Who sits where: rooms, seats, which thread drives which seat, and how fast the senders of each kind of room send.
//!
//! Everything here follows from the command line alone, so that each thread can work out for itself how many receivers
//! another one has.

use crate::message::Codec;

/// The whole run, the same for every thread.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What messages look like.
    pub(crate) codec: Codec,
    /// The main rooms, then the quiet one if there is one.
    pub(crate) rooms: Vec<Room>,
    /// Threads that drive main rooms. The quiet room has one more to itself, so that its latency does not contain the
    /// time that a generator thread spends reading the main rooms.
    pub(crate) main_workers: usize,
    /// How the senders of main rooms send.
    pub(crate) pace: Pace,
    /// Messages per second in the quiet room.
    pub(crate) quiet_rate: f64,
}

/// A room and the members that stay in it for the whole run. The first `senders` of them also send.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// The name on the wire.
    pub(crate) name: String,
    /// Members that stay, senders among them.
    pub(crate) members: u32,
    /// Members that send.
    pub(crate) senders: u32,
    /// What the room is for.
    pub(crate) class: Class,
    /// The run's number of the room's first sender.
    pub(crate) first_sender: usize,
}

/// What a room is for; the two are reported apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Carries the load.
    Main,
    /// Shows what the load does to others.
    Quiet,
}

/// When a sender sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Open loop: by a timetable, this many messages per second in all, whatever comes back.
    Rate(f64),
    /// Saturation: each sender keeps at most this many of its messages outstanding, that is, not yet received by every
    /// other member that stays in its room.
    Window(u32),
}

/// A place in a room; the place of a sender is its number as a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Index of the room.
    pub(crate) room: u32,
    /// Index in the room; [`Seat::VISITOR`] for one who comes and goes.
    pub(crate) place: u32,
}

impl Seat {
    /// The place of everyone who comes and goes: never the number of a sender.
    pub(crate) const VISITOR: u32 = u32::MAX;
}

impl Plan {
    /// Threads in all.
    pub(crate) fn workers(&self) -> usize {
        self.main_workers + usize::from(self.rooms.iter().any(|room| room.class == Class::Quiet))
    }

    /// The room of that seat.
    pub(crate) fn room(&self, seat: Seat) -> &Room {
        &self.rooms[seat.room as usize]
    }

    /// Senders of that class, in all rooms.
    pub(crate) fn senders_of(&self, class: Class) -> usize {
        self.rooms.iter().filter(|room| room.class == class).map(|room| room.senders as usize).sum()
    }

    /// Senders in all.
    pub(crate) fn senders(&self) -> usize {
        self.senders_of(Class::Main) + self.senders_of(Class::Quiet)
    }

    /// How the senders that this thread drives send.
    pub(crate) fn pace_of(&self, worker: usize) -> Pace {
        if worker < self.main_workers { self.pace } else { Pace::Rate(self.quiet_rate) }
    }

    /// The class of the rooms that this thread drives.
    pub(crate) const fn class_of(&self, worker: usize) -> Class {
        if worker < self.main_workers { Class::Main } else { Class::Quiet }
    }

    /// The thread that drives a seat. A room stays on one thread where there are enough rooms to go round; otherwise
    /// its members are dealt out.
    pub(crate) fn worker_of(&self, seat: Seat) -> usize {
        let main_rooms = self.rooms.iter().filter(|room| room.class == Class::Main).count();
        match self.room(seat).class {
            Class::Quiet => self.main_workers,
            Class::Main if main_rooms >= self.main_workers => {
                seat.room as usize % self.main_workers
            }
            Class::Main => seat.place as usize % self.main_workers,
        }
    }

    /// Every seat of the members that stay, the rooms' first places first, so that rooms fill evenly.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let longest = self.rooms.iter().map(|room| room.members).max().unwrap_or(0);
        let mut seats = Vec::new();
        for place in 0..longest {
            for (room, index) in self.rooms.iter().zip(0..) {
                if place < room.members {
                    seats.push(Seat { room: index, place });
                }
            }
        }
        seats
    }

    /// How many deliveries the messages of that room's senders make: one to each other member that stays.
    pub(crate) fn audience(&self, room: &Room) -> u64 {
        u64::from(room.members.saturating_sub(1))
    }
}

/// Deals `members` out to `rooms` rooms, one more to the first ones where it does not come out even.
pub(crate) fn main_rooms(prefix: &str, members: u32, rooms: u32, senders: u32) -> Vec<Room> {
    (0..rooms)
        .map(|index| Room {
            name: format!("{prefix}-{index}"),
            members: members / rooms + u32::from(index < members % rooms),
            senders,
            class: Class::Main,
            first_sender: (index * senders) as usize,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use fastwebsockets::OpCode;

    use super::*;

    fn plan(members: u32, rooms: u32, workers: usize) -> Plan {
        let mut rooms = main_rooms("r", members, rooms, 2);
        rooms.push(Room {
            name: "q".into(),
            members: 3,
            senders: 1,
            class: Class::Quiet,
            first_sender: rooms.len() * 2,
        });
        Plan {
            codec: Codec::new(1, 64, OpCode::Text),
            rooms,
            main_workers: workers,
            pace: Pace::Window(1),
            quiet_rate: 1.0,
        }
    }

    #[test]
    fn members_are_dealt_out_evenly_and_each_has_one_seat() {
        let plan = plan(11, 3, 2);
        assert_eq!(plan.rooms.iter().map(|room| room.members).collect::<Vec<_>>(), [4, 4, 3, 3]);
        let mut seats = plan.seats();
        assert_eq!(seats.len(), 14);
        seats.sort_by_key(|seat| (seat.room, seat.place));
        seats.dedup();
        assert_eq!(seats.len(), 14);
        assert_eq!((plan.senders_of(Class::Main), plan.senders()), (6, 7));
    }

    #[test]
    fn rooms_stay_on_one_thread_unless_there_are_too_few() {
        for (rooms, workers, shared) in [(1, 2, true), (2, 2, false), (5, 2, false)] {
            let plan = plan(20, rooms, workers);
            let drivers = |room| {
                let seats = plan.seats().into_iter().filter(move |seat| seat.room == room);
                let mut drivers: Vec<_> = seats.map(|seat| plan.worker_of(seat)).collect();
                drivers.sort_unstable();
                drivers.dedup();
                drivers
            };
            assert_eq!(drivers(0).len() > 1, shared, "{rooms} rooms on {workers} threads");
            assert_eq!(drivers(rooms), [workers], "the quiet room has a thread to itself");
        }
    }
}
