//! Presence: who is in a room, one entry a user however many sessions, in one order for everyone.
//!
//! One shard orders what happens in a room: its home, which need not have members of it. Each shard that has some tells
//! the home what changed for its own users ([`local`]); the home puts that together ([`home`]), numbers what came of it
//! with `rev`, and tells the shards with members, each of which keeps what it was told ([`replica`]). [`Note`]s carry it.
//! Whoever came and went between two looks of their shard, or of the home, is never spoken of.
//!
//! Nothing here sends, waits or reads a clock; [`Carrier`] is what it sends by. Between two shards notes arrive in
//! order, and all of them. A room is named by its id in the directory, which is never given to another one: what is
//! still on the way for a room that is gone finds nobody.

mod home;
mod local;
mod note;
mod replica;

#[cfg(test)]
mod model;

pub(crate) use note::{Event, Happening, Note};
pub(crate) use replica::Replica;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::rooms::presence::home::Home;
use crate::rooms::presence::local::Local;
use crate::rooms::presence::note::Delta;

/// Maps are given back when they hold this many times more than they need.
const SPARE_CAPACITY_MAX: usize = 4096;

/// How much of a room's presence is told to its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everyone by name, until the room has more users than this; then their number until the room is empty.
    Members { max: usize },
    /// How many they are.
    Count,
    /// Nothing.
    Off,
}

/// What takes notes to other shards.
pub(crate) trait Carrier {
    /// Whether a note for that shard would be on its way soon. Until then what happens goes on gathering.
    fn takes(&self, shard: usize) -> bool;

    /// Takes a note for another shard; never loses one.
    fn carry(&mut self, shard: usize, note: Note);

    /// Hears, at the home of a room, what happened there, in order: also the end, of which no member is left to hear.
    fn happened(&mut self, _room: u64, _events: &[Event]) {}
}

/// One shard's part in the presence of all rooms.
pub(crate) struct Presence {
    shard: usize,
    shards: usize,
    /// Ticks between two announcements of a count that hardly changed.
    count_ticks: u32,
    /// The tick of the last flush.
    tick: u32,
    /// Deltas said so far; they are numbered from 1.
    deltas: u64,
    /// Rooms with users of this shard.
    members: HashMap<u64, Member>,
    /// Rooms that this shard is the home of.
    homes: HashMap<u64, Home>,
    /// Rooms of which something may have to be said to the home.
    unsaid: BTreeSet<u64>,
    /// Rooms of which something may have to be said to the members.
    unanswered: BTreeSet<u64>,
    /// Rooms whose count differs from the announced one by so little that it waits.
    lagging: BTreeSet<u64>,
    /// Rooms of which something new is known since the last look.
    changed: BTreeSet<u64>,
    /// What happened since the last look, in order.
    events: Vec<(u64, Event)>,
}

/// A room that this shard has users in.
struct Member {
    mode: Mode,
    local: Local,
    /// What the home said; nothing yet at first.
    replica: Option<Replica>,
    /// The first delta of this stay, once it was said. Answers to those before are not for it.
    first: Option<u64>,
    /// The last delta that the home has taken.
    heard: u64,
}

