//! Shards without threads, and wires between them that keep order and are as slow as a test wants, beside a model of
//! what every member of a room is promised.

mod churn;
mod storms;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::{Carrier, Event, Happening, Mode, Note, Presence};

/// Ticks after which a count that hardly changed is told.
const COUNT_TICKS: u32 = 8;

/// Notes on the way from one shard to each other one.
struct Wires {
    queues: Vec<VecDeque<Note>>,
    /// Shards that take nothing just now.
    blocked: BTreeSet<usize>,
    sent: usize,
}

impl Wires {
    fn new(shards: usize) -> Self {
        Self { queues: vec![VecDeque::new(); shards], blocked: BTreeSet::new(), sent: 0 }
    }
}

impl Carrier for Wires {
    fn takes(&self, shard: usize) -> bool {
        !self.blocked.contains(&shard)
    }

    fn carry(&mut self, shard: usize, note: Note) {
        assert!(self.takes(shard), "it was asked before");
        self.queues[shard].push_back(note);
        self.sent += 1;
    }
}

/// What the members of a room on one shard were told so far, put together by nothing but the events.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    rev: u64,
    users: Option<BTreeMap<String, String>>,
    count: usize,
}

/// A node.
struct Net {
    shards: Vec<Presence>,
    wires: Vec<Wires>,
    tick: u32,
    mode: fn(u64) -> Mode,
    /// Sessions by shard, room and user.
    truth: BTreeMap<(usize, u64, String), usize>,
    /// By shard and room.
    seen: HashMap<(usize, u64), Seen>,
    /// Events that members were told, by shard and room.
    told: Vec<(usize, u64, Event)>,
}

impl Net {
    fn new(shards: usize, mode: fn(u64) -> Mode) -> Self {
        Self {
            shards: (0..shards).map(|own| Presence::new(own, shards, COUNT_TICKS)).collect(),
            wires: (0..shards).map(|_| Wires::new(shards)).collect(),
            tick: 0,
            mode,
            truth: BTreeMap::new(),
            seen: HashMap::new(),
            told: Vec::new(),
        }
    }

    fn enter(&mut self, shard: usize, room: u64, user: &str, name: &str) {
        let key = (shard, room, user.to_owned());
        *self.truth.entry(key).or_default() += 1;
        let (user, name): (Arc<str>, Arc<str>) = (user.into(), name.into());
        self.shards[shard].enter(room, (self.mode)(room), &user, &name);
    }

    /// False if the user has no session there.
    fn leave(&mut self, shard: usize, room: u64, user: &str) -> bool {
        let key = (shard, room, user.to_owned());
        let Some(sessions) = self.truth.get_mut(&key) else { return false };
        *sessions -= 1;
        if *sessions == 0 {
            self.truth.remove(&key);
        }
        self.shards[shard].leave(room, user);
        true
    }

    /// Every session of the shard leaves the room.
    fn forget(&mut self, shard: usize, room: u64) {
        self.truth.retain(|key, _| (key.0, key.1) != (shard, room));
        self.shards[shard].forget(room);
    }

    /// The end of a shard's turn, in which some others take nothing.
    fn flush(&mut self, shard: usize, blocked: impl IntoIterator<Item = usize>) {
        self.wires[shard].blocked = blocked.into_iter().collect();
        self.shards[shard].flush(self.tick, &mut self.wires[shard]);
        self.look(shard);
    }

    /// The next note on one wire arrives. False if there is none.
    fn deliver(&mut self, from: usize, to: usize) -> bool {
        let Some(note) = self.wires[from].queues[to].pop_front() else { return false };
        self.shards[to].take(note);
        self.look(to);
        true
    }

    /// Everything that is on the way arrives, and what comes of it, until there is nothing more.
    fn settle(&mut self) {
        let shards = self.shards.len();
        let mut is_busy = true;
        while is_busy {
            is_busy = false;
            for shard in 0..shards {
                is_busy |= self.shards[shard].has_to_flush();
                self.flush(shard, []);
            }
            for (from, to) in (0..shards).flat_map(|from| (0..shards).map(move |to| (from, to))) {
                while self.deliver(from, to) {
                    is_busy = true;
                }
            }
        }
    }

