//! Reading the log for sessions and rooms: one read at a time for each, a bounded number for the shard, within a byte
//! rate for each and for all, so that whoever has much to catch up with neither starves the disk nor others.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::gate::permissions::Right;
use crate::log::{Finding, Found, Query, Read, Seq, Unreadable};
use crate::protocol::SessionId;
use crate::protocol::chat::CONVERSATIONS_MAX;
use crate::shard::chat::requests::WANTS_MAX;
use crate::shard::chat::session::{Stage, Want};
use crate::shard::session::flag;
use crate::shard::state::State;

/// Reads of one shard that may go on at once. Its mailbox has room for the results of all of them.
pub(crate) const READS_MAX: usize = 64;

/// A session is not read for while more than this is queued for it: pages go out at the socket's own speed.
const QUEUED_BYTES_MAX: usize = 64 * 1024;

/// When a read is tried again that could not be made.
const RETRY: Duration = Duration::from_secs(1);

/// How far a rate may be ahead of itself: without it small pages would wait for a timer each.
const SLACK: Duration = Duration::from_millis(10);

/// When somebody is looked at again whom the readers had no room for.
const BUSY: Duration = Duration::from_millis(1);

/// The reads that go on, and who waits for one.
#[derive(Default)]
pub(crate) struct Reads {
    tickets: HashMap<u64, Purpose>,
    last_ticket: u64,
    sessions: VecDeque<u32>,
    rooms: VecDeque<u64>,
    /// Those that wait for their time: sessions by id, rooms by the directory's.
    later: BTreeSet<(Instant, Whom)>,
    /// Nobody is read for before.
    due: Option<Instant>,
}

/// For whom a read is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Session(SessionId),
    Room(u64),
}

enum Purpose {
    Session { session: SessionId, want: Want, after: Seq },
    Room(u64),
}

/// How fast may be read, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) session: u64,
    /// This shard's share.
    pub(crate) shard: u64,
}

impl Reads {
    /// When the shard has to look at reads again; `None` while a result or a session's progress brings it on.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.tickets.len() >= READS_MAX {
            return None;
        }
        let waiting = !(self.sessions.is_empty() && self.rooms.is_empty());
        let next = waiting.then_some(now).into_iter();
        let next = next.chain(self.later.first().map(|(due, _)| *due)).min()?;
        Some(self.due.map_or(next, |due| next.max(due - SLACK)))
    }

    /// Whether nobody waits for a read.
    fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.rooms.is_empty() && self.later.is_empty()
    }

    /// Reads that go on.
    pub(crate) fn pending(&self) -> usize {
        self.tickets.len()
    }

    /// How many reads were made so far.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u64 {
        self.last_ticket
    }

    fn take_due(&mut self, now: Instant) -> Vec<Whom> {
        let rest = self.later.split_off(&(now, Whom::Session(SessionId::new(0, 0, 0))));
        std::mem::replace(&mut self.later, rest).into_iter().map(|(_, whom)| whom).collect()
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

/// Time that so many bytes take.
fn time_for(bytes: usize, bytes_per_sec: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / bytes_per_sec.max(1) as f64)
}

