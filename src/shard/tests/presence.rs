//! Presence with a real shard, over its mailbox and its batches, beside another shard of which there is only that part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::turns::{Peer, ROOMS, Turns};
use crate::hub::mailbox::Batch;
use crate::protocol::Actions;
use crate::rooms::presence::{Carrier, Mode, Note, Presence, Replica};
use crate::shard::actions::Desk;

const MODE: Mode = Mode::Members { max: 500 };

/// The notes of the other shard's turn.
struct Notes(Vec<Note>);

impl Carrier for Notes {
    fn takes(&self, _shard: usize) -> bool {
        true
    }

    fn carry(&mut self, shard: usize, note: Note) {
        assert_eq!(shard, 0);
        self.0.push(note);
    }
}

/// A shard and the presence of another one.
struct Pair {
    turns: Turns,
    other: Presence,
    /// The slots of the sessions in order, and their other ends.
    peers: Vec<Peer>,
    room: u32,
    id: u64,
}

impl Pair {
    /// With so many members here in a room whose home is that shard: users 0, 1 and so on.
    fn new(home: usize, members: usize) -> Self {
        let mut turns = Turns::new();
        // Rooms are numbered, and the number says which shard is the home.
        (0..home).for_each(|at| {
            drop(turns.shard.state.hub.directory.enter(ROOMS, &at.to_string(), 1, usize::MAX))
        });
        let peers = turns.crowd("hall", members);
        let entry = turns.room("hall");
        assert_eq!(entry.id as usize % 2, home);
        let room = turns.shard.state.rooms.find_id(entry.id).expect("a room");
        let other = Presence::new(1, 2, 8);
        let mut pair = Self { turns, other, peers, room, id: entry.id };
        for user in 0..members {
            let user: Arc<str> = user.to_string().into();
            pair.turns.shard.state.presence_enter(room, MODE, &user, &user);
        }
        pair
    }

    fn enter_elsewhere(&mut self, user: &str) {
        let user: Arc<str> = user.into();
        self.other.enter(self.id, MODE, &user, &user);
    }

    /// The other shard takes its mail and has its turn; what it says goes here in one batch.
    fn turn_elsewhere(&mut self) {
        for batch in self.turns.elsewhere.batches.try_iter() {
            batch.notes.into_iter().for_each(|note| self.other.take(note));
        }
        let mut notes = Notes(Vec::new());
        self.other.flush(0, &mut notes);
        if !notes.0.is_empty() {
            let batch = Batch { notes: notes.0, ..Batch::new(Instant::now()) };
            assert!(self.turns.port.batch(1, batch).is_ok());
        }
    }

    /// Turns of both until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            self.turns.rest();
            if self.turns.elsewhere.batches.is_empty() && !self.other.has_to_flush() {
                return;
            }
            self.turn_elsewhere();
        }
    }

    /// A session leaves the room, as the chat has it do so.
    fn leave(&mut self, user: usize) {
        let state = &mut self.turns.shard.state;
        state.presence_leave(self.room, &user.to_string());
        let slot = state.rooms.get(self.room).members[user];
        Desk { state, slot }.leave("hall");
    }
}

fn users(replica: Option<&Replica>) -> Vec<&str> {
    let users = replica.and_then(Replica::users).expect("users are known");
    users.map(|(user, _)| user).collect()
}

fn text(rev: u64, event: &str, user: &str, count: usize) -> String {
    format!(
        r#"{{"type":"presence","room":"hall","rev":{rev},"event":"{event}","user":"{user}","name":"{user}","count":{count}}}"#
    )
}

