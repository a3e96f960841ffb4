//! Who sits in which room, where a session sits in many: rooms have equally many seats, and the seats of all rooms,
//! numbered through, are dealt out to the sessions in turn.

/// Bytes of a room's name, and of the beginning of a message that names its room.
pub(crate) const ROOM_BYTES: usize = 8;

/// The name of a room.
pub(crate) fn room_name(room: usize) -> String {
    format!("{room:0ROOM_BYTES$}")
}

/// The seats of one session: `first`, and every `step`-th from there up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seats {
    pub(crate) first: usize,
    pub(crate) step: usize,
    /// One past the last seat of all.
    pub(crate) end: usize,
    /// Seats of each room.
    pub(crate) in_room: usize,
}

impl Seats {
    /// The last segment of a path, which says all of it.
    pub(crate) fn segment(&self) -> String {
        let Self { first, step, end, in_room } = self;
        format!("{first}.{step}.{end}.{in_room}")
    }

    /// What [`segment`](Self::segment) gave.
    pub(crate) fn parse(segment: &str) -> Option<Self> {
        let mut fields = segment.split('.').map(str::parse);
        let mut next = || fields.next()?.ok();
        let seats = Self { first: next()?, step: next()?, end: next()?, in_room: next()? };
        (seats.step > 0 && seats.in_room > 0).then_some(seats)
    }

    /// The rooms of those seats.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = usize> {
        let in_room = self.in_room;
        (self.first..self.end).step_by(self.step).map(move |seat| seat / in_room)
    }
}
