//! What is kept no longer: which messages go, what is said of them, and that nobody waits for it.

use crossbeam_channel::Receiver;

use super::keys::{CONFLICT, EXPIRED};
use super::recorder::{Plan, World};
use super::*;
use crate::log::Direction;
use crate::log::engine::{Keeping, Rule, Rules, Tidied, Unavailable};
use crate::log::removal::{Errand, Removed};
use crate::log::writer::Engines;

/// Everything is kept so long, and so much of each conversation.
fn keep(age_max: Option<Millis>, messages_max: Option<u64>) -> Box<Rules> {
    let age_max = age_max.map(std::time::Duration::from_millis);
    Box::new(move |_: &Conversation| Rule { keeping: Keeping::Durable, age_max, messages_max })
}

/// A whole pass in steps of that size; how many messages went in each.
pub(super) fn pass(bench: &mut Bench, rules: &Rules, now: Millis, budget: usize) -> Vec<usize> {
    let mut steps = Vec::new();
    loop {
        let Tidied { removed, is_over } =
            bench.engine.tidy(rules, now, budget).expect("it can be written");
        assert!(removed <= budget, "{removed} in a step of {budget}");
        steps.push(removed);
        if is_over {
            return steps;
        }
        assert!(steps.len() < 10_000, "it comes to an end");
    }
}

fn resume(view: &View, epoch: &str, after: Seq) -> Query {
    Query::Open { view: view.clone(), after: Some((epoch.into(), after)), history: 2 }
}

#[test]
fn the_oldest_of_too_many_go() {
    with_each(|bench| {
        let all = bench.fill(&room("a"), 10);
        let few = bench.fill(&room("b"), 3);
        let rules = keep(None, Some(4));
        assert_eq!(pass(bench, &rules, NOW, 100).iter().sum::<usize>(), 6);
        let page = bench.page(&open(&View::room("a"), 100));
        assert_eq!((seqs(&page), page.more, page.seq), (all[6..].to_vec(), false, all[9]));
        assert_eq!(seqs(&bench.page(&open(&View::room("b"), 100))), few);
        assert_eq!(pass(bench, &rules, NOW, 100).iter().sum::<usize>(), 0);
        // What comes later pushes out what was there before.
        let next = bench.fill(&room("a"), 2);
        pass(bench, &rules, NOW, 100);
        let page = bench.page(&open(&View::room("a"), 100));
        assert_eq!(seqs(&page), [all[8], all[9], next[0], next[1]]);
    });
}

#[test]
fn what_is_too_old_goes() {
    with_each(|bench| {
        let a = room("a");
        let seqs_at: Vec<_> = (0..6)
            .map(|n| (NOW + n * 10, n))
            .map(|(now, n)| seq(bench.store(&[draft(&a, id(NOW, n), "1")], now).remove(0)))
            .collect();
        let rules = keep(Some(100), None);
        for (now, left) in [(NOW + 100, 6), (NOW + 101, 5), (NOW + 130, 3), (NOW + 151, 0)] {
            pass(bench, &rules, now, 100);
            let page = bench.page(&open(&View::room("a"), 100));
            assert_eq!(seqs(&page), seqs_at[6 - left..], "{}", now - NOW);
            assert_eq!(page.seq, seqs_at[5]);
        }
    });
}

