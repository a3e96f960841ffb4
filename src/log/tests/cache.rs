//! The latest messages in memory: how seldom the disk is read, and that nobody could tell but by that.

use super::retention::pass;
use super::*;
use crate::log::engine::{Keeping, Rule};
use crate::log::removal::{Errand, Removal};
use crate::log::{Direction, Message};

/// An engine with a cache of that size, and what it counts.
fn cached(cache_bytes_max: usize) -> (Bench, Arc<Counters>) {
    let directory = tempfile::tempdir().expect("a directory");
    let counters = Arc::new(Counters::default());
    let own = Arc::new(DataDir::lock(directory.path()).expect("nobody else has it"));
    let options = Options { cache_bytes_max, ..options(1) };
    let engine = Sqlite::open(own, options, counters.clone()).expect("it opens");
    let (reader, engine) = (engine.reader(), Box::new(engine));
    (Bench { reader, engine, seq_step: 1, directory: Some(directory) }, counters)
}

#[test]
fn a_crowd_that_joins_reads_the_disk_once() {
    let (mut bench, counters) = cached(CACHE);
    let (a, view) = (room("a"), View::room("a"));
    bench.fill(&a, 2000);
    std::thread::scope(|scope| {
        for mut reader in [bench.engine.reader(), bench.engine.reader()] {
            let query = open(&view, 100);
            scope.spawn(move || {
                for _ in 0..500 {
                    reader.find(&query, 0).expect("it can be read");
                }
            });
        }
    });
    assert_eq!((counters.reads_disk.get(), counters.reads_cached.get()), (1, 999));
    assert_eq!(counters.read_statements.get(), 2);
    // Who comes back to a place near the end is served from the same, and sees what was said since.
    let next = bench.fill(&a, 3);
    let page = bench.page(&after(&view, 1900));
    assert_eq!((page.ends.len(), page.ends.last().map(|(seq, _)| *seq)), (103, Some(next[2])));
    assert_eq!(counters.read_statements.get(), 2);
    // Further back it is the disk that answers.
    assert_eq!(bench.page(&after(&view, 5)).ends.len(), 512);
    assert_eq!(counters.reads_disk.get(), 2);
}

#[test]
fn who_was_asked_for_longest_ago_leaves_first() {
    // A share is a quarter; each of these takes most of one.
    let (mut bench, counters) = cached(64 * 1024);
    let body = format!("\"{}\"", "x".repeat(13_000));
    for name in ["a", "b", "c", "d", "e"] {
        bench.store(&[draft(&room(name), ClientId::from_bytes(random()), &body)], NOW);
    }
    let mut reads = |name: &str| {
        let before = counters.reads_disk.get();
        bench.page(&open(&View::room(name), 10));
        assert!(counters.cache_bytes.get() <= 64 * 1024);
        counters.reads_disk.get() - before
    };
    for (name, expected) in
        [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 0), ("e", 1), ("a", 0), ("b", 1), ("d", 0)]
    {
        assert_eq!(reads(name), expected, "{name}");
    }
}

#[test]
fn what_a_failed_batch_left_is_not_guessed() {
    let (mut bench, counters) = cached(CACHE);
    let (a, view) = (room("a"), View::room("a"));
    bench.fill(&a, 5);
    bench.page(&open(&view, 10));
    let path = bench.directory.as_ref().expect("a database").path().join(sqlite::FILE);
    let other = rusqlite::Connection::open(path).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let draft = [draft(&a, id(NOW, 1), "1")];
    assert!(bench.engine.store(&draft, NOW).is_err());
    other.execute_batch("ROLLBACK").expect("it began");
    let before = counters.reads_disk.get();
    assert_eq!(bench.page(&open(&view, 10)).ends.len(), 5);
    assert_eq!(counters.reads_disk.get(), before + 1);
}

/// Numbers that look random and are the same with every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What may be asked about a room that has had messages up to about that position.
fn query(numbers: &mut Numbers, epoch: &str, last: u64) -> Query {
    let view = View::room(&numbers.below(4).to_string());
    let position = numbers.below(last + 2);
    let count = numbers.below(12) as u32;
    match numbers.below(5) {
        0 => open(&view, count),
        1 => Query::Open { view, after: Some((epoch.into(), position)), history: count },
        2 => after(&view, position),
        3 => Query::History { view, direction: Direction::After(position), limit: count },
        _ => Query::History { view, direction: Direction::Before(position), limit: count },
    }
}

