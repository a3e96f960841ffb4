//! Crowds: how many frames and notes it takes to tell of them.

use std::sync::Arc;

use super::{COUNT_TICKS, Mode, Presence, Wires};

const SHARDS: usize = 4;
const USERS: usize = 10_000;
const MEMBERS_MAX: usize = 500;
const ROOM: u64 = 0;

/// A node whose users all are in one room; nothing that happens to it gathers.
struct Crowd {
    shards: Vec<Presence>,
    wires: Vec<Wires>,
    mode: Mode,
    tick: u32,
    here: [usize; SHARDS],
    /// One for each member of each event.
    frames: usize,
    last_count: usize,
}

impl Crowd {
    fn new(mode: Mode) -> Self {
        Self {
            shards: (0..SHARDS).map(|own| Presence::new(own, SHARDS, COUNT_TICKS)).collect(),
            wires: (0..SHARDS).map(|_| Wires::new(SHARDS)).collect(),
            mode,
            tick: 0,
            here: [0; SHARDS],
            frames: 0,
            last_count: 0,
        }
    }

    fn join(&mut self, user: usize) {
        let (shard, name): (_, Arc<str>) = (user % SHARDS, user.to_string().into());
        self.shards[shard].enter(ROOM, self.mode, &name, &name);
        self.here[shard] += 1;
        self.settle();
        assert!(self.shards[shard].is_known(ROOM, &name));
    }

    fn leave(&mut self, user: usize) {
        let shard = user % SHARDS;
        self.here[shard] -= 1;
        self.shards[shard].leave(ROOM, &user.to_string());
        self.settle();
    }

    /// To the home, and from there to everybody.
    fn settle(&mut self) {
        for _ in 0..2 {
            for from in 0..SHARDS {
                self.shards[from].flush(self.tick, &mut self.wires[from]);
            }
            for (wires, to) in
                self.wires.iter_mut().flat_map(|from| from.queues.iter_mut().zip(0..))
            {
                wires.drain(..).for_each(|note| self.shards[to].take(note));
            }
        }
        for (shard, here) in self.shards.iter_mut().zip(self.here) {
            for (_, event) in shard.take_events() {
                self.frames += here;
                self.last_count = event.count;
            }
        }
    }

    /// Each of them costs a delta, an answer to it, and at times an event for everybody.
    fn check_notes(&self, steps: usize) {
        let notes: usize = self.wires.iter().map(|wires| wires.sent).sum();
        assert!(notes <= 2 * steps + MEMBERS_MAX * SHARDS + steps / 4, "{notes} notes");
    }
}

#[test]
fn ten_thousand_joins_into_a_room_that_is_counted_cost_frames_in_proportion() {
    let mut crowd = Crowd::new(Mode::Count);
    (0..USERS).for_each(|user| crowd.join(user));
    assert!(crowd.frames <= 17 * USERS, "{} frames", crowd.frames);
    assert!(crowd.last_count * 17 > USERS * 16, "{} were told", crowd.last_count);
    crowd.check_notes(USERS);
    crowd.tick += COUNT_TICKS;
    crowd.settle();
    assert_eq!(crowd.last_count, USERS, "what is left is told when time has passed");
    crowd.frames = 0;
    (0..USERS).for_each(|user| crowd.leave(user));
    assert!(crowd.frames <= 17 * USERS, "{} frames", crowd.frames);
    assert!(crowd.shards.iter().all(|shard| shard.homes.is_empty() && shard.members.is_empty()));
}

#[test]
fn a_room_of_members_is_counted_when_it_grows_too_large() {
    let mut crowd = Crowd::new(Mode::Members { max: MEMBERS_MAX });
    (0..MEMBERS_MAX).for_each(|user| crowd.join(user));
    assert!(crowd.frames <= MEMBERS_MAX * (MEMBERS_MAX + 1) / 2, "{} frames", crowd.frames);
    crowd.frames = 0;
    (MEMBERS_MAX..USERS).for_each(|user| crowd.join(user));
    assert!(crowd.frames <= 17 * USERS, "{} frames", crowd.frames);
    crowd.check_notes(USERS);
    // It stays so until nobody is left.
    (1..USERS).for_each(|user| crowd.leave(user));
    assert!(crowd.shards[0].replica(ROOM).is_some_and(|replica| replica.users().is_none()));
    crowd.leave(0);
    crowd.join(0);
    assert!(crowd.shards[0].replica(ROOM).is_some_and(|replica| replica.users().is_some()));
}

/// Twenty-five seconds of four hundred joins each: time brings no more than it has to.
#[test]
fn slow_joins_are_counted_every_two_seconds() {
    let mut crowd = Crowd::new(Mode::Count);
    for user in 0..USERS {
        crowd.tick = (user / 100) as u32;
        crowd.join(user);
    }
    let looks = USERS / 100 / COUNT_TICKS as usize;
    assert!(crowd.frames <= (17 + looks) * USERS, "{} frames", crowd.frames);
    let behind = USERS - crowd.last_count;
    assert!(behind <= 100 * COUNT_TICKS as usize, "{behind} were not told of");
}

/// However many come and go in a turn, who is there before and after it is not spoken of.
#[test]
fn what_comes_and_goes_within_a_turn_costs_nothing() {
    let mut crowd = Crowd::new(Mode::Members { max: MEMBERS_MAX });
    (0..10).for_each(|user| crowd.join(user));
    crowd.frames = 0;
    let notes = |crowd: &Crowd| crowd.wires.iter().map(|wires| wires.sent).sum::<usize>();
    let before = notes(&crowd);
    for user in 0..USERS {
        let (shard, name): (_, Arc<str>) = (user % SHARDS, (user % 100).to_string().into());
        if user % 100 < 10 {
            crowd.shards[shard].leave(ROOM, &name);
            crowd.shards[shard].enter(ROOM, crowd.mode, &name, &name);
        } else {
            crowd.shards[shard].enter(ROOM, crowd.mode, &name, &name);
            crowd.shards[shard].leave(ROOM, &name);
        }
    }
    crowd.settle();
    assert_eq!((crowd.frames, notes(&crowd)), (0, before));
}
