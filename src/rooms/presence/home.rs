//! The one place where the presence of a room is put together and numbered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::hub::shard_set::SHARDS_MAX;
use crate::rooms::presence::note::{Change, Delta};
use crate::rooms::presence::{Event, Happening, Mode, Note, Replica, SPARE_CAPACITY_MAX};

/// A count is announced at once when it is off the announced one by more than this part of that: so many joins into one
/// room cost some sixteen frames each, however many they are.
const COUNT_PARTS: usize = 16;

/// A room as its home shard knows it.
#[derive(Debug)]
pub(super) struct Home {
    /// [`Mode::Count`] since the room had too many users, even if there are fewer now: a room about that large would
    /// change all the time.
    mode: Mode,
    users: HashMap<Arc<str>, User>,
    /// Those of whom the members were told something else; of no use where they are told the count.
    changed: BTreeSet<Arc<str>>,
    /// Users who are in the room.
    present: usize,
    /// Shards with users in the room.
    peers: Vec<Peer>,
    /// The number of the last event, what was the count after it, and the tick of the last announced count.
    rev: u64,
    count: usize,
    announced: u32,
}

/// A bit for each shard.
type Shards = u128;

const _: () = assert!(SHARDS_MAX <= Shards::BITS as usize);

#[derive(Debug)]
struct User {
    /// What the last shard to speak of them calls them.
    name: Arc<str>,
    /// Those that have sessions of theirs.
    shards: Shards,
    /// The name that the members were told.
    told: Option<Arc<str>>,
}

impl User {
    fn is_told(&self) -> bool {
        self.told.as_ref() == (self.shards != 0).then_some(&self.name)
    }
}

#[derive(Debug)]
struct Peer {
    shard: usize,
    /// The last delta that came, and the last one that was answered: none yet for a shard that is new.
    heard: u64,
    answered: Option<u64>,
}

impl Home {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            users: HashMap::new(),
            changed: BTreeSet::new(),
            present: 0,
            peers: Vec::new(),
            rev: 0,
            count: 0,
            announced: 0,
        }
    }

    /// The shards with users in the room.
    pub(super) fn peers(&self) -> impl Iterator<Item = usize> {
        self.peers.iter().map(|peer| peer.shard)
    }

    /// Takes what one shard says.
    pub(super) fn hear(&mut self, delta: Delta) {
        let Delta { shard, number, changes, is_last, .. } = delta;
        for change in changes {
            self.note(change, 1 << shard);
        }
        let known = self.peers.iter().position(|peer| peer.shard == shard);
        match known {
            Some(known) if is_last => {
                self.peers.swap_remove(known);
            }
            Some(known) => self.peers[known].heard = number,
            None if is_last => {}
            None => self.peers.push(Peer { shard, heard: number, answered: None }),
        }
    }

    fn note(&mut self, change: Change, shard: Shards) {
        let Change { user, name } = change;
        let found = self.users.entry(user.clone()).or_insert_with(|| User {
            name: user.clone(),
            shards: 0,
            told: None,
        });
        let was_present = found.shards != 0;
        match name {
            Some(name) => {
                found.shards |= shard;
                found.name = name;
            }
            None => found.shards &= !shard,
        }
        let (is_present, is_told) = (found.shards != 0, found.is_told());
        self.present = self.present + usize::from(is_present) - usize::from(was_present);
        if !is_present && found.told.is_none() {
            self.users.remove(&user);
        }
        if is_told {
            self.changed.remove(&user);
        } else if self.mode != Mode::Count {
            self.changed.insert(user);
        }
    }

    /// What the members have to be told of the last turn.
    pub(super) fn take_events(&mut self, tick: u32, count_ticks: u32) -> Vec<Event> {
        if self.users.capacity() > 4 * self.users.len() + SPARE_CAPACITY_MAX {
            self.users.shrink_to_fit();
        }
        match self.mode {
            Mode::Members { max } if self.present <= max => {
                let changed = std::mem::take(&mut self.changed);
                changed.into_iter().filter_map(|user| self.tell(&user)).collect()
            }
            Mode::Members { .. } => {
                self.begin_counting();
                vec![self.announce(tick)]
            }
            _ if self.is_due(tick, count_ticks) => vec![self.announce(tick)],
            _ => Vec::new(),
        }
    }

    fn tell(&mut self, user: &Arc<str>) -> Option<Event> {
        let found = self.users.get_mut(user)?;
        let name = found.name.clone();
        let was_told = found.told.is_some();
        let what = if found.shards != 0 {
            self.count += usize::from(!was_told);
            found.told = Some(name.clone());
            Happening::Join { user: user.clone(), name }
        } else {
            let name = self.users.remove(user).and_then(|user| user.told)?;
            self.count -= 1;
            Happening::Leave { user: user.clone(), name }
        };
        self.rev += 1;
        Some(Event { rev: self.rev, what, count: self.count })
    }

    fn begin_counting(&mut self) {
        self.mode = Mode::Count;
        self.changed.clear();
        self.users.retain(|_, user| {
            user.told = None;
            user.shards != 0
        });
    }

    fn announce(&mut self, tick: u32) -> Event {
        self.rev += 1;
        self.count = self.present;
        self.announced = tick;
        Event { rev: self.rev, what: Happening::Count, count: self.count }
    }

    fn is_due(&self, tick: u32, count_ticks: u32) -> bool {
        let difference = self.present.abs_diff(self.count);
        let is_large = difference * COUNT_PARTS >= self.count;
        difference > 0 && (is_large || tick.wrapping_sub(self.announced) >= count_ticks)
    }

    /// Whether the members will have to be told of the count, though nothing else happens.
    pub(super) fn is_lagging(&self) -> bool {
        self.mode == Mode::Count && self.present != self.count
    }

    /// Tells every shard with users in the room what happened: those that are new get everything there is.
    pub(super) fn answer(
        &mut self,
        room: u64,
        events: &Arc<[Event]>,
        mut send: impl FnMut(usize, Note),
    ) {
        let mut peers = std::mem::take(&mut self.peers);
        for peer in &mut peers {
            let heard = peer.heard;
            match peer.answered.replace(heard) {
                None => send(peer.shard, Note::Snapshot { room, heard, replica: self.replica() }),
                Some(answered) if answered == heard && events.is_empty() => {}
                Some(_) => {
                    send(peer.shard, Note::Events { room, heard, events: events.clone() });
                }
            }
        }
        self.peers = peers;
    }

    /// Whether there is nothing to tell, and nothing kept of those who are gone.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        let is_told = |user: &User| self.mode == Mode::Count || user.is_told();
        let mut users = self.users.values();
        self.changed.is_empty() && users.all(|user| user.shards != 0 && is_told(user))
    }

    /// As of the last event.
    fn replica(&self) -> Replica {
        if self.mode == Mode::Count {
            return Replica::of_count(self.rev, self.count);
        }
        let told = |(user, found): (&Arc<str>, &User)| Some((user.clone(), found.told.clone()?));
        Replica::of_users(self.rev, self.users.iter().filter_map(told).collect::<BTreeMap<_, _>>())
    }
}