/// Has both remove the same; what they tell of it.
fn remove(
    benches: [&mut Bench; 2],
    numbers: &mut Numbers,
    last: Seq,
    now: Millis,
) -> [Vec<(Conversation, Message)>; 2] {
    let conversation = room(&numbers.below(4).to_string());
    // Which conversation is told of first is left to the engine where there are several.
    let removal = match numbers.below(8) {
        0 => Removal::Clear { conversation },
        _ => {
            let seqs = (0..3).map(|_| last.saturating_sub(numbers.below(200))).collect();
            Removal::Redact { conversation, seqs }
        }
    };
    benches.map(|bench| {
        let mut errand = Errand::new(removal.clone());
        let step = bench.engine.remove(&mut errand, now, 100_000).expect("written");
        assert!(step.is_over);
        step.events
    })
}

/// Both engines are asked for the same all the time, and only one of them has a cache.
fn compare(cache_bytes_max: usize, seed: u64) -> Arc<Counters> {
    let ((mut bench, counters), mut plain) = (cached(cache_bytes_max), Bench::memory(1));
    let epochs = [&mut bench, &mut plain].map(|bench| bench.page(&open(&View::room("x"), 1)).epoch);
    let (mut numbers, mut last) = (Numbers(seed), 0);
    for now in (NOW..).step_by(WINDOW as usize / 400).take(1000) {
        match numbers.below(10) {
            0..3 => {
                let rooms = 1 + numbers.below(4);
                let body = format!("\"{}\"", "x".repeat(numbers.below(3000) as usize));
                let drafts: Vec<_> = (0..1 + numbers.below(8))
                    .map(|n| draft(&room(&numbers.below(rooms).to_string()), id(now, n), &body))
                    .collect();
                let stored = bench.store(&drafts, now);
                assert_eq!(stored, plain.store(&drafts, now));
                last = seq(*stored.last().expect("some"));
            }
            3 => {
                let (age, count) = (numbers.below(2 * WINDOW), numbers.below(60));
                let rule = Rule {
                    keeping: Keeping::Durable,
                    age_max: Some(std::time::Duration::from_millis(age)),
                    messages_max: Some(count),
                };
                for bench in [&mut bench, &mut plain] {
                    // Twice, for one engine forgets a conversation only when it sees it without keys.
                    for _ in 0..2 {
                        pass(bench, &move |_: &Conversation| rule, now, 1000);
                    }
                }
            }
            4 => {
                let told = remove([&mut bench, &mut plain], &mut numbers, last, now);
                assert_eq!(told[0], told[1]);
                last = told[0].last().map_or(last, |(_, event)| event.seq);
            }
            _ => {
                let since = now.saturating_sub(numbers.below(WINDOW)) * numbers.below(2);
                let seed = numbers.0;
                let pages =
                    [(&mut bench, &epochs[0]), (&mut plain, &epochs[1])].map(|(bench, epoch)| {
                        let query = query(&mut Numbers(seed), epoch, last);
                        let page = match bench.reader.find(&query, since) {
                            Ok(Finding::Page(page)) => page,
                            other => panic!("{other:?}"),
                        };
                        check(&page);
                        let text = String::from_utf8(page.bytes).expect("text");
                        (page.seq, page.reached, page.gap, page.more, page.ends, text, query)
                    });
                let [one, other] = &pages;
                let is_same = (one.0, one.1, one.2, one.3) == (other.0, other.1, other.2, other.3)
                    && (&one.4, &one.5) == (&other.4, &other.5);
                assert!(is_same, "since {since}: {pages:#?}");
                numbers.below(2);
            }
        }
    }
    counters
}

#[test]
fn nobody_can_tell_whether_there_is_a_cache() {
    for seed in 0..2 {
        let large = compare(CACHE, seed);
        assert!(large.reads_cached.get() > 4 * large.reads_disk.get(), "{large:?}");
        let small = compare(64 * 1024, seed);
        assert!(small.reads_cached.get() > 30 && small.reads_disk.get() > 30, "{small:?}");
        let none = compare(0, seed);
        assert_eq!(none.reads_cached.get(), 0);
    }
}
