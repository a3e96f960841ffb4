//! What the writer hands on: to whom, how often written as text, and what becomes of what it cannot store.

use rusqlite::Connection;

use super::recorder::{Plan, Seen, World};
use super::*;
use crate::log::engine::{Keeping, Rule, Rules, Tidied, Unavailable};
use crate::log::removal::{Errand, Removed};
use crate::log::sqlite::FILE;
use crate::log::writer::Engines;
use crate::log::{Ack, Refused, Submission};
use crate::shard::counters::Durations;

const SHARDS: [&[View]; 1] = [&[]];

fn plan<'a>(views: &'a [&'a [View]]) -> Plan<'a> {
    Plan { views, capacity: 16, drafts_max: 1024, seq_step: 5 }
}

fn submit(world: &World, drafts: &[Draft]) {
    world.submit(drafts.to_vec());
}

#[test]
fn a_message_is_written_once_however_many_shards_have_members() {
    let view = View::room("a");
    let views = [view.clone()];
    let mut world = World::new(&plan(&[&views, &views, &[], &views]));
    let drafts = [1, 2, 3].map(|n| draft(&room("a"), id(NOW, n), &n.to_string()));
    submit(&world, &drafts);
    for shard in [0, 1, 3] {
        let mut seen = Seen::default();
        let delivery = world.delivery(shard);
        assert_eq!(delivery.parts.len(), 1, "neighbours are one part");
        seen.take(&world, shard, delivery);
        let bodies: Vec<_> =
            seen.messages[&view].iter().map(|message| message["body"].clone()).collect();
        assert_eq!(bodies, [1, 2, 3]);
        assert_eq!(seen.answers.len(), if shard == 0 { 3 } else { 0 });
    }
    assert_eq!(world.log.counters().serialised.get(), 3);
    assert!(!world.has_mail(2), "nobody there looks at it");
    assert!(world.stop());
}

#[test]
fn nobody_looks_and_nothing_is_written_as_text() {
    let mut world = World::new(&plan(&SHARDS));
    submit(&world, &[draft(&room("a"), id(NOW, 1), "1")]);
    let delivery = world.delivery(0);
    assert_eq!((delivery.answers.len(), delivery.parts.len()), (1, 0));
    assert_eq!(world.log.counters().serialised.get(), 0);
    assert!(world.stop());
}

#[test]
fn each_end_of_a_direct_conversation_gets_its_own_text() {
    let (ada, bob) = (View::direct("ada", "bob"), View::direct("bob", "ada"));
    let views = [[ada.clone()], [bob.clone()]];
    let mut world = World::new(&plan(&[&views[0], &views[1]]));
    submit(&world, &[draft(&Conversation::direct("ada", "bob"), id(NOW, 1), "1")]);
    for (shard, view, with) in [(0, ada, "bob"), (1, bob, "ada")] {
        let mut seen = Seen::default();
        seen.take(&world, shard, world.delivery(shard));
        assert_eq!(seen.messages[&view][0]["with"], with);
    }
    assert_eq!(world.log.counters().serialised.get(), 2);
    assert!(world.stop());
}

#[test]
fn answers_say_what_became_of_each_draft() {
    let views = [View::room("a"), View::room("memory")];
    let mut world = World::new(&plan(&[&views]));
    let mut first = draft(&room("a"), id(NOW, 1), "1");
    first.origin.reference = Some("17".into());
    let drafts = [
        first.clone(),
        first,
        draft(&room("a"), id(NOW, 1), "2"),
        draft(&room("a"), id(NOW - WINDOW - 1, 1), "1"),
        draft(&room("memory"), id(NOW, 1), "1"),
    ];
    submit(&world, &drafts);
    let mut seen = Seen::default();
    seen.take(&world, 0, world.delivery(0));
    let ack = |stored| Ok(Ack { seq: 5, time: NOW, stored });
    let results: Vec<_> = seen.answers.iter().map(|answer| answer.result).collect();
    let expected =
        [ack(true), ack(true), Err(Refused::Conflict), Err(Refused::Expired), ack(false)];
    assert_eq!(results, expected);
    assert_eq!(seen.answers[0].origin.reference.as_deref(), Some("17"));
    assert_eq!(seen.answers[3].client_id, id(NOW - WINDOW - 1, 1));
    for view in views {
        assert_eq!(seen.messages[&view].len(), 1, "what was known is not delivered again");
    }
    let counters = world.log.counters();
    let counts = [&counters.stored, &counters.known, &counters.conflicts, &counters.expired];
    assert_eq!(counts.map(|total| total.get()), [2, 1, 1, 1]);
    let commits = counters.commits.snapshot();
    let commits: u64 = commits.since(&Durations::default()).map(|(_, count)| count).sum();
    assert_eq!(commits, 1, "of the durable engine");
    assert!(world.stop());
}

#[test]
fn what_cannot_be_stored_is_refused_and_goes_to_nobody() {
    let view = View::room("a");
    let views = [view.clone(), View::room("memory")];
    let mut world = World::new(&plan(&[&views]));
    let other = Connection::open(world.directory().join(FILE)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let drafts = [
        draft(&room("a"), id(NOW, 1), "1"),
        draft(&room("memory"), id(NOW, 2), "2"),
        draft(&room("a"), id(NOW, 3), "3"),
    ];
    submit(&world, &drafts);
    let mut seen = Seen::default();
    seen.take(&world, 0, world.delivery(0));
    let count = |seen: &Seen| {
        let refused =
            seen.answers.iter().filter(|answer| answer.result == Err(Refused::Unavailable));
        (refused.count(), seen.messages.contains_key(&view), seen.messages.len())
    };
    assert_eq!(count(&seen), (2, false, 1), "the other engine is well");
    assert_eq!(world.log.counters().unavailable.get(), 2);
    other.execute_batch("ROLLBACK").expect("it began");
    submit(&world, &drafts);
    seen.take(&world, 0, world.delivery(0));
    assert_eq!((seen.messages[&view].len(), seen.answers.len()), (2, 6));
    assert!(world.stop());
}

#[test]
fn stopping_answers_everything_that_was_taken() {
    let views = [View::room("a")];
    let shards: [&[View]; 1] = [&views];
    let plan = Plan { capacity: 1024, ..plan(&shards) };
    let mut world = World::new(&plan);
    for n in 1..=500 {
        submit(&world, &[draft(&room("a"), id(NOW, n), "1")]);
    }
    assert!(world.stop());
    let mut seen = Seen::default();
    while world.has_mail(0) {
        seen.take(&world, 0, world.delivery(0));
    }
    assert_eq!((seen.answers.len(), seen.notices), (500, 0));
    assert!(seen.answers.iter().all(|answer| answer.result.is_ok()));
    assert_eq!(seen.messages[&views[0]].len(), 500);
    let late = Submission { drafts: vec![draft(&room("a"), id(NOW, 501), "1")] };
    assert!(world.log.try_submit(late).is_err(), "nobody is there to answer");
}

/// An engine that is broken.
struct Broken(Box<dyn Engine>);

impl Engine for Broken {
    fn is_durable(&self) -> bool {
        true
    }

    fn store(&mut self, _: &[Draft], _: Millis) -> Result<Vec<Outcome>, Unavailable> {
        panic!("broken by a test")
    }

    fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Result<Tidied, Unavailable> {
        self.0.tidy(rules, now, budget)
    }

    fn remove(
        &mut self,
        errand: &mut Errand,
        now: Millis,
        budget: usize,
    ) -> Result<Removed, Unavailable> {
        self.0.remove(errand, now, budget)
    }

    fn reader(&self) -> Box<dyn Reader> {
        self.0.reader()
    }
}

#[test]
fn a_panic_is_told_to_who_started_the_log() {
    let broken =
        |engines: Engines| Engines { durable: Box::new(Broken(engines.durable)), ..engines };
    let rule = Rule { keeping: Keeping::Durable, age_max: None, messages_max: None };
    let mut world = World::with(&plan(&SHARDS), broken, Arc::new(move |_: &Conversation| rule));
    submit(&world, &[draft(&room("a"), id(NOW, 1), "1")]);
    assert_eq!(world.panicked.recv().as_deref(), Ok("broken by a test"));
    assert!(!world.stop());
}
