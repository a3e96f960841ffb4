//! What somebody had removed: that it is nowhere any more, that everybody can tell, and that nobody can bring it back.

use std::collections::BTreeMap;
use std::fs;

use super::keys::CONFLICT;
use super::retention::pass;
use super::*;
use crate::log::engine::{Keeping, Rule, Unavailable};
use crate::log::removal::{Errand, Removal, Removed};
use crate::log::sqlite::FILE;
use crate::log::sqlite::tool::check::check as check_log;

/// Carries a removal out in steps of that size: how much went in each, and what is told.
fn remove(
    bench: &mut Bench,
    removal: Removal,
    budget: usize,
) -> (Vec<usize>, BTreeMap<Conversation, Vec<Value>>) {
    let (mut errand, mut steps, mut events) = (Errand::new(removal), Vec::new(), BTreeMap::new());
    loop {
        let Removed { removed, events: told, is_over } =
            bench.engine.remove(&mut errand, NOW, budget).expect("it can be written");
        assert!(removed <= budget, "{removed} in a step of {budget}");
        steps.push(removed);
        for (conversation, message) in told {
            assert!(message.user.is_empty() && message.name.is_empty());
            let body = serde_json::from_str(&message.body).expect("JSON");
            let all: &mut Vec<Value> = events.entry(conversation).or_default();
            all.push(body);
        }
        if is_over {
            return (steps, events);
        }
        assert!(steps.len() < 10_000, "it comes to an end");
    }
}

pub(super) fn redact(conversation: &Conversation, seqs: &[Seq]) -> Removal {
    Removal::Redact { conversation: conversation.clone(), seqs: seqs.to_vec() }
}

pub(super) fn clear(conversation: &Conversation) -> Removal {
    Removal::Clear { conversation: conversation.clone() }
}

pub(super) fn erase(user: &str) -> Removal {
    Removal::Erase { user: user.into() }
}

pub(super) fn said_by(user: &str, conversation: &Conversation, n: u64) -> Draft {
    let mut draft = draft(conversation, id(NOW, n), &format!("\"{user} {n}\""));
    draft.author.user = user.into();
    draft
}

/// The messages of a conversation, all of them, each linked to the one before it.
fn all(bench: &mut Bench, conversation: &Conversation) -> Vec<Value> {
    let view = conversation.views().remove(0);
    let (mut found, mut position) = (Vec::new(), 0);
    loop {
        let page = bench.page(&after(&view, position));
        found.extend(messages(&page));
        position = page.complete_to();
        if !page.more {
            break;
        }
    }
    for pair in found.windows(2) {
        assert_eq!(pair[1]["prev"], pair[0]["seq"], "{pair:?}");
    }
    if let Some(directory) = &bench.directory {
        let checked = check_log(directory.path(), false).expect("it can be checked");
        assert_eq!(checked.problems(), 0, "{checked}");
    }
    found
}

fn positions(messages: &[Value]) -> Vec<Seq> {
    messages.iter().map(|message| message["seq"].as_u64().expect("a position")).collect()
}

#[test]
fn what_is_redacted_is_gone_and_nobody_sees_a_hole() {
    with_each(|bench| {
        let (a, step) = (room("a"), bench.seq_step);
        let drafts: Vec<_> = (1..=6).map(|n| said_by("ada", &a, n)).collect();
        let seqs: Vec<_> = bench.store(&drafts, NOW).into_iter().map(seq).collect();
        all(bench, &a);
        // In the middle, two neighbours, and the last.
        for (gone, expected) in
            [(vec![1], vec![0, 2, 3, 4, 5]), (vec![2, 3], vec![0, 4, 5]), (vec![5], vec![0, 4])]
        {
            let gone: Vec<_> = gone.into_iter().map(|at| seqs[at]).collect();
            let (steps, events) = remove(bench, redact(&a, &gone), 100);
            assert_eq!(steps, [gone.len()]);
            assert_eq!(events[&a], [serde_json::json!({ "seqs": gone })]);
            let found = all(bench, &a);
            let said: Vec<_> = found.iter().filter(|message| message["kind"] == "text").collect();
            let left: Vec<_> = said.iter().map(|message| message["seq"].as_u64()).collect();
            let expected: Vec<_> = expected.into_iter().map(|at| Some(seqs[at])).collect();
            assert_eq!(left, expected);
            let last = found.last().expect("the event");
            assert_eq!((&last["kind"], &last["body"]["seqs"]), (&"redact".into(), &gone.into()));
            assert_eq!(last["from"], serde_json::json!({ "user": "", "name": "" }));
        }
        let found = positions(&all(bench, &a));
        assert_eq!(found[2..], [7, 8, 9].map(|n| n * step), "the events have positions");
        // Once more, and what was never there, and an event.
        for gone in [seqs[1], 9 * step + 1, 8 * step] {
            let (steps, events) = remove(bench, redact(&a, &[gone]), 100);
            assert_eq!((steps, events.len()), (vec![0], 0));
        }
        assert_eq!(positions(&all(bench, &a)), found);
        // A position of another conversation.
        let b = bench.fill(&room("b"), 1);
        assert_eq!(remove(bench, redact(&a, &b), 100).0, [0]);
        assert_eq!(positions(&all(bench, &room("b"))), b);
    });
}

