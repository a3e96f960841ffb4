//! Carries out what handlers ask for: sending, publishing, joining, leaving, closing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::gate::permissions::Right;
use crate::handle::Handle;
use crate::hub::directory::RoomEntry;
use crate::hub::mailbox::Part;
use crate::protocol::{Actions, Close, CloseReason, Message, Permit, SessionId, frame};
use crate::shard::broadcast::Broadcast;
use crate::shard::counters::Drop;
use crate::shard::session::{Membership, NONE, flag};
use crate::shard::state::{Held, State};

/// This much may gather for a room's next flush before its publishers are paused, here and on the other shards.
const ROOM_NEXT_BYTES_MAX: usize = 1024 * 1024;

/// And this much before batches and requests wait too: what may be on the way to a room when its publishers hear that
/// they are to pause, that one room's flood does not hold up what the batches bring to others.
const ROOM_NEXT_BYTES_STOP: usize = 4 * 1024 * 1024;

/// Why a session did not become a member. Each is a value of the label `reason` of `uproar_joins_refused_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// It is in `limits.rooms_per_session_max` rooms.
    Session,
    /// There are `limits.rooms_max` rooms.
    Rooms,
    /// The room has `limits.room_members_max` members.
    Members,
    /// The user may not be there.
    Forbidden,
}

impl NoRoom {
    pub(crate) const LABELS: [&'static str; 4] = ["session_rooms", "rooms", "members", "forbidden"];
}

/// What a handler's context acts through: the shard, on behalf of one session.
pub(crate) struct Desk<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) slot: u32,
}

impl Actions for Desk<'_> {
    fn send(&mut self, message: Message<'_>) {
        if !self.is_over() {
            self.state.send(self.slot, message);
        }
    }

    fn publish(&mut self, room: &str, message: Message<'_>) {
        if self.state.is_stopping {
            return;
        }
        let route = self.state.sessions[self.slot as usize].route;
        match self.state.rooms.find(route, room) {
            Some(room) => self.state.publish(room, self.slot, message),
            None => self.state.publish_away(route, room, self.slot, message),
        }
    }

    fn broadcast(&mut self, message: Message<'_>) {
        if self.state.is_stopping {
            return;
        }
        let mut position = 0;
        while let Some(member) = self.state.sessions[self.slot as usize].membership(position) {
            self.state.publish(member.room, self.slot, message);
            position += 1;
        }
    }

    fn join(&mut self, room: &str) -> bool {
        !self.is_over() && self.state.join(self.slot, room).is_ok()
    }

    fn leave(&mut self, room: &str) {
        let route = self.state.sessions[self.slot as usize].route;
        if let Some(room) = self.state.rooms.find(route, room) {
            self.state.leave(self.slot, room);
        }
    }

    fn close(&mut self, close: Close) {
        self.state.doom(self.slot, CloseReason::Handler(close));
    }

    fn permits(&mut self, right: Right) -> Permit {
        let says = matches!(right, Right::Send | Right::Signal);
        if !self.state.may_everywhere(self.slot, right) {
            Permit::Denied
        } else if says && self.state.muted_until(self.slot).is_some() {
            self.state.counters.dropped[Drop::Muted as usize] += 1;
            Permit::Muted
        } else {
            Permit::Granted
        }
    }

    fn handle(&self) -> Handle {
        let route = self.state.sessions[self.slot as usize].route;
        Handle::new(self.state.hub.clone(), usize::from(route))
    }
}

impl Desk<'_> {
    fn is_over(&self) -> bool {
        self.state.sessions[self.slot as usize].has(flag::DOOMED | flag::CLOSING)
    }
}

impl State {
    /// Gathers a session's message for a room's members here and elsewhere.
    pub(crate) fn publish(&mut self, room: u32, slot: u32, message: Message<'_>) {
        self.steps += 1;
        let range = self.gather(room, self.now).push(message, Some(slot));
        self.forward(room, range, None, Some(slot));
        if self.is_congested(room) {
            self.rooms.get_mut(room).paused.push(slot);
            self.pause(slot, flag::PAUSED_BY_ROOM);
        } else if self.rooms.get(room).entry.wait(self.shard) {
            let entry = self.rooms.get(room).entry.clone();
            self.hold(entry, slot);
        }
    }

    /// Gathers frames that came through a handle, for members here and elsewhere.
    pub(crate) fn publish_frame(
        &mut self,
        route: u16,
        name: &str,
        except: Option<SessionId>,
        frame: &[u8],
    ) {
        let Some(room) = self.rooms.find(route, name) else {
            if let Some(entry) = self.hub.directory.find(usize::from(route), name) {
                self.send_away(&entry, frame, except, None);
            }
            return;
        };
        let except_here = except.and_then(|session| self.slot(session));
        let range = self.gather(room, self.now).push_frames(frame, 1, except_here);
        self.forward(room, range, except, None);
        // Who acts through a handle is not paused: requests wait in the mailbox once far too much has gathered.
        self.is_congested(room);
    }

