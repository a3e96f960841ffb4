//! One WebSocket connection as its shard keeps it: a few dozen bytes, and one box for whatever only some need.

use mio::net::TcpStream;

use crate::gate::permissions::Rights;
use crate::protocol::frame::Partial;
use crate::shard::chat::session::ChatSession;
use crate::shard::outbox::Outbox;

/// No position: in no room.
pub(crate) const NONE: u32 = u32::MAX;

/// The states of a session that steer what a turn does with it.
pub(crate) mod flag {
    /// In the shard's list of sessions to be read.
    pub(crate) const READY: u32 = 1;
    /// In the shard's list of sessions with output of their own to flush.
    pub(crate) const TOUCHED: u32 = 1 << 1;
    /// The kernel takes no more until it says so.
    pub(crate) const BLOCKED: u32 = 1 << 2;
    /// The outbox holds something.
    pub(crate) const QUEUED: u32 = 1 << 3;
    /// A member of more than one room, or served ahead of its turn as long as it was one.
    pub(crate) const MANY_ROOMS: u32 = 1 << 4;
    /// Waits for another shard to take what this session published.
    pub(crate) const PAUSED_BY_HUB: u32 = 1 << 5;
    /// Waits for a shard, this one or another, that is behind with a room's flush.
    pub(crate) const PAUSED_BY_ROOM: u32 = 1 << 6;
    /// Waits for its own peer to read what is queued for it.
    pub(crate) const PAUSED_BY_OUTBOX: u32 = 1 << 7;
    /// Over: out of its rooms, its Close frame on the way; only waits for the peer to hang up.
    pub(crate) const CLOSING: u32 = 1 << 8;
    /// The write side is shut down.
    pub(crate) const SHUT: u32 = 1 << 9;
    /// The peer's end of the stream was seen coming; a short read does not mean drained.
    pub(crate) const HUNG_UP: u32 = 1 << 10;
    /// A ping went out since anything was heard.
    pub(crate) const PINGED: u32 = 1 << 11;
    /// To be ended as soon as nothing is in the middle of something.
    pub(crate) const DOOMED: u32 = 1 << 12;
    /// Does not simply get what everyone gets in some chat room of its.
    pub(crate) const CURSOR: u32 = 1 << 13;
    /// Waits for the log to store what it and others sent.
    pub(crate) const PAUSED_BY_LOG: u32 = 1 << 14;
    /// Waits for the log to be read for what it asked for.
    pub(crate) const PAUSED_BY_READS: u32 = 1 << 15;
    /// Waits until what it sent is no longer more than it may.
    pub(crate) const PAUSED_BY_RATE: u32 = 1 << 21;
    /// Waits for the application to say what becomes of what it and others sent.
    pub(crate) const PAUSED_BY_APPLICATION: u32 = 1 << 22;
    /// Waits for the token that it showed to be verified.
    pub(crate) const PAUSED_BY_TOKEN: u32 = 1 << 16;
    /// What it was let in with ends some time.
    pub(crate) const EXPIRES: u32 = 1 << 17;
    /// It was told that this is soon.
    pub(crate) const WARNED: u32 = 1 << 18;
    /// Is not told in each of its rooms who comes and goes.
    pub(crate) const NO_PRESENCE: u32 = 1 << 19;
    /// Between it and its socket is a channel.
    pub(crate) const TLS: u32 = 1 << 20;

    /// Whatever keeps a session from being read.
    pub(crate) const PAUSED: u32 = PAUSED_BY_US | PAUSED_BY_OUTBOX;
    /// The same, where it is not for the peer to end it.
    pub(crate) const PAUSED_BY_US: u32 = PAUSED_BY_HUB
        | PAUSED_BY_ROOM
        | PAUSED_BY_LOG
        | PAUSED_BY_READS
        | PAUSED_BY_TOKEN
        | PAUSED_BY_APPLICATION
        | PAUSED_BY_RATE;
    /// Whatever keeps a broadcast from going straight out of the room's buffer.
    pub(crate) const NOT_PLAIN: u32 = BLOCKED | QUEUED | MANY_ROOMS | CLOSING | CURSOR | TLS;
}

/// A session's place among a room's members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    /// The room's position in the shard's slab.
    pub(crate) room: u32,
    /// The session's position in the room's members.
    pub(crate) position: u32,
    /// The session got its part of the flush that goes on already, ahead of its turn.
    pub(crate) is_served: bool,
    /// What the session may do there: looked up when it joins, and when its permissions change.
    pub(crate) rights: Rights,
}

impl Membership {
    pub(crate) const NOWHERE: Self =
        Self { room: NONE, position: NONE, is_served: false, rights: Rights::NONE };
}

/// What every session has.
pub(crate) struct Session<Stream = TcpStream> {
    pub(crate) stream: Stream,
    /// Tells this session from earlier ones in the same slot.
    pub(crate) generation: u32,
    /// The room it joined first; further ones are in [`Extra::rooms`].
    pub(crate) room: Membership,
    /// Ticks of the shard at which it opened, and at which the peer was last heard.
    pub(crate) opened: u32,
    pub(crate) heard: u32,
    /// Bytes the kernel took so far, wrapping, and how many of them the peer had acknowledged at the last ping.
    pub(crate) written: u32,
    pub(crate) acknowledged: u32,
    /// Messages received, wrapping: for the log line at its end.
    pub(crate) messages: u32,
    pub(crate) flags: u32,
    /// Index into the server's routes.
    pub(crate) route: u16,
    pub(crate) extra: Option<Box<Extra>>,
    /// What it is beyond that on the chat's route.
    pub(crate) chat: Option<Box<ChatSession>>,
}