#[test]
fn who_sends_it_again_does_not_bring_it_back() {
    with_each(|bench| {
        let a = room("a");
        let said = said_by("ada", &a, 1);
        let first = seq(bench.store(std::slice::from_ref(&said), NOW).remove(0));
        for removal in [redact(&a, &[first]), erase("ada"), clear(&a)] {
            remove(bench, removal, 100);
            let again = bench.store(std::slice::from_ref(&said), NOW).remove(0);
            assert_eq!(again, Outcome::Known { seq: first, time: NOW });
            let other = Draft { body: "2".into(), ..said.clone() };
            assert_eq!(bench.store(&[other], NOW).remove(0), CONFLICT);
        }
    });
}

#[test]
fn who_resumes_is_told() {
    with_each(|bench| {
        let (a, view) = (room("a"), View::room("a"));
        let seqs = bench.fill(&a, 5);
        let epoch = bench.page(&open(&view, 1)).epoch;
        remove(bench, redact(&a, &seqs), 100);
        let event = bench.page(&open(&view, 10)).seq;
        let mut resume = |position| {
            bench.page(&Query::Open {
                view: view.clone(),
                after: Some((epoch.clone().as_ref().into(), position)),
                history: 2,
            })
        };
        for position in [0, seqs[2], seqs[4]] {
            let page = resume(position);
            assert_eq!((page.gap, page.reached, page.more), (None, position, true));
        }
        let page = bench.page(&after(&view, seqs[4]));
        assert_eq!(positions(&messages(&page)), [event]);
        remove(bench, clear(&a), 100);
        let page = bench.page(&after(&view, seqs[2]));
        assert_eq!((page.gap, messages(&page).len()), (Some((seqs[2], event)), 1));
        assert_eq!(messages(&page)[0]["body"]["to"], event);
        assert_eq!(messages(&page)[0]["prev"], event);
    });
}

#[test]
fn a_cleared_log_keeps_what_was_said_since() {
    with_each(|bench| {
        let a = room("a");
        let seqs = bench.fill(&a, 10);
        assert_eq!(remove(bench, clear(&room("nobody's")), 100), (vec![0], BTreeMap::new()));
        let mut errand = Errand::new(clear(&a));
        let step = bench.engine.remove(&mut errand, NOW, 4).expect("it can be written");
        assert_eq!((step.removed, step.events.len(), step.is_over), (4, 0, false));
        assert_eq!(positions(&all(bench, &a)), seqs[4..]);
        let since = bench.fill(&a, 1);
        let step = bench.engine.remove(&mut errand, NOW, 100).expect("it can be written");
        assert_eq!((step.removed, step.events.len(), step.is_over), (6, 1, true));
        let found = all(bench, &a);
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0]["seq"], &found[1]["kind"]), (&since[0].into(), &"clear".into()));
        assert_eq!(found[1]["body"], serde_json::json!({ "to": seqs[9] }));
        // What an event says is gone with the rest, and said again.
        assert_eq!(remove(bench, clear(&a), 100).0, [2]);
        assert_eq!(all(bench, &a).len(), 1);
    });
}

/// What three users said in rooms and to each other; who said it, where.
fn crowd(bench: &mut Bench) -> BTreeMap<Conversation, Vec<(&'static str, Seq)>> {
    let rooms = [room("a"), room("b"), room("c"), Conversation::direct("ada", "bob")];
    let mut said: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for n in 0..900 {
        let place = &rooms[(n * n / 7 % 4) as usize];
        let user = ["ada", "bob"][(n / 3 % 2) as usize];
        let seq = seq(bench.store(&[said_by(user, place, n)], NOW).remove(0));
        said.entry(place.clone()).or_default().push((user, seq));
    }
    said
}

#[test]
fn what_a_user_said_goes_everywhere_and_nothing_else_does() {
    for budget in [7, 100, 1000] {
        with_each(|bench| {
            let said = crowd(bench);
            let (steps, events) = remove(bench, erase("ada"), budget);
            let count = said.values().flatten().filter(|(user, _)| *user == "ada").count();
            assert_eq!(steps.iter().sum::<usize>(), count);
            assert_eq!(events.len(), said.len());
            for (conversation, said) in said {
                let of = |by: &str| -> Vec<Seq> {
                    said.iter().filter(|(user, _)| *user == by).map(|(_, seq)| *seq).collect()
                };
                let mut told: Vec<Seq> = Vec::new();
                for event in &events[&conversation] {
                    let seqs = event["seqs"].as_array().expect("positions");
                    assert!((1..=256).contains(&seqs.len()));
                    told.extend(seqs.iter().filter_map(Value::as_u64));
                }
                assert_eq!(told, of("ada"));
                let found = all(bench, &conversation);
                assert!(found.iter().all(|message| message["from"]["user"] != "ada"));
                let left: Vec<_> = found.into_iter().filter(|of| of["kind"] == "text").collect();
                assert_eq!(positions(&left), of("bob"));
            }
            assert_eq!(remove(bench, erase("ada"), budget).0, [0]);
        });
    }
}