    /// Gathers what another shard's sessions sent to a room's members here.
    pub(crate) fn deliver(&mut self, part: &Part, bytes: &[u8], read_at: Instant) {
        // Nobody is left here of those for whom the batch was sent.
        let Some(room) = self.rooms.find_id(part.room) else { return };
        let except = part.except.and_then(|session| self.slot(session));
        self.gather(room, read_at).push_frames(bytes, part.frames, except);
        self.is_congested(room);
    }

    /// What the room's next flush will write.
    pub(crate) fn gather(&mut self, room: u32, read_at: Instant) -> &mut Broadcast {
        let pool = &mut self.rooms.pool;
        let found = &mut self.rooms.rooms[room as usize];
        if found.next.is_none() && found.current.is_none() {
            self.fresh.push_back(room);
        }
        found.next.get_or_insert_with(|| pool.take(read_at))
    }

    /// Copies a range of what was gathered to the batches of the other shards that have members.
    fn forward(
        &mut self,
        room: u32,
        range: Range<usize>,
        except: Option<SessionId>,
        publisher: Option<u32>,
    ) {
        let found = self.rooms.get(room);
        let entry = &found.entry;
        let Some(next) = &found.next else { return };
        let frame = &next.bytes[range];
        let mut blocked = false;
        for target in entry.shards.iter().filter(|target| *target != self.shard) {
            let full = self.outgoing.append(target, entry.id, frame, except, self.now);
            if let Some(slot) = publisher.filter(|_| full) {
                self.outgoing.pause(target, slot);
                blocked = true;
            }
        }
        if let Some(slot) = publisher.filter(|_| blocked) {
            self.pause(slot, flag::PAUSED_BY_HUB);
        }
    }

    /// Publishes to a room that has no member on this shard.
    fn publish_away(&mut self, route: u16, name: &str, slot: u32, message: Message<'_>) {
        self.steps += 1;
        let Some(entry) = self.hub.directory.find(usize::from(route), name) else { return };
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        frame::encode(message, &mut bytes);
        self.send_away(&entry, &bytes, None, Some(slot));
        self.scratch = bytes;
        if entry.wait(self.shard) {
            self.hold(entry, slot);
        }
    }

    /// Has a session wait until no other shard is behind with a room that it publishes to.
    pub(crate) fn hold(&mut self, entry: Arc<RoomEntry>, slot: u32) {
        self.pause(slot, flag::PAUSED_BY_ROOM);
        let held = self.held.entry(entry.id);
        held.or_insert_with(|| Held { entry, sessions: Vec::new() }).sessions.push(slot);
    }

    /// Has the sessions go on that wait for other shards which have caught up.
    pub(crate) fn release_held(&mut self) {
        let shard = self.shard;
        for (_, held) in self.held.extract_if(|_, held| !held.entry.wait(shard)).collect::<Vec<_>>()
        {
            for slot in held.sessions {
                self.resume(slot, flag::PAUSED_BY_ROOM);
            }
        }
    }

    fn send_away(
        &mut self,
        entry: &Arc<RoomEntry>,
        frame: &[u8],
        except: Option<SessionId>,
        publisher: Option<u32>,
    ) {
        let own = self.shard;
        for target in entry.shards.iter().filter(|target| *target != own) {
            let full = self.outgoing.append(target, entry.id, frame, except, self.now);
            if let Some(slot) = publisher.filter(|_| full) {
                self.outgoing.pause(target, slot);
                self.pause(slot, flag::PAUSED_BY_HUB);
            }
        }
    }

    /// Whether so much has gathered for the room that nobody should publish to it, as far as can be helped.
    pub(crate) fn is_congested(&mut self, room: u32) -> bool {
        let room = self.rooms.get_mut(room);
        let gathered = room.next.as_ref().map_or(0, |next| next.bytes.len());
        if gathered <= ROOM_NEXT_BYTES_MAX {
            return false;
        }
        if !room.is_congested {
            room.is_congested = true;
            room.entry.fall_behind(self.shard);
        }
        if gathered > ROOM_NEXT_BYTES_STOP && !room.is_full {
            room.is_full = true;
            self.full += 1;
        }
        true
    }