/// What a session has only while it needs it.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) outbox: Outbox,
    /// Rooms beyond the first.
    pub(crate) rooms: Vec<Membership>,
    /// A frame or message of which a part has come.
    pub(crate) partial: Option<Box<Partial>>,
    /// Bytes received but not decoded, because the session was paused, or its share of a turn was over, in the
    /// middle of them.
    pub(crate) unread: Vec<u8>,
    /// The tick after which a closing session is not waited for any more.
    pub(crate) deadline: u32,
}

impl Extra {
    fn is_needed(&self, flags: u32) -> bool {
        !self.outbox.is_empty()
            || !self.rooms.is_empty()
            || self.partial.is_some()
            || !self.unread.is_empty()
            || flags & flag::CLOSING != 0
    }
}

impl Session {
    /// One that has done nothing yet, open since that tick.
    pub(crate) fn new(stream: TcpStream, generation: u32, route: u16, tick: u32) -> Self {
        Self {
            stream,
            generation,
            room: Membership::NOWHERE,
            opened: tick,
            heard: tick,
            written: 0,
            acknowledged: 0,
            messages: 0,
            flags: 0,
            route,
            extra: None,
            chat: None,
        }
    }

    pub(crate) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    pub(crate) fn set(&mut self, flags: u32) {
        self.flags |= flags;
    }

    pub(crate) fn clear(&mut self, flags: u32) {
        self.flags &= !flags;
    }

    /// The box, made if there is none.
    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Frees the box if nothing in it is needed: an idle session holds no buffer.
    pub(crate) fn release(&mut self) {
        let Some(extra) = &mut self.extra else { return };
        if extra.is_needed(self.flags) {
            extra.outbox.shrink();
        } else {
            self.extra = None;
        }
    }

    /// Its memberships, the first one first.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = &Membership> {
        let first = (self.room.room != NONE).then_some(&self.room);
        first.into_iter().chain(self.extra.iter().flat_map(|extra| &extra.rooms))
    }

    /// How many they are.
    pub(crate) fn membership_count(&self) -> usize {
        let further = self.extra.as_ref().map_or(0, |extra| extra.rooms.len());
        usize::from(self.room.room != NONE) + further
    }

    /// The membership at `position` among them.
    pub(crate) fn membership(&self, position: usize) -> Option<Membership> {
        match position.checked_sub(1) {
            // Whoever is in any room is in a first one.
            None => Some(self.room).filter(|first| first.room != NONE),
            Some(further) => self.extra.as_ref()?.rooms.get(further).copied(),
        }
    }

    /// Takes the bytes that were received but not decoded.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        self.extra.as_mut().map(|extra| std::mem::take(&mut extra.unread)).unwrap_or_default()
    }

    /// Ends one membership, if there is one; the others stay.
    pub(crate) fn take_membership(&mut self, room: u32) -> Option<Membership> {
        let rooms = self.extra.as_mut().map(|extra| &mut extra.rooms);
        if self.room.room == room {
            let next = rooms.and_then(Vec::pop).unwrap_or(Membership::NOWHERE);
            return Some(std::mem::replace(&mut self.room, next)).inspect(|_| self.mark_rooms());
        }
        let rooms = rooms?;
        let found = rooms.iter().position(|membership| membership.room == room)?;
        let membership = rooms.swap_remove(found);
        self.mark_rooms();
        Some(membership)
    }

    /// Notes that the session has got its part of a room's flush ahead of its turn.
    pub(crate) fn mark_served(&mut self, room: u32) {
        if let Some(member) = self.memberships_mut().find(|member| member.room == room) {
            member.is_served = true;
        }
    }

    /// Whether the session, whose turn it is now, has got its part already.
    pub(crate) fn take_served(&mut self, room: u32) -> bool {
        let member = self.memberships_mut().find(|member| member.room == room);
        let was_served = member.is_some_and(|member| std::mem::take(&mut member.is_served));
        self.mark_rooms();
        was_served
    }

    fn mark_rooms(&mut self) {
        let is_in_one = self.extra.as_ref().is_none_or(|extra| extra.rooms.is_empty());
        if is_in_one && !self.room.is_served {
            self.clear(flag::MANY_ROOMS);
        }
    }

    /// Its memberships, to change them.
    pub(crate) fn memberships_mut(&mut self) -> impl Iterator<Item = &mut Membership> {
        let first = (self.room.room != NONE).then_some(&mut self.room);
        first.into_iter().chain(self.extra.iter_mut().flat_map(|extra| &mut extra.rooms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_flags_are_one() {
        let source = include_str!("session.rs");
        let shifts = source.lines().filter_map(|line| {
            let (_, flag) = line.split_once("pub(crate) const ")?;
            let (_, shift) = flag.split_once(": u32 = 1")?;
            shift.trim_end_matches(';').trim_start_matches(" << ").parse::<u32>().ok().or(Some(0))
        });
        let mut shifts: Vec<u32> = shifts.collect();
        let flags = shifts.len();
        shifts.sort_unstable();
        shifts.dedup();
        assert!(flags > 16 && shifts.len() == flags, "{flags} flags, {shifts:?}");
    }

    #[test]
    fn an_idle_session_is_small() {
        // In debug builds mio keeps more than the descriptor, for checks of its own.
        let bytes = size_of::<Session<std::os::fd::RawFd>>();
        assert!(bytes <= 64, "{bytes} bytes");
    }
}
