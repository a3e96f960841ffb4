//! The shard's hooks for presence: who enters and leaves a room, what of that is sent to the other shards at the end of
//! the turn, and what the members of this shard are told. The rules are in [`rooms::presence`](crate::rooms::presence).

use std::sync::Arc;
use std::time::Instant;

use crate::hub::directory::Watch;
use crate::hub::outgoing::Outgoing;
use crate::protocol::chat::reply::{Change, Presence};
use crate::rooms::presence::{Carrier, Event, Happening, Mode, Note, Replica};
use crate::shard::state::State;

/// Seconds between two announcements of a count that hardly changed.
pub(crate) const COUNT_SECS: u64 = 2;

/// Sends notes with the turn's batches.
struct Post<'a> {
    outgoing: &'a mut Outgoing,
    watch: Option<&'a dyn Watch>,
    now: Instant,
}

impl Carrier for Post<'_> {
    fn takes(&self, shard: usize) -> bool {
        self.outgoing.takes_notes(shard)
    }

    fn carry(&mut self, shard: usize, note: Note) {
        self.outgoing.append_note(shard, note, self.now);
    }

    fn happened(&mut self, room: u64, events: &[Event]) {
        if let Some(watch) = self.watch {
            events.iter().for_each(|event| watch.member(room, &event.what));
        }
    }
}

/// Rooms are named by their position in the shard's slab.
impl State {
    /// A session of the user has joined the room. Once for each session.
    pub(crate) fn presence_enter(
        &mut self,
        room: u32,
        mode: Mode,
        user: &Arc<str>,
        name: &Arc<str>,
    ) {
        if !self.is_stopping {
            self.presence.enter(self.rooms.get(room).entry.id, mode, user, name);
        }
    }

    /// A session of the user is about to leave the room. Once for each that entered, while it is still a member.
    pub(crate) fn presence_leave(&mut self, room: u32, user: &str) {
        // When the server stops everybody leaves, and nobody is left to be told.
        if !self.is_stopping {
            self.presence.leave(self.rooms.get(room).entry.id, user);
        }
    }

    /// Who is in the room, as the members of this shard were told; `None` where presence is off or the room's home has
    /// not answered yet.
    pub(crate) fn presence_of(&self, room: u32) -> Option<&Replica> {
        self.presence.replica(self.rooms.get(room).entry.id)
    }

    /// Whether the user, of whom a session of this shard has entered, is in [`presence_of`](Self::presence_of) and stays
    /// there whatever sessions of theirs end on other shards. True where presence is off.
    pub(crate) fn is_presence_known(&self, room: u32, user: &str) -> bool {
        self.presence.is_known(self.rooms.get(room).entry.id, user)
    }

    /// Takes what another shard said.
    pub(crate) fn take_note(&mut self, note: Note) {
        if !self.is_stopping {
            self.presence.take(note);
        }
    }

    /// Says what changed in this turn to the shards that have to know; what happened in the rooms of this shard, in
    /// order, for its members to be told.
    pub(crate) fn flush_presence(&mut self) -> Vec<(u32, Event)> {
        if self.is_stopping {
            self.presence.clear();
            return Vec::new();
        }
        let watch = self.hub.directory.watcher();
        let mut post = Post { outgoing: &mut self.outgoing, watch, now: self.now };
        self.presence.flush(self.tick, &mut post);
        let rooms = &self.rooms;
        let events = self.presence.take_events().into_iter();
        events.filter_map(|(id, event)| Some((rooms.find_id(id)?, event))).collect()
    }

    /// Rooms whose [`presence_of`](Self::presence_of) is new, or of whose users more
    /// [are known](Self::is_presence_known), since this was asked the last time.
    pub(crate) fn take_presence_changes(&mut self) -> Vec<u32> {
        let rooms = &self.rooms;
        self.presence.take_changed().into_iter().filter_map(|id| rooms.find_id(id)).collect()
    }

    /// Ends the turn's presence: the other shards get notes, and the members of this one hear what happened, all of it
    /// in the room's next flush.
    pub(crate) fn tell_presence(&mut self) {
        if self.presence.is_quiet() {
            return;
        }
        for (room, event) in self.flush_presence() {
            let name = self.rooms.get(room).entry.name.clone();
            self.announce(room, |out| presence(&name, &event).write(out));
            self.gather(room, self.now).has_presence = true;
            self.is_congested(room);
        }
    }

    /// Whether another turn has something to tell that could be sent.
    pub(crate) fn has_to_tell(&self) -> bool {
        self.presence.has_to_flush() && self.outgoing.has_room_for_notes()
    }
}

/// What the members of a room are told when somebody comes or goes.
fn presence<'a>(room: &'a str, event: &'a Event) -> Presence<'a> {
    let change = match &event.what {
        Happening::Join { user, name } => Change::Join { user, name },
        Happening::Leave { user, name } => Change::Leave { user, name },
        Happening::Count => Change::Count,
    };
    Presence { room, rev: event.rev, change, count: event.count as u64 }
}