#[test]
fn what_was_missed_is_told() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all = bench.fill(&a, 10);
        let epoch = bench.page(&open(&view, 1)).epoch;
        pass(bench, &keep(None, Some(4)), NOW, 100);
        for (position, gap) in [
            (0, Some((0, all[5]))),
            (all[1], Some((all[1], all[5]))),
            (all[4], Some((all[4], all[5]))),
            (all[5], None),
            (all[8], None),
        ] {
            let page = bench.page(&resume(&view, &epoch, position));
            let reached = gap.map_or(position, |(_, to)| to);
            assert_eq!((page.gap, page.reached, page.more), (gap, reached, true), "{position}");
            let page = bench.page(&after(&view, position));
            let rest: Vec<_> = all.iter().copied().filter(|seq| *seq > reached).collect();
            assert_eq!((page.gap, seqs(&page), page.reached), (gap, rest, all[9]));
        }
        pass(bench, &keep(None, Some(0)), NOW, 100);
        let page = bench.page(&resume(&view, &epoch, all[7]));
        assert_eq!((page.gap, page.reached, page.more), (Some((all[7], all[9])), all[9], false));
        let page = bench.page(&resume(&view, &epoch, all[9]));
        assert_eq!((page.gap, page.reached, page.more), (None, all[9], false));
    });
}

#[test]
fn what_is_too_old_for_a_cursor_is_skipped_and_told() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all: Vec<_> = (0..20)
            .map(|n| draft(&a, id(NOW, n), "1"))
            .zip(0..)
            .map(|(draft, n)| seq(bench.store(&[draft], NOW + n / 2 * 10).remove(0)))
            .collect();
        let epoch = bench.page(&open(&view, 1)).epoch;
        let mut find = |query: &Query, since| match bench.reader.find(query, since) {
            Ok(Finding::Page(page)) => page,
            other => panic!("{other:?}"),
        };
        // Two messages each ten milliseconds: `old` are older.
        for (since, old) in [(0, 0), (NOW, 0), (NOW + 1, 2), (NOW + 50, 10), (NOW + 91, 20)] {
            for seen in [0, 1, 9, 10, 19, 20] {
                let position = if seen == 0 { 0 } else { all[seen - 1] };
                let gap = (old > seen).then(|| (position, all[old.max(1) - 1]));
                let page = find(&after(&view, position), since);
                let expected = &all[seen.max(old)..];
                assert_eq!((page.gap, seqs(&page).as_slice()), (gap, expected), "{old} {seen}");
                let page = find(&resume(&view, &epoch, position), since);
                let reached = gap.map_or(position, |(_, to)| to);
                assert_eq!((page.gap, page.reached), (gap, reached));
                assert_eq!(page.more, reached < all[19]);
            }
        }
        assert_eq!(find(&open(&view, 20), NOW + 91).ends.len(), 20, "history is for who asks");
    });
}

#[test]
fn a_key_outlives_its_message_until_the_window_ends() {
    with_each(|bench| {
        let a = room("a");
        let first = draft(&a, id(NOW, 1), "1");
        let other = draft(&a, id(NOW, 1), "2");
        let position = seq(bench.store(std::slice::from_ref(&first), NOW).remove(0));
        let (nothing, both) = (keep(None, Some(0)), [first, other]);
        for now in [NOW, NOW + WINDOW] {
            pass(bench, &nothing, now, 100);
            assert!(bench.page(&open(&View::room("a"), 10)).ends.is_empty());
            let known = Outcome::Known { seq: position, time: NOW };
            assert_eq!(bench.store(&both, now), [known, CONFLICT]);
        }
        assert_eq!(bench.store(&both, NOW + WINDOW + 1), [EXPIRED, EXPIRED]);
        pass(bench, &nothing, NOW + WINDOW + 1, 100);
        assert_eq!(bench.store(&both, NOW + WINDOW + 1), [EXPIRED, EXPIRED]);
    });
}

