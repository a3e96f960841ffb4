//! Mailboxes that are full: everything still arrives, in order, once.

use std::thread;

use super::recorder::{Plan, Seen, World};
use super::*;
use crate::log::Submission;

/// Two shards that look at one room, and one that looks at another, too.
fn views() -> [Vec<View>; 2] {
    let (a, b) = (View::room("a"), View::room("memory-b"));
    [vec![a.clone()], vec![a, b]]
}

fn from(shard: u8, room: &Conversation, n: u64) -> Draft {
    let mut draft = draft(room, id(NOW, n), &n.to_string());
    draft.origin.session = SessionId::new(shard, 0, 0);
    draft
}

fn bodies(seen: &Seen, view: &View) -> Vec<u64> {
    let messages = seen.messages.get(view).into_iter().flatten();
    messages.filter_map(|message| message["body"].as_u64()).collect()
}

#[test]
fn what_a_full_mailbox_did_not_take_is_read_from_the_log() {
    let views = views();
    let plan =
        Plan { views: &[&views[0], &views[1]], capacity: 1, drafts_max: 1_000_000, seq_step: 3 };
    let mut world = World::new(&plan);
    let rooms = [room("a"), room("memory-b")];
    let mut expected = [Vec::new(), Vec::new()];
    // Nobody fetches anything while these are stored.
    for n in 1..=300 {
        let which = usize::from(n % 3 == 0);
        expected[which].push(n);
        world.submit(vec![from(u8::from(n % 2 == 0), &rooms[which], n)]);
        world.wait(|log| log.counters().stored.get() == n);
    }
    let mut seen = [Seen::default(), Seen::default()];
    for (shard, seen) in seen.iter_mut().enumerate() {
        while seen.answers.len() < 150 {
            seen.take(&world, shard, world.delivery(shard));
        }
    }
    assert_eq!(bodies(&seen[0], &views[0][0]), expected[0]);
    assert_eq!(bodies(&seen[1], &views[1][0]), expected[0]);
    assert_eq!(bodies(&seen[1], &views[1][1]), expected[1]);
    // One delivery was taken at once, and one notice for each view covers all the rest.
    assert_eq!((seen[0].parts, seen[0].notices), (1, 1));
    assert!(seen[1].parts <= 2 && seen[1].notices == 2, "{} parts", seen[1].parts);
    assert!(world.stop());
}

#[test]
fn slow_shards_get_everything_while_more_is_stored() {
    const DRAFTS: u64 = 4000;
    let views = views();
    let plan = Plan { views: &[&views[0], &views[1]], capacity: 1, drafts_max: 64, seq_step: 1 };
    let mut world = World::new(&plan);
    let rooms = [room("a"), room("memory-b")];
    let mut seen = thread::scope(|scope| {
        let world = &world;
        for shard in 0..2_u8 {
            let rooms = &rooms;
            scope.spawn(move || {
                for n in 1..=DRAFTS {
                    let key = 2 * n + u64::from(shard);
                    world.submit(vec![from(shard, &rooms[usize::from(n % 5 == 0)], key)]);
                }
            });
        }
        let shards = [0, 1].map(|shard: usize| {
            let own = &views[shard];
            scope.spawn(move || {
                let mut seen = Seen::default();
                let total = |seen: &Seen| -> usize {
                    own.iter().map(|view| bodies(seen, view).len()).sum()
                };
                let expected = [8 * DRAFTS / 5, 2 * DRAFTS][shard] as usize;
                while seen.answers.len() < DRAFTS as usize || total(&seen) < expected {
                    seen.take(world, shard, world.delivery(shard));
                }
                seen
            })
        });
        shards.map(|shard| shard.join().expect("it is well"))
    });
    // Notices may be on their way of what was read with an earlier one.
    for (shard, seen) in seen.iter_mut().enumerate() {
        while world.has_mail(shard) {
            seen.take(&world, shard, world.delivery(shard));
        }
    }
    world.abandon();
    let (a, b) = (&views[1][0], &views[1][1]);
    for (shard, view, count) in [(0, a, 4 * DRAFTS / 5), (1, a, 4 * DRAFTS / 5), (1, b, DRAFTS / 5)]
    {
        let found = bodies(&seen[shard], view);
        assert_eq!(found.len() as u64, 2 * count);
        for sender in 0..2 {
            let own: Vec<_> = found.iter().filter(|key| *key % 2 == sender).collect();
            assert!(own.is_sorted_by(|one, next| one < next), "as they were sent");
        }
    }
    assert_eq!(bodies(&seen[0], a), bodies(&seen[1], a), "one order for everyone");
}

#[test]
fn no_more_is_taken_than_can_be_answered() {
    let plan = Plan { views: &[&[], &[]], capacity: 1, drafts_max: 3, seq_step: 1 };
    let mut world = World::new(&plan);
    let one = |shard, n| Submission { drafts: vec![from(shard, &room("a"), n)] };
    // The first answer is in the mailbox, the next ones wait for it to be fetched.
    for n in 1..=4 {
        world.submit(vec![from(0, &room("a"), n)]);
        world.wait(|log| log.counters().stored.get() == n);
    }
    assert_eq!(world.log.queued(), 3);
    assert!(world.log.try_submit(one(1, 9)).is_err());
    assert_eq!(world.log.counters().submissions_refused.get(), 1);
    assert_eq!(world.delivery(0).answers.len(), 1);
    assert_eq!(world.delivery(0).answers.len(), 3);
    // The shard that was turned away is told, though it had nothing on the way itself.
    world.submit(one(1, 9).drafts);
    assert_eq!(world.delivery(1).answers.len(), 1);
    assert!(world.stop());
}
