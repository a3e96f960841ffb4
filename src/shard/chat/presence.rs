//! Who is in a chat room, as its sessions are told.

use std::sync::Arc;

use crate::gate::permissions::Right;
use crate::protocol::chat::Code;
use crate::protocol::chat::reply::{self, Members, write_users};
use crate::rooms::presence::{Mode, Replica};
use crate::rooms::rules::PresenceMode;
use crate::shard::chat::answers::text;
use crate::shard::chat::session::Reference;
use crate::shard::state::State;

/// Who is in a room, ready to be told.
pub(crate) struct Roster {
    pub(crate) rev: u64,
    count: u64,
    /// A list of users as JSON text; `None` where they are only counted.
    users: Option<String>,
}

impl Roster {
    fn new(replica: &Replica) -> Self {
        let users = replica.users().map(|users| text(|out| write_users(out, users)));
        Self { rev: replica.rev(), count: replica.count() as u64, users }
    }

    pub(crate) fn as_reply(&self) -> reply::Roster<'_> {
        reply::Roster { rev: self.rev, count: self.count, users: self.users.as_deref() }
    }
}

impl State {
    /// Says that a session has entered a room.
    pub(crate) fn enter_presence(&mut self, slot: u32, room: u32) {
        let Some((mode, user, name)) = self.presence_for(slot, room) else { return };
        self.presence_enter(room, mode, &user, &name);
    }

    /// Says that it is about to leave.
    pub(crate) fn leave_presence(&mut self, slot: u32, room: u32) {
        if let Some((_, user, _)) = self.presence_for(slot, room) {
            self.presence_leave(room, &user);
        }
    }

    /// Whether everybody who asks is told that the session's user is in the room.
    pub(crate) fn is_counted(&self, slot: u32, room: u32) -> bool {
        self.presence_for(slot, room).is_none_or(|(_, user, _)| self.is_presence_known(room, &user))
    }

    /// Who is in the room; `None` where nobody is told.
    pub(crate) fn roster(&self, room: u32) -> Option<Roster> {
        self.presence_of(room).map(Roster::new)
    }

    /// The same as a message; `None` too where the room has nobody on this shard.
    pub(crate) fn members_of(&self, route: u16, name: &str) -> Option<String> {
        let roster = self.roster(self.rooms.find(route, name)?)?;
        let members = Members { room: name, roster: roster.as_reply(), reference: None };
        Some(text(|out| members.write(out)))
    }

    /// The answer to `members`.
    pub(crate) fn answer_members(&mut self, slot: u32, name: &str, reference: &Reference) {
        let Some(room) = self.joined_room(slot, name) else {
            self.refuse(slot, Code::NotJoined, reference);
            return;
        };
        if !self.rights_in(slot, room).has(Right::Members) {
            self.refuse(slot, Code::Forbidden, reference);
            return;
        }
        match self.roster(room) {
            Some(roster) => {
                let roster = roster.as_reply();
                let members = Members { room: name, roster, reference: reference.as_deref() };
                self.reply(slot, |out| members.write(out));
            }
            None if self.presence_for(slot, room).is_some() => {
                // Its join is not answered yet, for the same reason.
                self.refuse(slot, Code::NotJoined, reference);
            }
            None => self.refuse(slot, Code::PresenceOff, reference),
        }
    }

    /// Tells a session who is in a room, if that changed since it was told: it may have been passed over meanwhile.
    pub(crate) fn renew_presence(&mut self, slot: u32, room: u32, known: u64) {
        if self.hides_presence(slot, room) {
            return;
        }
        let Some(roster) = self.roster(room).filter(|roster| roster.rev != known) else { return };
        let Some(chat) = &self.rooms.get(room).chat else { return };
        let view = chat.view.clone();
        let members = Members { room: view.name(), roster: roster.as_reply(), reference: None };
        self.reply(slot, |out| members.write(out));
    }

    /// Answers the joins that waited for the presence of their rooms.
    pub(crate) fn answer_joins(&mut self) {
        if self.presence.is_quiet() {
            return;
        }
        for room in self.take_presence_changes() {
            self.presence_is_known(room);
        }
    }

    fn presence_for(&self, slot: u32, room: u32) -> Option<(Mode, Arc<str>, Arc<str>)> {
        let max = self.chat.as_ref()?.presence_members_max;
        let mode = match self.rooms.get(room).chat.as_ref()?.presence {
            PresenceMode::Members => Mode::Members { max },
            PresenceMode::Count => Mode::Count,
            PresenceMode::Off => return None,
        };
        let identity = &self.sessions[slot as usize].chat.as_ref()?.welcome()?.identity;
        Some((mode, identity.user.clone(), identity.name.clone()))
    }
}