impl Presence {
    /// For one of so many shards. `count_ticks` is the time between two announcements of a count that hardly changed.
    pub(crate) fn new(shard: usize, shards: usize, count_ticks: u32) -> Self {
        Self {
            shard,
            shards,
            count_ticks,
            tick: 0,
            deltas: 0,
            members: HashMap::new(),
            homes: HashMap::new(),
            unsaid: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            lagging: BTreeSet::new(),
            changed: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// A session of the user is in the room now.
    pub(crate) fn enter(&mut self, room: u64, mode: Mode, user: &Arc<str>, name: &Arc<str>) {
        if mode == Mode::Off {
            return;
        }
        let member = self.members.entry(room).or_insert_with(|| Member::new(mode));
        member.local.enter(user, name);
        self.unsaid.insert(room);
    }

    /// A session of the user is in the room no more.
    pub(crate) fn leave(&mut self, room: u64, user: &str) {
        if let Some(member) = self.members.get_mut(&room) {
            member.local.leave(user);
            self.unsaid.insert(room);
        }
    }

    /// No session is in the room any more.
    pub(crate) fn forget(&mut self, room: u64) {
        if let Some(member) = self.members.get_mut(&room) {
            member.local.clear();
            self.unsaid.insert(room);
        }
    }

    /// Who is in the room, as far as this shard was told.
    pub(crate) fn replica(&self, room: u64) -> Option<&Replica> {
        self.members.get(&room)?.replica.as_ref()
    }

    /// Whether the home knows that the user is in the room through this shard, and the replica shows it. From then on
    /// it does not matter to anybody when the user's sessions on other shards end. True, too, where presence is off.
    pub(crate) fn is_known(&self, room: u64, user: &str) -> bool {
        self.members.get(&room).is_none_or(|member| {
            member.replica.is_some()
                && member.local.told(user).is_some_and(|delta| delta <= member.heard)
        })
    }

    /// Takes what another shard said.
    pub(crate) fn take(&mut self, note: Note) {
        match note {
            Note::Delta(delta) => self.hear(delta),
            Note::Snapshot { room, heard, replica } => {
                let Some(member) = self.members.get_mut(&room) else { return };
                if member.first.is_some_and(|first| first <= heard) {
                    member.replica = Some(replica);
                    member.heard = heard;
                    self.changed.insert(room);
                }
            }
            Note::Events { room, heard, events } => {
                let Some(member) = self.members.get_mut(&room) else { return };
                // Without a snapshot they are still those of the stay before.
                let Some(replica) = &mut member.replica else { return };
                member.heard = heard;
                let new = events.iter().filter(|event| replica.apply(event));
                self.events.extend(new.map(|event| (room, event.clone())));
                self.changed.insert(room);
            }
        }
    }

    /// Ends a turn: says what changed here, and what came of it in the rooms that this shard is the home of.
    pub(crate) fn flush(&mut self, tick: u32, carrier: &mut impl Carrier) {
        for room in std::mem::take(&mut self.unsaid) {
            self.say(room, carrier);
        }
        if self.tick != tick {
            self.tick = tick;
            self.unanswered.append(&mut self.lagging);
        }
        for room in std::mem::take(&mut self.unanswered) {
            self.answer(room, carrier);
        }
    }

    /// Whether nothing has happened, nor is anything left to be said.
    pub(crate) fn is_quiet(&self) -> bool {
        let sets = [&self.unsaid, &self.unanswered, &self.lagging, &self.changed];
        sets.iter().all(|rooms| rooms.is_empty()) && self.events.is_empty()
    }

    /// Whether another flush has something to do, if the carrier takes it.
    pub(crate) fn has_to_flush(&self) -> bool {
        !self.unsaid.is_empty() || !self.unanswered.is_empty()
    }

    /// What happened in the rooms that have users here, in order. Each is in its room's replica already.
    pub(crate) fn take_events(&mut self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.events)
    }

    /// Rooms whose replica came or changed, or whose home has heard of more of this shard's users.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.changed)
    }

    /// Lets go of everything, without a word to anybody.
    pub(crate) fn clear(&mut self) {
        *self =
            Self { deltas: self.deltas, ..Self::new(self.shard, self.shards, self.count_ticks) };
    }

    /// Gives memory back that a crowd of rooms left behind.
    pub(crate) fn shrink(&mut self) {
        if self.members.capacity() > 4 * self.members.len() + SPARE_CAPACITY_MAX {
            self.members.shrink_to_fit();
        }
        if self.homes.capacity() > 4 * self.homes.len() + SPARE_CAPACITY_MAX {
            self.homes.shrink_to_fit();
        }
    }

    /// Whether nothing is kept of any room.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.homes.is_empty()
    }

    fn home(&self, room: u64) -> usize {
        (room % self.shards as u64) as usize
    }

    fn say(&mut self, room: u64, carrier: &mut impl Carrier) {
        let home = self.home(room);
        if home != self.shard && !carrier.takes(home) {
            self.unsaid.insert(room);
            return;
        }
        let Some(member) = self.members.get_mut(&room) else { return };
        let number = self.deltas + 1;
        let changes = member.local.take_changes(number);
        let (mode, is_last) = (member.mode, member.local.is_empty());
        if !changes.is_empty() {
            self.deltas = number;
            member.first.get_or_insert(number);
            let delta = Delta { room, shard: self.shard, number, mode, changes, is_last };
            if home == self.shard {
                self.hear(delta);
            } else {
                carrier.carry(home, Note::Delta(delta));
            }
        }
        if is_last {
            self.members.remove(&room);
            self.changed.remove(&room);
        }
    }

    fn hear(&mut self, delta: Delta) {
        let room = delta.room;
        self.homes.entry(room).or_insert_with(|| Home::new(delta.mode)).hear(delta);
        self.unanswered.insert(room);
    }

    fn answer(&mut self, room: u64, carrier: &mut impl Carrier) {
        let Some(home) = self.homes.get_mut(&room) else { return };
        if home.peers().next().is_none() {
            carrier.happened(room, &home.take_events(self.tick, self.count_ticks));
            self.homes.remove(&room);
            return;
        }
        let own = self.shard;
        if home.peers().any(|shard| shard != own && !carrier.takes(shard)) {
            self.unanswered.insert(room);
            return;
        }
        let events: Arc<[Event]> = home.take_events(self.tick, self.count_ticks).into();
        carrier.happened(room, &events);
        if home.is_lagging() {
            self.lagging.insert(room);
        }
        let mut to_self = None;
        home.answer(room, &events, |shard, note| match shard == own {
            true => to_self = Some(note),
            false => carrier.carry(shard, note),
        });
        if let Some(note) = to_self {
            self.take(note);
        }
    }
}

impl Member {
    fn new(mode: Mode) -> Self {
        Self { mode, local: Local::default(), replica: None, first: None, heard: 0 }
    }
}