    /// The members of one shard hear what happened.
    fn look(&mut self, shard: usize) {
        for (room, event) in self.shards[shard].take_events() {
            let seen = self.seen.get_mut(&(shard, room)).expect("a snapshot came before");
            seen.hear(&event);
            self.told.push((shard, room, event));
        }
        let changed = self.shards[shard].take_changed();
        let presence = &self.shards[shard];
        self.seen.retain(|key, _| key.0 != shard || presence.replica(key.1).is_some());
        for room in changed {
            let found = seen(presence, room).expect("a replica is what has changed");
            let expected = self.seen.entry((shard, room)).or_insert_with(|| found.clone());
            assert_eq!(*expected, found, "a replica is what the events say");
        }
        self.check_known(shard);
    }

    /// Whoever is known is shown.
    fn check_known(&self, shard: usize) {
        for (at, room, user) in self.truth.keys().filter(|key| key.0 == shard) {
            let presence = &self.shards[*at];
            if (self.mode)(*room) != Mode::Off && presence.is_known(*room, user) {
                let replica = presence.replica(*room).expect("known to somebody");
                let is_shown =
                    replica.users().is_none_or(|mut users| users.any(|one| one.0 == user));
                assert!(is_shown, "{user} is known, and absent from room {room} on shard {at}");
            }
        }
    }

    /// With nothing on the way, everybody knows who is there, and nobody keeps anything of a room that is empty.
    fn check_at_rest(&self) {
        let mut rooms: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        let mut members: BTreeSet<(usize, u64)> = BTreeSet::new();
        for (shard, room, user) in self.truth.keys() {
            if (self.mode)(*room) != Mode::Off {
                rooms.entry(*room).or_default().insert(user);
                members.insert((*shard, *room));
                assert!(self.shards[*shard].is_known(*room, user));
            }
        }
        for &(shard, room) in &members {
            let replica = self.shards[shard].replica(room).expect("it came");
            assert_eq!(replica.count(), rooms[&room].len());
            if let Some(users) = replica.users() {
                let users: Vec<_> = users.map(|(user, _)| user).collect();
                assert_eq!(users, rooms[&room].iter().copied().collect::<Vec<_>>());
            }
            let all = members.iter().filter(|member| member.1 == room);
            assert!(
                all.map(|&(at, _)| self.shards[at].replica(room)).all(|at| at == Some(replica))
            );
        }
        let kept = self.shards.iter().enumerate();
        let kept = kept.flat_map(|(at, shard)| shard.members.keys().map(move |room| (at, *room)));
        assert_eq!(kept.collect::<BTreeSet<_>>(), members);
        let homes = || self.shards.iter().flat_map(|shard| &shard.homes);
        let kept = homes().map(|(room, _)| *room);
        assert_eq!(kept.collect::<BTreeSet<_>>(), rooms.keys().copied().collect());
        assert!(homes().all(|(_, home)| home.is_at_rest()));
    }
}

impl Seen {
    /// No event is skipped, none comes twice, and none says what is so already.
    fn hear(&mut self, event: &Event) {
        assert_eq!(event.rev, self.rev + 1);
        (self.rev, self.count) = (event.rev, event.count);
        match &event.what {
            Happening::Join { user, name } => {
                let users = self.users.as_mut().expect("by name");
                let before = users.insert(user.to_string(), name.to_string());
                assert_ne!(before.as_deref(), Some(&**name), "{user} was there");
                assert_eq!(users.len(), event.count);
            }
            Happening::Leave { user, name } => {
                let users = self.users.as_mut().expect("by name");
                assert_eq!(users.remove(&**user).as_deref(), Some(&**name));
                assert_eq!(users.len(), event.count);
            }
            Happening::Count => self.users = None,
        }
    }
}

fn seen(presence: &Presence, room: u64) -> Option<Seen> {
    let replica = presence.replica(room)?;
    let text = |(user, name): (&str, &str)| (user.to_owned(), name.to_owned());
    let users = replica.users().map(|users| users.map(text).collect());
    Some(Seen { rev: replica.rev(), users, count: replica.count() })
}
