//! Sessions come, go, join, leave, send and read at any point of any flush, and the promises hold: nothing is lost,
//! doubled or reordered for whoever stays, and nobody gets what was sent while they were not in the room.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::world::World;

const ROOMS: usize = 4;
const PEERS: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Join { peer: usize, room: usize },
    Leave { peer: usize, room: usize },
    Close { peer: usize },
    Lose { peer: usize },
    Publish { peer: usize, room: usize, length: usize },
    Send { peer: usize, length: usize },
    PublishFromOutside { room: usize, but: usize, length: usize },
    Deliver { room: usize, messages: usize, length: usize, but: Option<usize> },
    Flush { served_max: usize },
    Exchange,
    TakeElsewhere,
    Read { peer: usize, bytes: usize },
}

/// Small ones; ones that fill a socket; ones that, queued, keep a session from being read.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 0..200_usize, 3 => 0..20_000_usize, 1 => 60_000..80_000_usize]
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, room) = (0..PEERS + 4, 0..ROOMS);
    prop_oneof![
        1 => Just(Step::Connect),
        4 => (peer.clone(), room.clone()).prop_map(|(peer, room)| Step::Join { peer, room }),
        3 => (peer.clone(), room.clone()).prop_map(|(peer, room)| Step::Leave { peer, room }),
        1 => peer.clone().prop_map(|peer| Step::Close { peer }),
        1 => peer.clone().prop_map(|peer| Step::Lose { peer }),
        8 => (peer.clone(), room.clone(), length())
            .prop_map(|(peer, room, length)| Step::Publish { peer, room, length }),
        2 => (peer.clone(), length()).prop_map(|(peer, length)| Step::Send { peer, length }),
        1 => (room.clone(), peer.clone(), length())
            .prop_map(|(room, but, length)| Step::PublishFromOutside { room, but, length }),
        2 => (room, 1..4_usize, length(), option::weighted(0.3, peer.clone())).prop_map(
            |(room, messages, length, but)| Step::Deliver { room, messages, length, but }),
        8 => (1..5_usize).prop_map(|served_max| Step::Flush { served_max }),
        1 => Just(Step::Exchange),
        1 => Just(Step::TakeElsewhere),
        4 => (peer, 1..30_000_usize).prop_map(|(peer, bytes)| Step::Read { peer, bytes }),
    ]
}

fn take(world: &mut World, step: &Step) {
    let at = world.peers.len();
    match *step {
        Step::Connect => world.connect(),
        Step::Join { peer, room } => world.join(peer % at, room),
        Step::Leave { peer, room } => world.leave(peer % at, room),
        Step::Close { peer } => world.close(peer % at),
        Step::Lose { peer } => world.lose(peer % at),
        Step::Publish { peer, room, length } => world.publish(peer % at, room, length),
        Step::Send { peer, length } => world.send(peer % at, length),
        Step::PublishFromOutside { room, but, length } => {
            world.publish_from_outside(room, but % at, length);
        }
        Step::Deliver { room, messages, length, but } => {
            world.deliver(room, messages, length, but.map(|but| but % at));
        }
        Step::Flush { served_max } => world.flush(served_max),
        Step::Exchange => world.exchange(),
        Step::TakeElsewhere => world.take_elsewhere(),
        Step::Read { peer, bytes } => world.read(peer % at, bytes),
    }
}

/// The same steps in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(1977),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_who_stays_misses_anything(steps in vec(step(), 1..150)) {
        let mut world = World::new(ROOMS);
        for peer in 0..PEERS {
            world.connect();
            world.join(peer, peer % 2);
        }
        for step in &steps {
            take(&mut world, step);
            world.check_books();
        }
        world.settle();
        world.check_books();
        world.check_what_was_heard();
        world.check_counts();
        world.end();
    }
}

/// A closing session is read whatever is queued for it: it does not count as paused, and not after its end either.
#[test]
fn a_closing_session_is_not_paused() {
    let mut world = World::new(ROOMS);
    for peer in 0..2 {
        world.connect();
        world.send(peer, 100_000);
        world.check_books();
        world.close(peer);
        world.check_books();
    }
    assert_eq!(world.paused(), 0);
    world.settle();
    world.check_what_was_heard();
    world.end();
}