    /// What had gathered for the room is being written, or nobody is left to write it to.
    #[cold]
    pub(crate) fn clear_congestion(&mut self, room: u32) {
        let room = self.rooms.get_mut(room);
        room.is_congested = false;
        self.full -= usize::from(std::mem::take(&mut room.is_full));
        for shard in room.entry.catch_up(self.shard) {
            self.hub.ports[shard].wake();
        }
        for slot in std::mem::take(&mut room.paused) {
            self.resume(slot, flag::PAUSED_BY_ROOM);
        }
    }

    pub(crate) fn join(&mut self, slot: u32, name: &str) -> Result<(), NoRoom> {
        if self.joined_room(slot, name).is_some() {
            return Ok(());
        }
        let count = self.sessions[slot as usize].membership_count();
        if count >= self.bounds.rooms_per_session_max {
            return Err(self.count_refused(NoRoom::Session));
        }
        if !self.rights_for(slot, name).has(Right::Join) {
            return Err(self.count_refused(NoRoom::Forbidden));
        }
        self.join_within(slot, name)
    }

    /// Counts a join that was refused.
    pub(crate) fn count_refused(&mut self, why: NoRoom) -> NoRoom {
        self.counters.joins_refused[why as usize] += 1;
        why
    }

    /// The room of that name, if the session is a member.
    pub(crate) fn joined_room(&self, slot: u32, name: &str) -> Option<u32> {
        let session = &self.sessions[slot as usize];
        let room = self.rooms.find(session.route, name)?;
        session.memberships().any(|member| member.room == room).then_some(room)
    }

    /// Makes a session a member that is none yet, whatever the bounds.
    pub(crate) fn join_beyond(&mut self, slot: u32, name: &str) {
        // Nothing but a bound keeps anybody out.
        let _ = self.make_member(slot, name, (usize::MAX, usize::MAX));
    }

    /// Makes a session a member that is none yet, within the bounds on all rooms and on the members of each.
    pub(crate) fn join_within(&mut self, slot: u32, name: &str) -> Result<(), NoRoom> {
        let bounds = (self.bounds.rooms_max, self.bounds.room_members_max);
        self.make_member(slot, name, bounds).map_err(|why| self.count_refused(why))
    }

    fn make_member(
        &mut self,
        slot: u32,
        name: &str,
        (rooms_max, members_max): (usize, usize),
    ) -> Result<(), NoRoom> {
        let route = self.sessions[slot as usize].route;
        let room = match self.rooms.find(route, name) {
            Some(room) if !self.rooms.get(room).entry.add_member(members_max) => {
                return Err(NoRoom::Members);
            }
            Some(room) => room,
            None => {
                let directory = &self.hub.directory;
                let entry = directory.enter(usize::from(route), name, self.shard, rooms_max);
                let entry = entry.ok_or(NoRoom::Rooms)?;
                if !entry.add_member(members_max) {
                    directory.exit(usize::from(route), &entry, self.shard);
                    return Err(NoRoom::Members);
                }
                self.rooms.add(route, entry)
            }
        };
        let rights = self.rights_for(slot, name);
        let membership = self.rooms.join(room, slot, rights);
        let session = &mut self.sessions[slot as usize];
        if !rights.has(Right::Members) {
            session.set(flag::NO_PRESENCE);
        }
        if session.room.room == NONE {
            session.room = membership;
        } else {
            session.extra().rooms.push(membership);
            session.set(flag::MANY_ROOMS);
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self, slot: u32, room: u32) {
        let session = &self.sessions[slot as usize];
        if session.memberships().all(|member| member.room != room) {
            return;
        }
        self.leave_chat_room(slot, room);
        let session = &mut self.sessions[slot as usize];
        let Some(membership) = session.take_membership(room) else { return };
        if session.extra.is_some() {
            let frames = self.let_go(slot, |outbox| outbox.purge(|tag| tag.is_of(room)));
            self.counters.dropped[Drop::Left as usize] += frames;
        }
        self.end_membership(membership);
    }

    /// Ends every membership of a session that is over. What is queued of its rooms shares the fate of its outbox.
    pub(crate) fn leave_all(&mut self, slot: u32) {
        while let Some(member) = self.sessions[slot as usize].membership(0) {
            self.leave_chat_room(slot, member.room);
            self.sessions[slot as usize].take_membership(member.room);
            self.end_membership(member);
        }
    }

    fn end_membership(&mut self, membership: Membership) {
        self.rooms.get(membership.room).entry.remove_member();
        if self.rooms.leave(membership, &mut self.sessions) {
            self.forget_room(membership.room);
        }
    }

    /// Ends a room that nobody here is in any more.
    pub(crate) fn forget_room(&mut self, room: u32) {
        let room = self.rooms.remove(room);
        self.presence.forget(room.entry.id);
        self.hub.directory.exit(usize::from(room.route), &room.entry, self.shard);
    }
}
