//! Direct conversations on a shard: open at every session of their ends as soon as something is said, joined or not.

use crate::log::Seq;
use crate::rooms::conversation::View;
use crate::shard::chat::session::{Cursor, Stage};
use crate::shard::state::State;

impl State {
    /// Has a session of one end of a direct conversation see what is said in it after a position.
    pub(crate) fn attach(&mut self, slot: u32, view: &View, after: Seq) {
        if self.sessions.get(slot as usize).is_none()
            || self.joined_room(slot, view.name()).is_some()
        {
            return;
        }
        self.make_room_for(slot, view);
        self.join_beyond(slot, view.name());
        let Some(room) = self.joined_room(slot, view.name()) else { return };
        self.furnish(room, view);
        // What was gathered before is excluded already; what is still to come from before that position is by this.
        self.add_cursor(slot, Cursor::new(room, after, Stage::Live));
    }

    /// Whether a session may open one conversation more. Its rooms and its direct conversations have a bound each: what
    /// others write to it does not keep it out of a room.
    pub(crate) fn may_enter(&mut self, slot: u32, view: &View) -> bool {
        self.make_room_for(slot, view);
        self.like(slot, view).count() < self.bounds.rooms_per_session_max
    }

    /// Closes a direct conversation of a session that has too many open to get another one: one that nothing is on its
    /// way of. What is said in it next opens it again.
    fn make_room_for(&mut self, slot: u32, view: &View) {
        if view.ends().is_none()
            || self.like(slot, view).count() < self.bounds.rooms_per_session_max
        {
            return;
        }
        let session = &self.sessions[slot as usize];
        let queued = session.extra.as_ref().map(|extra| extra.outbox.logged_rooms());
        let is_idle = |room: &u32| {
            let found = self.rooms.get(*room);
            let is_behind = found.chat.as_ref().is_some_and(|chat| chat.behind.is_some());
            let cursors = session.chat.iter().flat_map(|chat| &chat.cursors);
            found.is_quiet()
                && !is_behind
                && cursors.into_iter().all(|cursor| cursor.room != *room)
                && queued.as_ref().is_none_or(|queued| !queued.contains(room))
        };
        let idle = self.like(slot, view).find(is_idle);
        if let Some(room) = idle {
            self.leave(slot, room);
        }
    }

    /// The rooms of a session that are direct conversations or not, as that one is.
    fn like(&self, slot: u32, view: &View) -> impl Iterator<Item = u32> {
        let is_direct = view.ends().is_some();
        let rooms = self.sessions[slot as usize].memberships().map(|member| member.room);
        rooms.filter(move |room| {
            let chat = self.rooms.get(*room).chat.as_ref();
            chat.is_some_and(|chat| chat.view.ends().is_some() == is_direct)
        })
    }
}
