//! Cursors: sessions that are given a room's messages from its log until they have what everyone has.
//!
//! One mechanism for who joins, who comes back, and who reads too slowly. A session is a member of the room before its
//! first page is read, so that whatever is stored after the page was read reaches its shard; a member with a cursor is
//! passed over by the room's flushes, until the page it was given last reaches what they have brought. From there it
//! goes on with them, less what it has already: every message once, in order, and none missing.

use std::ops::Range;

use crate::log::Seq;
use crate::protocol::chat::logged_frame::frames;
use crate::protocol::chat::reply;
use crate::shard::broadcast::Broadcast;
use crate::shard::chat::session::{Cursor, Stage};
use crate::shard::counters::Drop;
use crate::shard::outbox::Tag;
use crate::shard::session::flag;
use crate::shard::state::State;

/// This much may be queued for a session of its rooms before it falls behind.
const ROOM_BYTES_MAX: usize = 1024 * 1024;

impl State {
    /// Gives a session a cursor in a room.
    pub(crate) fn add_cursor(&mut self, slot: u32, cursor: Cursor) {
        let room = cursor.room;
        let session = &mut self.sessions[slot as usize];
        session.set(flag::CURSOR);
        let Some(chat) = &mut session.chat else { return };
        chat.cursors.push(cursor);
        if let Some(room) = &mut self.rooms.get_mut(room).chat {
            room.cursors += 1;
        }
    }

    /// Takes it away again: the session gets what everyone gets, or nothing any more.
    pub(crate) fn end_cursor(&mut self, slot: u32, room: u32) -> Option<Cursor> {
        let session = &mut self.sessions[slot as usize];
        let cursors = &mut session.chat.as_mut()?.cursors;
        let position = cursors.iter().position(|cursor| cursor.room == room)?;
        let cursor = cursors.swap_remove(position);
        if cursors.is_empty() {
            *cursors = Vec::new();
            session.clear(flag::CURSOR);
        }
        if let Some(room) = &mut self.rooms.get_mut(room).chat {
            room.end_cursor();
        }
        Some(cursor)
    }

    /// Queues what a member with a cursor gets of a broadcast. False if it has none in that room.
    pub(crate) fn queue_for_cursor(
        &mut self,
        slot: u32,
        room: u32,
        broadcast: &Broadcast,
        exclusions: Range<usize>,
    ) -> bool {
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return false };
        if !matches!(cursor.stage, Stage::Live) {
            self.pass_over(broadcast, exclusions);
            return true;
        }
        let after = cursor.after;
        self.queue_after(slot, room, broadcast, exclusions, after);
        let begun = self.rooms.get(room).chat.as_ref().map_or(0, |chat| chat.begun);
        if begun >= after {
            self.end_cursor(slot, room);
        }
        true
    }

    /// Has a session go on with what everyone gets, if what it has reaches there; else it is to be read for again.
    pub(crate) fn go_live(&mut self, slot: u32, room: u32) {
        let session = &mut self.sessions[slot as usize];
        let Some(cursor) = session.chat.as_mut().and_then(|chat| chat.cursor(room)) else { return };
        let Some(chat) = &self.rooms.get(room).chat else { return };
        if cursor.after < chat.kept_after() {
            cursor.stage = Stage::Behind;
            self.want_read(slot);
            return;
        }
        let missing = chat.tail.messages_after(cursor.after);
        cursor.after = cursor.after.max(chat.begun);
        cursor.stage = Stage::Live;
        let (known, is_level) = (cursor.rev, cursor.after == chat.begun);
        if !missing.is_empty() {
            self.counters.deliveries += frames(&missing).count() as u64;
            self.queue(slot, |outbox| outbox.push_logged(&missing, room));
        }
        self.renew_presence(slot, room, known);
        // A flush that goes on or is to come may hold messages that the session has.
        let is_quiet = self.rooms.get(room).is_quiet();
        if is_level && is_quiet {
            self.end_cursor(slot, room);
        }
    }

    /// Has a session fall behind if too much is queued for it.
    pub(crate) fn check_backlog(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot as usize) else { return };
        let (Some(_), Some(extra)) = (&session.chat, &session.extra) else { return };
        let bound = ROOM_BYTES_MAX.min(self.bounds.outbox_bytes_max);
        if extra.outbox.room_bytes() > bound && !session.has(flag::CLOSING | flag::DOOMED) {
            self.fall_behind(slot);
        }
    }

    /// Lets everything go that is queued of rooms and was not started; the log has it, but for signals.
    fn fall_behind(&mut self, slot: u32) {
        self.counters.fell_behind += 1;
        let (signals, rooms) = self.let_go(slot, |outbox| {
            let signals = outbox.purge(|tag| matches!(tag, Tag::Droppable(_)));
            (signals, outbox.logged_rooms())
        });
        self.counters.dropped[Drop::Signal as usize] += signals;
        for room in rooms {
            self.queue_again(slot, room);
        }
    }

    /// Lets go of what is queued of a room and was not started, to have the messages among it read again.
    pub(crate) fn queue_again(&mut self, slot: u32, room: u32) {
        if self.sessions[slot as usize].extra.is_none() {
            return;
        }
        let let_go = self.let_go(slot, |outbox| outbox.let_go_of(room));
        self.counters.dropped[Drop::SlowReader as usize] += let_go.others;
        if let_go.messages + let_go.others > 0 {
            self.resume_from(slot, room, let_go.first);
        }
    }

    /// Has a session that may not read the log of a room any more go on with what everyone gets, and says what it
    /// misses by that. One that waits for its first page is answered as its rights are then.
    pub(crate) fn end_catching_up(&mut self, slot: u32, room: u32) {
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
        if cursor.is_opening() || matches!(cursor.stage, Stage::Live) {
            return;
        }
        self.queue_again(slot, room);
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
        let Some(found) = &self.rooms.get(room).chat else { return };
        let (from, to, view) = (cursor.after, found.begun.max(cursor.after), found.view.clone());
        (cursor.after, cursor.stage) = (to, Stage::Live);
        if from < to {
            self.reply(slot, |out| reply::Gap { view: &view, from, to }.write(out));
        }
    }

    /// Has a session go on from the log, with this message or, if no message is missing, with the next one.
    fn resume_from(&mut self, slot: u32, room: u32, first: Option<Seq>) {
        let begun = self.rooms.get(room).chat.as_ref().map_or(0, |chat| chat.begun);
        let after = first.map_or(begun, |seq| seq - 1);
        let chat = self.sessions[slot as usize].chat.as_mut();
        match chat.and_then(|chat| chat.cursor(room)) {
            // It has been given nothing yet that could have been let go.
            Some(cursor) if cursor.is_opening() => return,
            Some(cursor) => {
                cursor.after = first.map_or(cursor.after, |seq| seq - 1);
                // A page that is on its way begins further on, and is not taken.
                cursor.stage = Stage::Behind;
            }
            None => self.add_cursor(slot, Cursor::new(room, after, Stage::Behind)),
        }
        self.want_read(slot);
    }
}