#[test]
fn a_conversation_of_which_nothing_is_left_is_forgotten() {
    with_each(|bench| {
        let (direct, view) = (Conversation::direct("ada", "bob"), View::direct("ada", "bob"));
        let all = bench.fill(&direct, 5);
        let epoch = bench.page(&open(&view, 1)).epoch;
        let conversations = |bench: &mut Bench| {
            let query = Query::Conversations { user: "ada".into(), after: None, limit: 10 };
            match bench.reader.find(&query, 0).expect("it can be read") {
                Finding::Conversations { list, .. } => list.len(),
                Finding::Page(page) => panic!("{page:?}"),
            }
        };
        let nothing = keep(None, Some(0));
        pass(bench, &nothing, NOW, 100);
        assert_eq!(conversations(bench), 1, "its keys are still of use");
        for _ in 0..2 {
            pass(bench, &nothing, NOW + WINDOW + 1, 100);
        }
        assert_eq!(conversations(bench), 0);
        assert_eq!(bench.page(&open(&view, 10)).seq, 0);
        // Somebody comes back who was there, and then somebody says something again.
        let page = bench.page(&resume(&view, &epoch, all[2]));
        assert_eq!((page.gap, page.more), (Some((all[2], all[4])), false));
        let later = NOW + WINDOW + 2;
        let next = seq(bench.store(&[draft(&direct, id(later, 1), "1")], later).remove(0));
        assert!(next > all[4]);
        let page = bench.page(&after(&view, all[2]));
        assert_eq!((page.gap, seqs(&page)), (Some((all[2], all[4])), vec![next]));
        let page = bench.page(&after(&view, 0));
        assert_eq!((page.gap, seqs(&page)), (None, vec![next]), "a newcomer has missed nothing");
        assert_eq!(conversations(bench), 1);
    });
}

#[test]
fn a_step_is_small_and_what_happens_between_two_is_right() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let mut all = bench.fill(&a, 1000);
        let rules = keep(None, Some(10));
        let mut steps = 0;
        loop {
            let step = bench.engine.tidy(&*rules, NOW, 64).expect("it can be written");
            assert!(step.removed <= 64, "{} in a step", step.removed);
            all.extend(bench.fill(&a, 1));
            let gone = bench.page(&after(&view, 0)).gap.map_or(0, |(_, to)| to);
            let left = all.iter().filter(|seq| **seq > gone);
            let page = bench.page(&Query::History {
                view: view.clone(),
                direction: Direction::After(0),
                limit: 1,
            });
            assert_eq!(seqs(&page), left.take(1).copied().collect::<Vec<_>>());
            steps += 1;
            if step.is_over {
                break;
            }
        }
        assert!(steps >= 1000 / 64, "{steps} steps");
        let left = bench.page(&open(&view, 512)).ends.len();
        assert!((10..=12).contains(&left), "{left} are left");
    });
}

#[test]
fn many_conversations_are_looked_at_step_by_step() {
    with_each(|bench| {
        let rooms: Vec<_> = (0..3000).map(|n| room(&n.to_string())).collect();
        let drafts: Vec<_> = rooms
            .iter()
            .flat_map(|room| [1, 2].map(|_| draft(room, ClientId::from_bytes(random()), "1")))
            .collect();
        bench.store(&drafts, NOW);
        let steps = pass(bench, &keep(None, Some(1)), NOW, 100);
        assert_eq!(steps.iter().sum::<usize>(), 3000);
        assert!(steps.len() >= 30, "{} steps", steps.len());
    });
}

#[test]
fn memory_is_bounded_and_the_oldest_go_first() {
    const BYTES_MAX: usize = 1024 * 1024;
    let engine = in_memory(3, BYTES_MAX);
    let (reader, engine) = (engine.reader(), Box::new(engine));
    let mut bench = Bench { reader, engine, seq_step: 3, directory: None };
    let body = format!("\"{}\"", "x".repeat(1000));
    let (a, b, view) = (room("a"), room("b"), View::room("a"));
    let early = bench.fill(&b, 1)[0];
    let send = |n: u64| draft(&a, id(NOW + n, n), &body);
    let all: Vec<_> = (1..=5000).map(|n| seq(bench.store(&[send(n)], NOW + n).remove(0))).collect();
    let gap = bench.page(&after(&view, 0)).gap.expect("much is gone");
    let gone = all.iter().filter(|seq| **seq <= gap.1).count();
    // Each takes more than its body.
    assert!((5000 - BYTES_MAX / 1000..4900).contains(&gone), "{gone} are gone");
    assert!(bench.page(&open(&View::room("b"), 1)).ends.is_empty(), "{early} was the oldest");
    // The latest key is known, and the first was given up: it is refused, and not stored twice.
    let now = NOW + 5000;
    let known = Outcome::Known { seq: all[4999], time: now };
    assert_eq!(bench.store(&[send(5000), send(1)], now), [known, EXPIRED]);
    seq(bench.store(&[draft(&b, id(now, 7), "1")], now).remove(0));
}

