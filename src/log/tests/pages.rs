//! What queries find.

use super::*;
use crate::log::Direction;
use crate::log::page::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX};

fn history(view: &View, direction: Direction, limit: u32) -> Query {
    Query::History { view: view.clone(), direction, limit }
}

fn resume(view: &View, epoch: &str, after: Seq) -> Query {
    Query::Open { view: view.clone(), after: Some((epoch.into(), after)), history: 2 }
}

#[test]
fn nothing_was_said() {
    with_each(|bench| {
        let view = View::room("a");
        bench.fill(&room("other"), 3);
        let queries = [
            open(&view, 10),
            after(&view, 0),
            history(&view, Direction::Before(Seq::MAX), 10),
            history(&view, Direction::After(0), 10),
        ];
        for query in queries {
            let page = bench.page(&query);
            let is_empty = page.bytes.is_empty() && !page.more && page.gap.is_none();
            assert!(is_empty && page.seq == 0 && page.reached == 0, "{query:?}: {page:?}");
        }
    });
}

#[test]
fn who_joins_gets_the_latest() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all = bench.fill(&a, 5);
        bench.fill(&room("b"), 1);
        for (count, more) in [(0, true), (1, true), (4, true), (5, false), (100, false)] {
            let page = bench.page(&open(&view, count));
            let expected = &all[all.len() - all.len().min(count as usize)..];
            assert_eq!((seqs(&page).as_slice(), page.more), (expected, more));
            assert_eq!((page.seq, page.reached, page.gap), (all[4], all[4], None));
        }
        let message = &messages(&bench.page(&open(&view, 1)))[0];
        assert_eq!(message["room"], "a");
        assert_eq!(message["body"], 5);
        assert_eq!(message["prev"], all[3]);
        assert_eq!(message["time"], NOW);
        assert_eq!(message["from"]["user"], "ada");
    });
}

#[test]
fn who_was_here_goes_on_where_it_was() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all = bench.fill(&a, 5);
        let epoch = bench.page(&open(&view, 1)).epoch;
        for (position, more) in [(0, true), (all[1], true), (all[4] - 1, true), (all[4], false)] {
            let page = bench.page(&resume(&view, &epoch, position));
            assert!(page.bytes.is_empty() && page.gap.is_none());
            assert_eq!((page.seq, page.reached, page.more), (all[4], position, more));
        }
        // Another epoch, and a position that was never given.
        for query in [resume(&view, "other", all[1]), resume(&view, &epoch, all[4] + 1)] {
            let page = bench.page(&query);
            assert_eq!((seqs(&page).as_slice(), page.more), (&all[3..], true));
            assert_eq!((page.seq, page.reached), (all[4], all[4]));
        }
    });
}

#[test]
fn what_comes_after_a_position_is_read_page_by_page() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all = bench.fill(&a, 2 * PAGE_MESSAGES_MAX as u64 + 1);
        let (mut read, mut pages, mut position) = (Vec::new(), 0, 0);
        loop {
            let page = bench.page(&after(&view, position));
            read.extend(seqs(&page));
            pages += 1;
            position = page.reached;
            assert_eq!(page.more, position < page.seq);
            if !page.more {
                break;
            }
        }
        assert_eq!((read, pages, position), (all.clone(), 3, all[all.len() - 1]));
    });
}

#[test]
fn history_goes_both_ways() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let all = bench.fill(&a, 6);
        let mut check = |direction, limit, expected: &[Seq], more| {
            let page = bench.page(&history(&view, direction, limit));
            assert_eq!((seqs(&page).as_slice(), page.more), (expected, more), "{direction:?}");
        };
        check(Direction::Before(Seq::MAX), 2, &all[4..], true);
        check(Direction::Before(all[4]), 3, &all[1..4], true);
        check(Direction::Before(all[4]), 4, &all[..4], false);
        check(Direction::Before(all[4]), u32::MAX, &all[..4], false);
        check(Direction::Before(0), 4, &[], false);
        check(Direction::After(0), 2, &all[..2], true);
        check(Direction::After(all[1]), 4, &all[2..], false);
        check(Direction::After(all[5]), 4, &[], false);
        check(Direction::After(Seq::MAX), 4, &[], false);
    });
}

#[test]
fn a_page_is_bounded_in_bytes_and_never_empty() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let body = |bytes| format!("\"{}\"", "x".repeat(bytes));
        let sizes = [PAGE_BYTES_MAX / 2, PAGE_BYTES_MAX / 3, PAGE_BYTES_MAX, 10, 10];
        let drafts: Vec<_> =
            sizes.into_iter().map(|size| draft(&a, random_id(), &body(size))).collect();
        let all: Vec<_> = bench.store(&drafts, NOW).into_iter().map(seq).collect();
        let forward = bench.page(&after(&view, 0));
        assert_eq!((seqs(&forward).as_slice(), forward.more), (&all[..2], true));
        let large = bench.page(&after(&view, forward.reached));
        assert_eq!((seqs(&large).as_slice(), large.more), (&all[2..3], true));
        assert!(large.bytes.len() > PAGE_BYTES_MAX);
        let backward = bench.page(&open(&view, 100));
        assert_eq!((seqs(&backward).as_slice(), backward.more), (&all[3..], true));
        let large = bench.page(&history(&view, Direction::Before(all[3]), 100));
        assert_eq!((seqs(&large).as_slice(), large.more), (&all[2..3], true));
        let rest = bench.page(&history(&view, Direction::Before(all[2]), 100));
        assert_eq!((seqs(&rest).as_slice(), rest.more), (&all[..2], false));
    });
}

fn random_id() -> ClientId {
    ClientId::from_bytes(random())
}

#[test]
fn each_end_of_a_direct_conversation_sees_the_other() {
    with_each(|bench| {
        let direct = Conversation::direct("ada", "bob");
        bench.fill(&direct, 2);
        for (owner, other) in [("ada", "bob"), ("bob", "ada")] {
            let page = bench.page(&open(&View::direct(owner, other), 10));
            let with: Vec<_> =
                messages(&page).iter().map(|message| message["with"].clone()).collect();
            assert_eq!(with, [other, other]);
        }
    });
}

#[test]
fn a_user_finds_every_direct_conversation() {
    with_each(|bench| {
        let others = ["zoe", "bob", "ada", "eve", "guest"];
        let mut expected: Vec<(Arc<str>, Seq)> = Vec::new();
        for other in others {
            let last = bench.fill(&Conversation::direct("ada", other), 2)[1];
            expected.push((other.into(), last));
        }
        bench.fill(&Conversation::direct("bob", "eve"), 1);
        bench.fill(&room("ada"), 1);
        expected.sort();
        let mut find = |user: &str, after: Option<&str>, limit| {
            let after = after.map(Box::from);
            let query = Query::Conversations { user: user.into(), after, limit };
            match bench.reader.find(&query, 0).expect("it can be read") {
                Finding::Conversations { list, more } => (list, more),
                Finding::Page(page) => panic!("{page:?}"),
            }
        };
        assert_eq!(find("ada", None, 5), (expected.clone(), false));
        assert_eq!(find("ada", None, 4), (expected[..4].to_vec(), true));
        assert_eq!(find("ada", Some("bob"), 2), (expected[2..4].to_vec(), true));
        assert_eq!(find("ada", Some("eve"), 5), (expected[3..].to_vec(), false));
        assert_eq!(find("nobody", None, 5), (Vec::new(), false));
        assert_eq!(find("eve", None, 5).0.len(), 2);
    });
}