#[test]
fn members_hear_in_one_write_what_happened_in_a_turn() {
    for home in 0..2 {
        let mut pair = Pair::new(home, 3);
        pair.settle();
        assert_eq!(users(pair.turns.shard.state.presence_of(pair.room)), ["0", "1", "2"]);
        assert!(pair.peers.iter_mut().all(|peer| peer.texts().is_empty()), "it is their snapshot");
        pair.enter_elsewhere("ann");
        pair.enter_elsewhere("bob");
        let writes = pair.turns.shard.state.counters.writes;
        pair.settle();
        assert_eq!(pair.turns.shard.state.counters.writes - writes, 3);
        for peer in &mut pair.peers {
            assert_eq!(peer.texts(), [text(4, "join", "ann", 4), text(5, "join", "bob", 5)]);
        }
        assert_eq!(users(pair.other.replica(pair.id)), ["0", "1", "2", "ann", "bob"]);
        pair.leave(1);
        pair.other.leave(pair.id, "ann");
        pair.settle();
        assert_eq!(users(pair.other.replica(pair.id)), ["0", "2", "bob"]);
        let (texts, left) = (pair.peers[0].texts(), pair.peers[1].texts());
        assert_eq!((texts.len(), left), (2, Vec::new()));
        assert_eq!(texts[1][texts[1].len() - 10..], *r#""count":3}"#);
    }
}

#[test]
fn a_user_is_known_once_the_home_has_answered() {
    let mut pair = Pair::new(1, 1);
    pair.turns.rest();
    let state = &mut pair.turns.shard.state;
    assert!(state.presence_of(pair.room).is_none() && !state.is_presence_known(pair.room, "0"));
    assert!(!state.has_to_tell());
    pair.turn_elsewhere();
    assert!(!pair.turns.shard.state.is_presence_known(pair.room, "0"));
    pair.turns.shard.take_mail();
    let state = &mut pair.turns.shard.state;
    assert!(state.is_presence_known(pair.room, "0"));
    assert_eq!(state.take_presence_changes(), [pair.room]);
    assert!(state.take_presence_changes().is_empty());
}

#[test]
fn who_moves_between_shards_is_heard_of_once() {
    for home in 0..2 {
        let mut pair = Pair::new(home, 2);
        let ann: Arc<str> = "ann".into();
        pair.enter_elsewhere("watch");
        pair.settle();
        pair.peers.iter_mut().for_each(|peer| drop(peer.texts()));
        pair.enter_elsewhere("ann");
        pair.settle();
        for _ in 0..5_000 {
            pair.turns.shard.state.presence_enter(pair.room, MODE, &ann, &ann);
            while !pair.turns.shard.state.is_presence_known(pair.room, "ann") {
                pair.turns.turn();
                pair.turn_elsewhere();
            }
            pair.other.leave(pair.id, "ann");
            pair.turn_elsewhere();
            pair.enter_elsewhere("ann");
            while !pair.other.is_known(pair.id, "ann") {
                pair.turn_elsewhere();
                pair.turns.turn();
            }
            pair.turns.shard.state.presence_leave(pair.room, "ann");
            pair.turns.turn();
        }
        pair.settle();
        for peer in &mut pair.peers {
            assert_eq!(peer.texts(), [text(4, "join", "ann", 4)]);
        }
        assert_eq!(pair.other.replica(pair.id).map(Replica::rev), Some(4));
    }
}

/// What the end of a session leaves to say does not wait for the next mail.
#[test]
fn what_happens_behind_the_flush_is_told_in_a_turn_of_its_own() {
    let mut pair = Pair::new(1, 2);
    pair.settle();
    assert!(pair.turns.shard.timeout() > Duration::ZERO);
    pair.leave(1);
    assert_eq!(pair.turns.shard.timeout(), Duration::ZERO);
    pair.turns.turn();
    assert!(pair.turns.shard.timeout() > Duration::ZERO);
    assert_eq!(pair.turns.elsewhere.batches.len(), 1);
}

#[test]
fn a_room_that_is_forgotten_leaves_nothing_behind() {
    for home in 0..2 {
        let mut pair = Pair::new(home, 2);
        pair.enter_elsewhere("ann");
        pair.settle();
        // Their sessions end, and nobody says of whom they were.
        for user in [1, 0] {
            let state = &mut pair.turns.shard.state;
            let slot = state.rooms.get(pair.room).members[user];
            Desk { state, slot }.leave("hall");
        }
        pair.settle();
        assert_eq!(users(pair.other.replica(pair.id)), ["ann"]);
        pair.other.leave(pair.id, "ann");
        pair.settle();
        assert!(pair.other.is_empty() && pair.turns.shard.state.presence.is_empty());
    }
}

#[test]
fn nobody_is_told_of_those_who_leave_because_the_server_stops() {
    for home in 0..2 {
        let mut pair = Pair::new(home, 3);
        pair.enter_elsewhere("ann");
        pair.settle();
        pair.peers.iter_mut().for_each(|peer| drop(peer.texts()));
        pair.turns.shard.begin_stop();
        for user in 0..3 {
            pair.turns.shard.state.presence_leave(pair.room, &user.to_string());
        }
        pair.settle();
        assert_eq!(users(pair.other.replica(pair.id)), ["0", "1", "2", "ann"]);
        assert!(pair.turns.shard.state.presence.is_empty());
        for peer in &mut pair.peers {
            assert_eq!(peer.texts(), [""; 0]);
        }
    }
}
