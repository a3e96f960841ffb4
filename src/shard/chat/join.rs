//! Joining and leaving: a room's first page, who is there, and the way from the one to what everyone gets.

use crate::gate::permissions::Right;
use crate::log::{Finding, Page, Seq};
use crate::protocol::chat::Code;
use crate::protocol::chat::logged_frame::frames;
use crate::protocol::chat::reply::{self, Messages};
use crate::protocol::{Message, SessionId, frame};
use crate::rooms::conversation::View;
use crate::rooms::rules::PresenceMode;
use crate::shard::actions::NoRoom;
use crate::shard::chat::presence::Roster;
use crate::shard::chat::room::ChatRoom;
use crate::shard::chat::session::{Cursor, Opened, Reference, Stage, Want};
use crate::shard::state::State;

/// Where a client says that it was.
pub(crate) type After = Option<(Box<str>, Seq)>;

impl State {
    /// Makes a session a member and has the first page read for it. A member that joins again is given what it asks
    /// for as if it came anew.
    pub(crate) fn chat_join(
        &mut self,
        slot: u32,
        view: &View,
        after: After,
        history: Option<u32>,
        reference: Reference,
    ) {
        let room = match self.enter(slot, view) {
            Ok(room) => room,
            Err(why) => {
                let code = match why {
                    NoRoom::Session => Code::TooManyRooms,
                    NoRoom::Rooms => Code::ServerFull,
                    NoRoom::Members => Code::RoomFull,
                    NoRoom::Forbidden => Code::Forbidden,
                };
                self.refuse(slot, code, &reference);
                return;
            }
        };
        self.reset(slot, room);
        let Some(chat) = &self.rooms.get(room).chat else { return };
        let history = self.history_limit(history.unwrap_or(chat.history));
        self.add_cursor(slot, Cursor { reference, ..Cursor::new(room, 0, Stage::Opening) });
        self.want(slot, Want::Open { room, after, history });
    }

    /// Puts a session into the room of a view, if there is room for it.
    fn enter(&mut self, slot: u32, view: &View) -> Result<u32, NoRoom> {
        if let Some(room) = self.joined_room(slot, view.name()) {
            return Ok(room);
        }
        if !self.may_enter(slot, view) {
            return Err(self.count_refused(NoRoom::Session));
        }
        self.join_within(slot, view.name())?;
        let room = self.joined_room(slot, view.name()).ok_or(NoRoom::Rooms)?;
        self.furnish(room, view);
        self.enter_presence(slot, room);
        Ok(room)
    }

    /// Makes a room of the hub a chat room.
    pub(crate) fn furnish(&mut self, room: u32, view: &View) {
        let Some(shared) = &self.chat else { return };
        let found = &mut self.rooms.rooms[room as usize];
        found.chat.get_or_insert_with(|| {
            let rule = match view.ends() {
                None => shared.rules.of(view.name()),
                Some(_) => shared.rules.default_rule(),
            };
            let presence = if view.ends().is_some() { PresenceMode::Off } else { rule.presence };
            Box::new(ChatRoom::new(view.clone(), presence, rule.history))
        });
    }

    /// Forgets where a session was in a room, and what is queued for it of that.
    fn reset(&mut self, slot: u32, room: u32) {
        self.withdraw_join(slot, room);
        self.let_go(slot, |outbox| outbox.let_go_of(room));
    }

    /// Ends a session's cursor in a room, and the reads for it that were not made yet.
    fn forget_cursor(&mut self, slot: u32, room: u32) -> Option<Cursor> {
        let cursor = self.end_cursor(slot, room)?;
        if let Some(chat) = &mut self.sessions[slot as usize].chat {
            chat.wants
                .retain(|want| !matches!(want, Want::Open { room: wanted, .. } if *wanted == room));
        }
        Some(cursor)
    }

    /// The same where the session has something else in mind. A join that was not answered yet is answered now.
    fn withdraw_join(&mut self, slot: u32, room: u32) {
        if let Some(cursor) = self.forget_cursor(slot, room).filter(Cursor::is_opening) {
            self.withdraw(slot, &cursor.reference);
        }
    }

    /// Takes what was read for a session.
    pub(crate) fn found_for_session(
        &mut self,
        slot: u32,
        want: Want,
        after: Seq,
        finding: Finding,
    ) {
        match (want, finding) {
            (Want::Open { room, after, .. }, Finding::Page(page)) => {
                let opened = self.opened(slot, room, after, page);
                let chat = self.sessions[slot as usize].chat.as_mut();
                if let Some(cursor) = chat.and_then(|chat| chat.cursor(room))
                    && matches!(cursor.stage, Stage::Asked)
                {
                    cursor.stage = Stage::Opened(Box::new(opened));
                    self.try_answer_join(slot, room);
                }
            }
            (Want::Next { room }, Finding::Page(page)) => self.take_page(slot, room, after, &page),
            (Want::History { view, reference, .. }, Finding::Page(page)) => {
                // It may have lost that since it asked.
                if !self.may_look_back(slot, &view) {
                    return self.refuse(slot, Code::Forbidden, &reference);
                }
                let history =
                    reply::History { view: &view, page: &page, reference: reference.as_deref() };
                self.reply(slot, |out| history.write(out));
            }
            (Want::Rooms { reference, .. }, Finding::Conversations { list, more }) => {
                let has_direct = self.access(slot).is_some_and(|access| access.has_direct());
                let list = if has_direct { &list[..] } else { &[] };
                self.answer_rooms(slot, list, more && has_direct, &reference);
            }
            (Want::Welcome { reference }, Finding::Conversations { list, .. }) => {
                self.answer_hello(slot, None, &list, &reference);
            }
            _ => {}
        }
    }