impl State {
    /// Has a session read for, once it is its turn and it has taken what it has.
    pub(crate) fn want_read(&mut self, slot: u32) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        let queued = session.extra.as_ref().map_or(0, |extra| extra.outbox.bytes());
        let is_over = session.has(flag::DOOMED | flag::CLOSING);
        let (Some(chat), Some(shared)) = (&mut session.chat, &mut self.chat) else { return };
        if chat.is_listed || chat.ticket != 0 || is_over || queued > QUEUED_BYTES_MAX {
            return;
        }
        if !chat.wants.is_empty() || chat.behind().is_some() {
            chat.is_listed = true;
            shared.reads.sessions.push_back(slot);
        }
    }

    /// Has a room's next page read for all members at once.
    pub(crate) fn want_room_read(&mut self, room: u32) {
        let room = self.rooms.get_mut(room);
        let id = room.entry.id;
        let (Some(room), Some(shared)) = (&mut room.chat, &mut self.chat) else { return };
        if !std::mem::replace(&mut room.is_reading, true) {
            shared.reads.rooms.push_back(id);
        }
    }

    /// Makes the reads whose turn it is.
    pub(crate) fn make_reads(&mut self) {
        let now = self.now;
        let Some(shared) = &mut self.chat else { return };
        if shared.reads.is_idle() {
            return;
        }
        for whom in shared.reads.take_due(now) {
            match whom {
                Whom::Room(room) => self.relist_room(room),
                Whom::Session(session) => {
                    if let Some(slot) = self.slot(session) {
                        self.relist(slot);
                    }
                }
            }
        }
        while self.may_read(now) && self.make_one() {}
    }

    fn relist(&mut self, slot: u32) {
        if let Some(chat) = &mut self.sessions[slot as usize].chat {
            chat.is_listed = false;
        }
        self.want_read(slot);
    }

    fn relist_room(&mut self, id: u64) {
        if let Some(shared) = &mut self.chat {
            shared.reads.rooms.push_back(id);
        }
    }

    fn may_read(&self, now: Instant) -> bool {
        self.chat.as_ref().is_some_and(|shared| {
            shared.reads.tickets.len() < READS_MAX
                && shared.reads.due.is_none_or(|due| due <= now + SLACK)
        })
    }

    /// Makes one read, rooms first: many wait for theirs. False if there is none to make.
    fn make_one(&mut self) -> bool {
        let Some(shared) = &mut self.chat else { return false };
        if let Some(room) = shared.reads.rooms.pop_front() {
            self.read_for_room(room);
            return true;
        }
        let Some(slot) = shared.reads.sessions.pop_front() else { return false };
        self.read_for_session(slot);
        true
    }

    fn read_for_room(&mut self, id: u64) {
        let Some(room) = self.rooms.find_id(id) else { return };
        let Some(chat) = &self.rooms.get(room).chat else { return };
        let after = chat.live.unwrap_or_default();
        let query = Query::After { view: chat.view.clone(), after };
        self.counters.room_reads += 1;
        self.make_read(query, Purpose::Room(id));
    }

    fn read_for_session(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot as usize) else { return };
        if session.chat.is_none() || session.has(flag::DOOMED | flag::CLOSING) {
            return;
        }
        let id = self.id(slot);
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        // It may stand in the list a second time, for who had its slot before.
        if !chat.is_listed {
            return;
        }
        if let Some(due) = chat.read_due.filter(|due| *due > self.now + SLACK) {
            self.later(due, Whom::Session(id));
            return;
        }
        chat.is_listed = false;
        let Some((want, query, after)) = self.next_want(slot) else { return };
        self.make_read(query, Purpose::Session { session: id, want, after });
    }

    /// What a session is to be read for next: what it asked for before what it catches up with.
    fn next_want(&mut self, slot: u32) -> Option<(Want, Query, Seq)> {
        let chat = self.sessions[slot as usize].chat.as_mut()?;
        let user = chat.welcome().map(|access| access.identity.user.clone())?;
        let want = match chat.next_want() {
            Some(want) => want,
            None => Want::Next { room: chat.behind()? },
        };
        let mut from = 0;
        let query = match &want {
            Want::Open { room, after, history } => {
                let view = self.rooms.get(*room).chat.as_ref()?.view.clone();
                chat.cursor(*room)?.stage = Stage::Asked;
                // Who may not look back is told where the log ends, and reads nothing of it.
                let may_look_back = self.rights_in(slot, *room).has(Right::History);
                let history = if may_look_back { *history } else { 0 };
                let after = after.clone().filter(|_| may_look_back);
                Query::Open { view, after, history }
            }
            Want::Next { room } => {
                let view = self.rooms.get(*room).chat.as_ref()?.view.clone();
                chat.put_last(*room);
                let cursor = chat.cursor(*room)?;
                cursor.stage = Stage::Reading;
                from = cursor.after;
                Query::After { view, after: from }
            }
            Want::History { view, direction, limit, .. } => {
                Query::History { view: view.clone(), direction: *direction, limit: *limit }
            }
            Want::Rooms { after, limit, .. } => {
                Query::Conversations { user, after: after.clone(), limit: *limit }
            }
            Want::Welcome { .. } => {
                Query::Conversations { user, after: None, limit: CONVERSATIONS_MAX }
            }
        };
        Some((want, query, from))
    }

    fn make_read(&mut self, query: Query, purpose: Purpose) {
        let shard = self.shard;
        let Some(shared) = &mut self.chat else { return };
        let ticket = shared.reads.ticket();
        if let Purpose::Session { session, .. } = &purpose
            && let Some(chat) =
                self.sessions.get_mut(session.slot()).and_then(|found| found.chat.as_mut())
        {
            chat.ticket = ticket;
        }
        if shared.log.try_read(Read { shard, ticket, query }).is_ok() {
            shared.reads.tickets.insert(ticket, purpose);
        } else {
            self.put_back(purpose);
        }
    }

    /// The readers have no room: whoever it was is the first to be read for when they may have.
    fn put_back(&mut self, purpose: Purpose) {
        let Some(shared) = &mut self.chat else { return };
        let due = self.now + SLACK + BUSY;
        shared.reads.due = Some(shared.reads.due.map_or(due, |earlier| earlier.max(due)));
        match purpose {
            Purpose::Room(id) => shared.reads.rooms.push_front(id),
            Purpose::Session { session, want, .. } => {
                let slot = session.slot();
                let Some(chat) = self.sessions[slot].chat.as_mut() else { return };
                chat.ticket = 0;
                chat.is_listed = true;
                match want {
                    Want::Next { room } => {
                        if let Some(cursor) = chat.cursor(room) {
                            cursor.stage = Stage::Behind;
                        }
                    }
                    other => {
                        if let Want::Open { room, .. } = &other
                            && let Some(cursor) = chat.cursor(*room)
                        {
                            cursor.stage = Stage::Opening;
                        }
                        chat.wants.push_front(other);
                    }
                }
                shared.reads.sessions.push_front(slot as u32);
            }
        }
    }

    /// Takes what was read.
    pub(crate) fn take_found(&mut self, found: Found) {
        let Some(shared) = &mut self.chat else { return };
        let Some(purpose) = shared.reads.tickets.remove(&found.ticket) else { return };
        let bytes = match &found.result {
            Ok(Finding::Page(page)) => page.bytes.len(),
            _ => 0,
        };
        let takes = time_for(bytes, shared.rates.shard);
        let due = shared.reads.due.map_or(self.now, |due| due.max(self.now)) + takes;
        shared.reads.due = Some(due);
        match purpose {
            Purpose::Room(id) => self.found_for_room(id, found.result),
            Purpose::Session { session, want, after } => {
                let takes = time_for(bytes, shared.rates.session);
                let Some(slot) = self.slot(session) else { return };
                if let Some(chat) = &mut self.sessions[slot as usize].chat {
                    chat.ticket = 0;
                    chat.read_due =
                        Some(chat.read_due.map_or(self.now, |due| due.max(self.now)) + takes);
                }
                match found.result {
                    Ok(finding) => self.found_for_session(slot, want, after, finding),
                    Err(Unreadable) => self.not_found(slot, want),
                }
                self.listen_again(slot);
                self.want_read(slot);
            }
        }
    }

    /// Reads a session again that asked for too much at once.
    fn listen_again(&mut self, slot: u32) {
        let chat = &self.sessions[slot as usize].chat;
        if chat.as_ref().is_some_and(|chat| chat.wants.len() <= WANTS_MAX / 2) {
            self.resume(slot, flag::PAUSED_BY_READS);
        }
    }

    /// The log could not be read: who asked for something hears of it, who catches up is read for later.
    fn not_found(&mut self, slot: u32, want: Want) {
        match want {
            Want::Next { room } => {
                let id = self.id(slot);
                let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
                if let Some(cursor) = chat.cursor(room)
                    && matches!(cursor.stage, Stage::Reading)
                {
                    cursor.stage = Stage::Behind;
                }
                chat.is_listed = true;
                self.later(self.now + RETRY, Whom::Session(id));
            }
            other => self.refuse_want(slot, other),
        }
    }

    /// Has a room read for later.
    pub(crate) fn room_read_later(&mut self, id: u64) {
        self.later(self.now + RETRY, Whom::Room(id));
    }

    fn later(&mut self, due: Instant, whom: Whom) {
        if let Some(shared) = &mut self.chat {
            shared.reads.later.insert((due, whom));
        }
    }
}
