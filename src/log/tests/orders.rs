//! Removals as the writer does them: in their place among what is sent, a step at a time, and answered.

use tokio::sync::oneshot;

use super::recorder::{Plan, Seen, World};
use super::removal::{clear, erase, redact, said_by};
use super::retention::{Step, Watched};
use super::*;
use crate::log::engine::{Keeping, Rule, Unavailable};
use crate::log::order::Order;
use crate::log::removal::Removal;
use crate::log::sqlite::FILE;
use crate::log::writer::Engines;

/// What a shard is given of a room, message by message, until all of it is gone.
fn heard(world: &World, view: &View) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    while seen.last().is_none_or(|last| last["kind"] != "clear") {
        let delivery = world.delivery(0);
        let mut found = Seen::default();
        found.take_any(delivery);
        seen.extend(found.messages.remove(view).unwrap_or_default());
    }
    seen
}

/// Orders a removal, as a task of the control runtime does.
fn order(world: &World, removal: Removal) -> oneshot::Receiver<Result<usize, Unavailable>> {
    let (told, done) = oneshot::channel();
    assert!(world.log.order(Order { removal, told }));
    done
}

#[test]
fn an_order_comes_behind_what_was_sent_before_it_and_ahead_of_the_rest() {
    for name in ["a", "memory"] {
        let (place, view) = (room(name), View::room(name));
        let views = [view.clone()];
        let mut world =
            World::new(&Plan { views: &[&views], capacity: 64, drafts_max: 9000, seq_step: 1 });
        for n in 0..1500 {
            world.submit(vec![said_by("ada", &place, n)]);
        }
        // More than one step, and others go on meanwhile.
        let erased = order(&world, erase("ada"));
        for n in 1500..1600 {
            world.submit(vec![said_by("ada", &place, n)]);
        }
        assert_eq!(erased.blocking_recv(), Ok(Ok(1500)));
        let cleared = order(&world, clear(&place));
        let cleared = cleared.blocking_recv().expect("an answer").expect("done");
        let mut gone: Vec<Seq> = Vec::new();
        let (mut said, mut events): (Vec<Value>, usize) = (Vec::new(), 0);
        for message in heard(&world, &view) {
            match message["kind"].as_str() {
                Some("redact") => {
                    let seqs = message["body"]["seqs"].as_array().expect("positions");
                    gone.extend(seqs.iter().filter_map(Value::as_u64));
                    events += 1;
                }
                Some("text") => said.push(message["seq"].clone()),
                kind => assert_eq!((kind, gone.len()), (Some("clear"), 1500)),
            }
        }
        assert_eq!(said.len(), 1600);
        let first: Vec<_> = said[..1500].iter().filter_map(Value::as_u64).collect();
        assert_eq!(gone, first);
        let page = world.read(0, open(&view, 100));
        assert_eq!(messages(&page).len(), 1, "the word that all is gone");
        assert!(events > 1, "it takes more than one step");
        assert_eq!(cleared, 100 + events);
        assert_eq!(world.log.counters().redacted.get(), (1600 + events) as u64);
        assert!(world.stop());
    }
}

#[test]
fn what_is_not_done_when_the_log_stops_is_said_to_be_undone() {
    let mut world =
        World::new(&Plan { views: &[&[]], capacity: 64, drafts_max: 9000, seq_step: 1 });
    let done = order(&world, redact(&room("a"), &[1]));
    assert!(world.stop());
    assert!(matches!(done.blocking_recv(), Ok(Ok(0)) | Err(_)));
    let (told, _) = oneshot::channel();
    assert!(!world.log.order(Order { removal: clear(&room("a")), told }));
}

#[test]
fn an_order_that_fails_is_said_to_and_another_one_does_it() {
    let mut world =
        World::new(&Plan { views: &[&[]], capacity: 64, drafts_max: 9000, seq_step: 1 });
    world.submit(vec![said_by("ada", &room("a"), 1)]);
    world.delivery(0);
    let other = rusqlite::Connection::open(world.directory().join(FILE)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    assert_eq!(order(&world, erase("ada")).blocking_recv(), Ok(Err(Unavailable)));
    other.execute_batch("ROLLBACK").expect("it began");
    assert_eq!(order(&world, erase("ada")).blocking_recv(), Ok(Ok(1)));
    assert!(world.stop());
}

#[test]
fn a_batch_waits_for_one_step_of_a_removal() {
    const BATCH: u64 = 2048;
    let plan = Plan { views: &[&[]], capacity: 64, drafts_max: 1_000_000, seq_step: 1 };
    let (begin, begin_end) = crossbeam_channel::bounded(0);
    let (steps, steps_end) = crossbeam_channel::bounded(100_000);
    let watched = |engines: Engines| {
        let durable = Watched { engine: engines.durable, begin: begin_end, batches: 0, steps };
        Engines { durable: Box::new(durable), ..engines }
    };
    let rule = Rule { keeping: Keeping::Durable, age_max: None, messages_max: None };
    let mut world = World::with(&plan, watched, Arc::new(move |_: &Conversation| rule));
    let submit = |batch: u64, user: &str| {
        let drafts = (batch * BATCH..).take(BATCH as usize);
        world.submit(drafts.map(|n| said_by(user, &room("a"), n)).collect());
    };
    (0..4).for_each(|batch| submit(batch, "ada"));
    let erased = order(&world, erase("ada"));
    (4..8).for_each(|batch| submit(batch, "bob"));
    drop(begin);
    assert_eq!(erased.blocking_recv(), Ok(Ok(4 * BATCH as usize)));
    world.wait(|log| log.counters().stored.get() == 8 * BATCH);
    assert!(world.stop());
    let steps: Vec<_> = steps_end.iter().collect();
    let stores = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Store(_)));
    let places: Vec<_> = stores.map(|(place, _)| place).collect();
    assert_eq!(places.len(), 8, "each is a batch of its own");
    for (store, next) in places[3..].iter().zip(&places[4..]) {
        let between = &steps[store + 1..*next];
        let removals = between.iter().filter(|step| matches!(step, Step::Remove(_)));
        // The first step comes with the order, and may meet the one behind the batch before.
        assert!(removals.count() <= 2, "{steps:?}");
    }
    assert!(steps[places[3]..places[7]].iter().any(|step| matches!(step, Step::Remove(1..))));
    assert!(steps.iter().all(|step| !matches!(step, Step::Remove(257..))), "{steps:?}");
}