#[test]
fn what_is_said_while_a_user_is_erased_stays() {
    with_each(|bench| {
        crowd(bench);
        let mut errand = Errand::new(erase("ada"));
        assert!(!bench.engine.remove(&mut errand, NOW, 10).expect("written").is_over);
        let late = seq(bench.store(&[said_by("ada", &room("a"), 5000)], NOW).remove(0));
        while !bench.engine.remove(&mut errand, NOW, 10).expect("written").is_over {}
        let left = all(bench, &room("a"));
        let mut left = left.iter().filter(|message| message["from"]["user"] == "ada");
        assert_eq!(left.next().expect("it stays")["seq"], late);
        assert_eq!(left.next(), None);
    });
}

#[test]
fn events_go_like_messages() {
    with_each(|bench| {
        let seqs = bench.fill(&room("a"), 3);
        remove(bench, redact(&room("a"), &seqs), 100);
        let rule = Rule { keeping: Keeping::Durable, age_max: None, messages_max: Some(0) };
        let now = NOW + 2 * WINDOW;
        let removed: usize = pass(bench, &move |_: &Conversation| rule, now, 100).iter().sum();
        assert_eq!((removed, all(bench, &room("a")).len()), (1, 0));
    });
}

/// Whether some file of the database holds the text.
fn holds(bench: &Bench, text: &str) -> bool {
    let directory = bench.directory.as_ref().expect("a database").path();
    fs::read_dir(directory).expect("it is there").any(|file| {
        let bytes = fs::read(file.expect("a file").path()).expect("it can be read");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn what_was_removed_is_in_no_file() {
    let mut bench = Bench::sqlite(1);
    let (a, secret) = (room("a"), "do not tell anybody");
    let drafts: Vec<_> = (0..3000)
        .map(|n| {
            let mut draft = said_by(if n % 3 == 0 { "eve the spy" } else { "bob" }, &a, n);
            let length = [1, 40, 300, 5000][(n / 3 % 4) as usize];
            let body = if n % 3 == 0 { secret } else { "good morning" };
            draft.body = format!("\"{}\"", body.repeat(length)).into();
            draft
        })
        .collect();
    let mut seqs = Vec::new();
    for some in drafts.chunks(100) {
        seqs.extend(bench.store(some, NOW).into_iter().map(seq));
    }
    let rule = |messages_max| {
        let rule = Rule { keeping: Keeping::Durable, age_max: None, messages_max };
        move |_: &Conversation| rule
    };
    pass(&mut bench, &rule(Some(2000)), NOW, 50);
    assert!(holds(&bench, secret));
    remove(&mut bench, redact(&a, &seqs[1500..1600]), 10);
    remove(&mut bench, erase("eve the spy"), 64);
    // With the end of a pass the write-ahead log is empty. Keys of what is gone are kept for a while, under its user.
    pass(&mut bench, &rule(None), NOW, 1000);
    assert!(!holds(&bench, secret) && holds(&bench, "good morning"));
    pass(&mut bench, &rule(None), NOW + 2 * WINDOW, 10_000);
    remove(&mut bench, redact(&a, &[seqs[1700]]), 10);
    pass(&mut bench, &rule(None), NOW + 2 * WINDOW, 10_000);
    assert!(!holds(&bench, "eve the spy"));
    remove(&mut bench, clear(&a), 100);
    pass(&mut bench, &rule(None), NOW + 2 * WINDOW, 1000);
    assert!(!holds(&bench, "good morning"));
    all(&mut bench, &a);
}

#[test]
fn a_removal_that_fails_is_finished_by_another() {
    let mut bench = Bench::sqlite(1);
    let said = crowd(&mut bench);
    let ada = said.values().flatten().filter(|(user, _)| *user == "ada").count();
    let path = bench.directory.as_ref().expect("a database").path().join(FILE);
    let mut errand = Errand::new(erase("ada"));
    assert_eq!(bench.engine.remove(&mut errand, NOW, 50).expect("written").removed, 50);
    let other = rusqlite::Connection::open(path).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    assert!(matches!(bench.engine.remove(&mut errand, NOW, 50), Err(Unavailable)));
    other.execute_batch("ROLLBACK").expect("it began");
    let (steps, _) = remove(&mut bench, erase("ada"), 1000);
    assert_eq!(steps.iter().sum::<usize>(), ada - 50);
    said.keys().for_each(|conversation| {
        all(&mut bench, conversation);
    });
}