    /// What a session that joins is answered with the page that was read for it. Who may not read what was said before
    /// begins at the end of the log, and one that comes back is told what it has missed for good.
    fn opened(&self, slot: u32, room: u32, after: After, mut page: Page) -> Opened {
        let after = after.filter(|(epoch, seq)| **epoch == *page.epoch && *seq <= page.seq);
        if self.rights_in(slot, room).has(Right::History) {
            let is_resumed = after.is_some_and(|(_, seq)| seq <= page.reached);
            return Opened { page, is_resumed };
        }
        page.gap = after.filter(|(_, seq)| *seq < page.seq).map(|(_, seq)| (seq, page.seq));
        page.reached = page.seq;
        page.more = false;
        page.bytes.clear();
        page.ends.clear();
        Opened { page, is_resumed: false }
    }

    /// Whether a session may still read what was said in a conversation that it was a member of when it asked.
    fn may_look_back(&self, slot: u32, view: &View) -> bool {
        match view.ends() {
            Some(_) => self.access(slot).is_some_and(|access| access.has_direct()),
            None => self.rights_for(slot, view.name()).has(Right::History),
        }
    }

    /// Says that a session has joined, if its page is there and it is known who is in the room.
    pub(crate) fn try_answer_join(&mut self, slot: u32, room: u32) {
        if !self.is_counted(slot, room) {
            let id = self.id(slot);
            if let Some(chat) = &mut self.rooms.get_mut(room).chat {
                chat.joining.push(id);
            }
            return;
        }
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
        let Stage::Opened(_) = cursor.stage else { return };
        let Stage::Opened(opened) = std::mem::replace(&mut cursor.stage, Stage::Behind) else {
            return;
        };
        let reference = cursor.reference.take();
        self.answer_join(slot, room, *opened, &reference);
    }

    fn answer_join(&mut self, slot: u32, room: u32, opened: Opened, reference: &Reference) {
        let Opened { mut page, is_resumed } = opened;
        let roster = self.roster(room);
        let rev = roster.as_ref().map_or(0, |roster| roster.rev);
        let shows = self.rights_in(slot, room).has(Right::Members);
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        chat.known = chat.known.max(page.seq);
        let view = chat.view.clone();
        let joined = reply::Joined {
            view: &view,
            page: &page,
            messages: if is_resumed { Messages::Behind } else { Messages::Here },
            members: roster.as_ref().filter(|_| shows).map(Roster::as_reply),
            reference: reference.as_deref(),
        };
        self.reply(slot, |out| joined.write(out));
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
        cursor.rev = rev;
        if is_resumed {
            cursor.stage = Stage::Reading;
            let after = cursor.after;
            // It has just been told.
            page.gap = None;
            self.take_page(slot, room, after, &page);
        } else {
            cursor.after = page.seq;
            self.go_live(slot, room);
        }
    }

    /// Gives a session the page that was read for its cursor at that position.
    fn take_page(&mut self, slot: u32, room: u32, after: Seq, page: &Page) {
        let chat = self.sessions[slot as usize].chat.as_mut();
        let Some(cursor) = chat.and_then(|chat| chat.cursor(room)) else { return };
        if !matches!(cursor.stage, Stage::Reading) || cursor.after != after {
            return;
        }
        cursor.after = page.complete_to();
        cursor.stage = Stage::Behind;
        let Some(chat) = &self.rooms.get(room).chat else { return };
        let view = chat.view.clone();
        if let Some((from, to)) = page.gap {
            let gap = reply::Gap { view: &view, from, to };
            self.reply(slot, |out| gap.write(out));
        }
        let bytes = page_frames(page);
        self.counters.deliveries += frames(&bytes).count() as u64;
        self.queue(slot, |outbox| outbox.push_logged(&bytes, room));
        if !page.more {
            self.go_live(slot, room);
        }
    }

    /// Those of a room's newcomers are told they have joined who waited for its presence to be known.
    pub(crate) fn presence_is_known(&mut self, room: u32) {
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        let joining: Vec<SessionId> = std::mem::take(&mut chat.joining);
        for slot in joining.into_iter().filter_map(|session| self.slot(session)).collect::<Vec<_>>()
        {
            self.try_answer_join(slot, room);
        }
    }

    /// What a session leaves behind in a chat room.
    pub(crate) fn leave_chat_room(&mut self, slot: u32, room: u32) {
        if self.sessions[slot as usize].chat.is_some() && self.rooms.get(room).chat.is_some() {
            self.leave_presence(slot, room);
            self.forget_cursor(slot, room);
        }
    }

    /// Ends a membership.
    pub(crate) fn chat_leave(&mut self, slot: u32, room: u32, reference: &Reference) {
        let Some(chat) = &self.rooms.get(room).chat else { return };
        let view = chat.view.clone();
        self.withdraw_join(slot, room);
        self.leave(slot, room);
        self.reply(slot, |out| {
            reply::Left { view: &view, reference: reference.as_deref() }.write(out)
        });
    }
}

/// The messages of a page, as frames.
pub(crate) fn page_frames(page: &Page) -> Vec<u8> {
    let (mut bytes, mut start) = (Vec::with_capacity(page.bytes.len() + 4 * page.ends.len()), 0);
    for &(_, end) in &page.ends {
        // What the log holds was made by the server itself, as text.
        if let Ok(text) = str::from_utf8(&page.bytes[start..end]) {
            frame::encode(Message::Text(text), &mut bytes);
        }
        start = end;
    }
    bytes
}
