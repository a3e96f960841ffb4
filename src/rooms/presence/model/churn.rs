//! Users come and go on several shards while notes take their time: what the members see is in order, whole, and in the
//! end right.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{COUNT_TICKS, Mode, Net};

const SHARDS: usize = 4;
const ROOMS: u64 = 4;
const USERS: usize = 5;

/// The last two rooms' homes have modes of their own; the others go to counting when four users are there.
fn mode(room: u64) -> Mode {
    match room {
        2 => Mode::Count,
        3 => Mode::Off,
        _ => Mode::Members { max: 3 },
    }
}

#[derive(Clone, Debug)]
enum Step {
    Enter { shard: usize, room: u64, user: usize, name: usize },
    Leave { shard: usize, room: u64, user: usize },
    Forget { shard: usize, room: u64 },
    Flush { shard: usize, blocked: Vec<usize> },
    Deliver { from: usize, to: usize, notes: usize },
    Wait { ticks: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let (shard, room, user) = (0..SHARDS, 0..ROOMS, 0..USERS);
    let blocked = btree_set(shard.clone(), 0..3).prop_map(|set| set.into_iter().collect());
    // One in ten comes under another name.
    let name = prop_oneof![9 => Just(0), 1 => Just(1)];
    prop_oneof![
        6 => (shard.clone(), room.clone(), user.clone(), name)
            .prop_map(|(shard, room, user, name)| Step::Enter { shard, room, user, name }),
        6 => (shard.clone(), room.clone(), user)
            .prop_map(|(shard, room, user)| Step::Leave { shard, room, user }),
        1 => (shard.clone(), room).prop_map(|(shard, room)| Step::Forget { shard, room }),
        6 => (shard.clone(), blocked).prop_map(|(shard, blocked)| Step::Flush { shard, blocked }),
        8 => (shard.clone(), shard, 1..4_usize)
            .prop_map(|(from, to, notes)| Step::Deliver { from, to, notes }),
        1 => (1..COUNT_TICKS).prop_map(|ticks| Step::Wait { ticks }),
    ]
}

fn take(net: &mut Net, step: &Step) {
    let id = |user: usize| format!("user {user}");
    match step {
        Step::Enter { shard, room, user, name } => {
            net.enter(*shard, *room, &id(*user), &format!("name {user}.{name}"));
        }
        Step::Leave { shard, room, user } => {
            net.leave(*shard, *room, &id(*user));
        }
        Step::Forget { shard, room } => net.forget(*shard, *room),
        Step::Flush { shard, blocked } => net.flush(*shard, blocked.iter().copied()),
        Step::Deliver { from, to, notes } => {
            let _ = (0..*notes).all(|_| net.deliver(*from, *to));
        }
        Step::Wait { ticks } => net.tick += ticks,
    }
}

/// The same steps in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(1977),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn members_see_one_order_and_the_truth_in_the_end(steps in vec(step(), 1..250)) {
        let mut net = Net::new(SHARDS, mode);
        for step in &steps {
            take(&mut net, step);
        }
        net.settle();
        net.tick += COUNT_TICKS;
        net.settle();
        net.check_at_rest();
        for shard in 0..SHARDS {
            (0..ROOMS).for_each(|room| net.forget(shard, room));
        }
        net.settle();
        net.check_at_rest();
    }
}

/// A small generator of numbers, the same in every run (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// A turn of some shard, in which another may take nothing, or a note that arrives.
    fn play(&mut self, net: &mut Net) {
        let [shard, other] = [(); 2].map(|()| self.below(SHARDS));
        match self.below(4) {
            0 => net.flush(shard, [other]),
            1 => net.flush(shard, []),
            _ => _ = net.deliver(shard, other),
        }
    }
}

#[test]
fn who_moves_to_another_shard_is_never_seen_leaving() {
    const MOVES: usize = 10_000;
    let (mut net, mut dice) = (Net::new(SHARDS, |_| Mode::Members { max: 500 }), Dice(1977));
    // The room's home, shard 2, has members only while the one who moves is there.
    let room = 2;
    net.enter(0, room, "zero", "Zero");
    net.enter(1, room, "one", "One");
    net.enter(0, room, "ann", "Ann");
    net.settle();
    net.told.clear();
    let mut at = 0;
    for _ in 0..MOVES {
        let next = (at + 1 + dice.below(SHARDS - 1)) % SHARDS;
        net.enter(next, room, "ann", "Ann");
        while !net.shards[next].is_known(room, "ann") {
            dice.play(&mut net);
        }
        assert!(net.leave(at, room, "ann"));
        (0..dice.below(8)).for_each(|_| dice.play(&mut net));
        at = next;
    }
    net.settle();
    net.check_at_rest();
    assert_eq!(net.told, []);
    assert_eq!(net.shards[0].replica(room).map(|replica| replica.rev()), Some(3));
}

/// A shard that leaves a room and enters it again hears nothing of what was said to it before.
#[test]
fn answers_to_an_earlier_stay_are_not_taken() {
    let (home, shard, room) = (0, 1, 0);
    let mut net = Net::new(2, |_| Mode::Members { max: 500 });
    net.enter(shard, room, "ann", "Ann");
    net.flush(shard, []);
    net.leave(shard, room, "ann");
    net.flush(shard, []);
    net.enter(shard, room, "bob", "Bob");
    net.flush(shard, []);
    // The first stay is answered when it is over and another one has begun.
    assert!(net.deliver(shard, home));
    net.flush(home, []);
    assert!(net.deliver(home, shard));
    assert!(net.shards[shard].replica(room).is_none());
    net.enter(home, room, "eve", "Eve");
    assert!(!net.shards[shard].is_known(room, "bob"));
    net.settle();
    net.check_at_rest();
    let users = net.shards[shard].replica(room).and_then(|replica| Some(replica.users()?.len()));
    assert_eq!(users, Some(2));
    let told: Vec<_> = net.told.iter().filter(|told| told.0 == shard).collect();
    assert!(told.is_empty(), "the snapshot had it all: {told:?}");
}

#[test]
fn another_name_is_told_as_a_join() {
    let mut net = Net::new(2, |_| Mode::Members { max: 500 });
    net.enter(1, 0, "ann", "Ann");
    net.settle();
    net.enter(0, 0, "ann", "Anna");
    net.settle();
    net.leave(1, 0, "ann");
    net.settle();
    net.check_at_rest();
    let told: Vec<_> = net.told.iter().map(|(shard, _, event)| (*shard, event.count)).collect();
    assert_eq!(told, [(1, 1)], "the other shard had a snapshot, and nobody left");
    let users = net.shards[0].replica(0).and_then(|found| found.users()?.next());
    assert_eq!(users, Some(("ann", "Anna")));
}