/// An engine that says what it is asked to do, and begins when it is told to. Retention has work to do until so many
/// batches are stored.
pub(super) struct Watched {
    pub(super) engine: Box<dyn Engine>,
    pub(super) begin: Receiver<()>,
    pub(super) batches: usize,
    pub(super) steps: crossbeam_channel::Sender<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Store(usize),
    Tidy(usize),
    Remove(usize),
}

impl Engine for Watched {
    fn is_durable(&self) -> bool {
        self.engine.is_durable()
    }

    fn store(&mut self, drafts: &[Draft], now: Millis) -> Result<Vec<Outcome>, Unavailable> {
        let _ = self.begin.recv();
        self.batches = self.batches.saturating_sub(1);
        let _ = self.steps.send(Step::Store(drafts.len()));
        self.engine.store(drafts, now)
    }

    fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Result<Tidied, Unavailable> {
        let tidied = self.engine.tidy(rules, now, budget)?;
        let _ = self.steps.send(Step::Tidy(tidied.removed));
        Ok(Tidied { is_over: tidied.is_over && self.batches == 0, ..tidied })
    }

    fn remove(
        &mut self,
        errand: &mut Errand,
        now: Millis,
        budget: usize,
    ) -> Result<Removed, Unavailable> {
        let step = self.engine.remove(errand, now, budget)?;
        let _ = self.steps.send(Step::Remove(step.removed));
        Ok(step)
    }

    fn reader(&self) -> Box<dyn Reader> {
        self.engine.reader()
    }
}

#[test]
fn a_batch_waits_for_one_step_and_retention_keeps_up() {
    const BATCH: u64 = 2048;
    let plan = Plan { views: &[&[]], capacity: 64, drafts_max: 1_000_000, seq_step: 1 };
    let (begin, begin_end) = crossbeam_channel::bounded(0);
    let (steps, steps_end) = crossbeam_channel::bounded(100_000);
    let watched = |engines: Engines| {
        let durable = Watched { engine: engines.durable, begin: begin_end, batches: 8, steps };
        Engines { durable: Box::new(durable), ..engines }
    };
    let mut world = World::with(&plan, watched, Arc::from(keep(None, Some(100))));
    for batch in 0..8 {
        let ids = (batch * BATCH..).take(BATCH as usize).map(|n| id(NOW, n));
        world.submit(ids.map(|id| draft(&room("a"), id, "1")).collect());
    }
    drop(begin);
    world.wait(|log| log.counters().removed.get() == 8 * BATCH - 100);
    assert!(world.stop());
    let steps: Vec<_> = steps_end.iter().collect();
    let stores = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Store(_)));
    let places: Vec<_> = stores.map(|(place, _)| place).collect();
    assert_eq!(places.len(), 8, "each is a batch of its own");
    for (store, next) in places.iter().zip(&places[1..]) {
        assert!(next - store <= 2, "more than one step between two batches: {steps:?}");
    }
    let before = &steps[..places[7]];
    let removed: usize =
        before.iter().map(|step| if let Step::Tidy(removed) = step { *removed } else { 0 }).sum();
    assert!(removed > 0, "it does not wait until nobody writes: {steps:?}");
    assert!(steps.iter().all(|step| !matches!(step, Step::Tidy(4097..))), "{steps:?}");
}
