//! Tokens: at hello, when they expire, and when they are refreshed, with a verifier that answers when the test says so.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};

use super::access::{access, enter, join};
use super::hall::{Hall, messages, page};
use crate::gate::access::Access;
use crate::gate::verify::{Shown, Unverified, Verdict, Verified};
use crate::log::writer::system_time;
use crate::rooms::conversation::View;
use crate::shard::session::flag;

/// Has tokens shown to the test.
fn shown_to(hall: &mut Hall) -> Receiver<Shown> {
    let (sender, shown) = bounded(10);
    let settings = &mut hall.state.chat.as_mut().expect("a chat").settings;
    settings.ask = Some(Arc::new(move |shown| sender.try_send(shown).expect("there is room")));
    shown
}

/// The verifier says what the last token is.
fn answer(hall: &mut Hall, shown: &Receiver<Shown>, verdict: Verdict) {
    let Shown { question, .. } = shown.try_recv().expect("a token was shown");
    hall.state.take_verified(Verified { question, verdict });
    hall.rest();
}

fn refresh(hall: &mut Hall, shown: &Receiver<Shown>, peer: usize, verdict: Verdict) {
    hall.say(peer, r#"{"type":"refresh","token":"t","ref":9}"#);
    assert!(hall.state.sessions[hall.slot(peer) as usize].has(flag::PAUSED_BY_TOKEN));
    answer(hall, shown, verdict);
    assert!(!hall.state.sessions[hall.slot(peer) as usize].has(flag::PAUSED_BY_TOKEN));
}

fn types(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(|message| message["type"].as_str().expect("a type")).collect()
}

fn until(access: Access, expires_at: u64) -> Verdict {
    Ok(Arc::new(Access { expires_at: Some(expires_at), ..access }))
}

#[test]
fn a_hello_waits_for_its_token_and_hears_what_became_of_it() {
    let bob = || Arc::new(access("bob", &json!({})));
    let cases: [(Verdict, &str, Option<u16>); 3] = [
        (Ok(bob()), "welcome", None),
        (Err(Unverified::Bad), "bad_token", Some(4401)),
        (Err(Unverified::Unavailable), "unavailable", None),
    ];
    for (verdict, expected, code) in cases {
        let mut hall = Hall::new();
        let shown = shown_to(&mut hall);
        let peer = hall.connect_silent();
        hall.say(peer, r#"{"type":"hello","token":"secret","ref":1}"#);
        hall.rest();
        assert!(hall.heard(peer).is_empty());
        assert_eq!(hall.state.counters.paused, 1);
        answer(&mut hall, &shown, verdict);
        let (heard, closed) = hall.ended(peer);
        let what = heard[0]["code"].as_str().or(heard[0]["type"].as_str());
        assert_eq!((what, &heard[0]["ref"], closed), (Some(expected), &json!(1), code));
        assert_eq!(hall.state.counters.paused, 0);
        if expected == "welcome" {
            assert_eq!(heard[0]["user"], "bob");
        }
    }
}

#[test]
fn a_session_that_ends_while_its_token_is_looked_at_is_not_taken_for_the_next_one() {
    let mut hall = Hall::new();
    let shown = shown_to(&mut hall);
    let first = hall.connect_silent();
    hall.say(first, r#"{"type":"hello","token":"t"}"#);
    hall.lose(first);
    let next = hall.connect_silent();
    assert_eq!(hall.slot(first), hall.slot(next));
    answer(&mut hall, &shown, Ok(Arc::new(access("bob", &json!({})))));
    assert!(hall.heard(next).is_empty());
    assert!(hall.state.access(hall.slot(next)).is_none());
}

#[test]
fn without_guests_there_is_no_welcome_without_a_token() {
    let mut hall = Hall::new();
    hall.state.chat.as_mut().expect("a chat").settings.is_open = false;
    let peer = hall.connect_silent();
    hall.say(peer, r#"{"type":"hello","ref":1}"#);
    hall.rest();
    let (heard, code) = hall.ended(peer);
    assert_eq!((&heard[0]["code"], code), (&json!("token_required"), Some(4401)));
    assert_eq!(types(&heard), ["error", "bye"]);
    // Who has shown at the handshake who it is needs none.
    enter(&mut hall, "ann", &json!({}));
}

#[test]
fn a_session_is_warned_once_and_ends_when_its_token_does() {
    let mut hall = Hall::new();
    let now = system_time();
    let mut soon = access("ann", &json!({"rooms": {"a": ["join"]}}));
    soon.expires_at = Some(now + 30_000);
    let ann = hall.connect_as(soon);
    hall.say(ann, r#"{"type":"hello"}"#);
    hall.rest();
    join(&mut hall, ann, "a", &[]);
    for _ in 0..8 {
        hall.state.sweep();
    }
    hall.rest();
    let heard = hall.heard(ann);
    assert_eq!((types(&heard), &heard[0]["code"]), (vec!["error"], &json!("token_expired")));
    // What is queued of the room is not for it any more once its time is over.
    let slot = hall.slot(ann) as usize;
    hall.state.sessions[slot].set(flag::BLOCKED);
    hall.deliver(&View::room("a"), 0, &[1]);
    hall.rest();
    hall.state.clock = || system_time() + 30_000;
    (0..4).for_each(|_| hall.state.sweep());
    hall.rest();
    hall.state.sessions[slot].clear(flag::BLOCKED);
    hall.state.flush_outbox(slot as u32);
    let (heard, code) = hall.ended(ann);
    assert_eq!((types(&heard), code), (vec!["bye"], Some(4401)));
    assert_eq!(heard[0]["reconnect"], false);
}

#[test]
fn a_refresh_puts_the_end_off_and_lets_it_be_warned_again() {
    let mut hall = Hall::new();
    let shown = shown_to(&mut hall);
    let now = system_time();
    let ann = enter(&mut hall, "ann", &json!({}));
    for (left, warnings) in [(30_000, 1), (3_600_000, 0), (50_000, 1)] {
        let verdict = until(access("ann", &json!({})), now + left);
        refresh(&mut hall, &shown, ann, verdict);
        (0..8).for_each(|_| hall.state.sweep());
        hall.rest();
        let heard = hall.heard(ann);
        let refreshed = json!({"type": "refreshed", "expires": now + left, "ref": 9});
        assert_eq!(heard[0], refreshed);
        assert_eq!(heard.len(), 1 + warnings, "{heard:?}");
    }
    // For ever, as far as the token is concerned.
    refresh(&mut hall, &shown, ann, Ok(Arc::new(access("ann", &json!({})))));
    hall.state.clock = || system_time() + 10_000_000;
    (0..8).for_each(|_| hall.state.sweep());
    hall.rest();
    assert_eq!(hall.heard(ann), [json!({"type": "refreshed", "ref": 9})]);
}

#[test]
fn a_refresh_that_is_wrong_changes_nothing() {
    let cases: [(Verdict, &str); 3] = [
        (Ok(Arc::new(access("bob", &json!({"rooms": {"*": ["join"]}})))), "forbidden"),
        (Err(Unverified::Bad), "bad_token"),
        (Err(Unverified::Unavailable), "unavailable"),
    ];
    for (verdict, code) in cases {
        let mut hall = Hall::new();
        let shown = shown_to(&mut hall);
        let ann = enter(&mut hall, "ann", &json!({"rooms": {"a": ["join"]}}));
        join(&mut hall, ann, "a", &[]);
        refresh(&mut hall, &shown, ann, verdict);
        let heard = hall.heard(ann);
        assert_eq!((&heard[0]["code"], &heard[0]["ref"]), (&json!(code), &json!(9)));
        hall.deliver(&View::room("a"), 0, &[1]);
        hall.say(ann, r#"{"type":"join","room":"b","ref":1}"#);
        hall.rest();
        let heard = hall.heard(ann);
        assert_eq!(messages(&heard), [("a".to_owned(), 1)]);
        assert!(heard.iter().any(|message| message["code"] == "forbidden"));
    }
}

#[test]
fn a_refresh_that_takes_rooms_away_ends_them_and_lets_go_of_what_was_queued() {
    let mut hall = Hall::new();
    let shown = shown_to(&mut hall);
    let all = json!({"rooms": {"*": ["join", "history"]}, "direct": true});
    let ann = enter(&mut hall, "ann", &all);
    for room in ["a", "b"] {
        join(&mut hall, ann, room, &[]);
    }
    hall.deliver(&View::direct("ann", "bob"), 0, &[1]);
    hall.rest();
    hall.heard(ann);
    let slot = hall.slot(ann);
    hall.state.sessions[slot as usize].set(flag::BLOCKED);
    hall.deliver(&View::room("a"), 0, &[7]);
    hall.deliver(&View::room("b"), 0, &[8]);
    hall.deliver(&View::direct("ann", "bob"), 1, &[9]);
    hall.rest();
    refresh(
        &mut hall,
        &shown,
        ann,
        Ok(Arc::new(access("ann", &json!({"rooms": {"b": ["join"]}})))),
    );
    hall.state.sessions[slot as usize].clear(flag::BLOCKED);
    hall.state.flush_outbox(slot);
    let heard = hall.heard(ann);
    assert_eq!(messages(&heard), [("b".to_owned(), 8)]);
    let mut left: Vec<_> = heard.iter().filter(|message| message["type"] == "left").collect();
    left.sort_by_key(|message| message.to_string());
    assert_eq!(
        left,
        [&json!({"type": "left", "room": "a"}), &json!({"type": "left", "with": "bob"})]
    );
    // And nothing of them comes any more.
    hall.deliver(&View::room("a"), 7, &[10]);
    hall.deliver(&View::direct("ann", "bob"), 9, &[11]);
    hall.deliver(&View::room("b"), 8, &[12]);
    hall.rest();
    assert_eq!(messages(&hall.heard(ann)), [("b".to_owned(), 12)]);
    // Until it may again.
    refresh(&mut hall, &shown, ann, Ok(Arc::new(access("ann", &all))));
    hall.deliver(&View::direct("ann", "bob"), 11, &[13]);
    hall.rest();
    assert_eq!(messages(&hall.heard(ann)), [("bob".to_owned(), 13)]);
}

#[test]
fn who_may_look_back_no_more_is_told_what_it_misses_and_goes_on() {
    let mut hall = Hall::new();
    let shown = shown_to(&mut hall);
    let ann = enter(&mut hall, "ann", &json!({"rooms": {"a": ["join", "history"]}}));
    let view = View::room("a");
    hall.say(ann, r#"{"type":"join","room":"a","after":{"epoch":"e","seq":1}}"#);
    hall.rest();
    // There is more than comes with the join.
    let mut resumed = page(&view, 1, &[]);
    (resumed.seq, resumed.reached, resumed.more) = (9, 1, true);
    let asked = hall.asked();
    hall.found(asked, Ok(resumed));
    hall.deliver(&view, 9, &[10]);
    hall.rest();
    assert_eq!(types(&hall.heard(ann)), ["joined"]);
    // And a page of it is on its way, and one of history too.
    hall.say(ann, r#"{"type":"history","room":"a","ref":5}"#);
    refresh(
        &mut hall,
        &shown,
        ann,
        Ok(Arc::new(access("ann", &json!({"rooms": {"a": ["join"]}})))),
    );
    let asked = hall.asked();
    hall.found(asked, Ok(page(&view, 1, &[2, 3])));
    hall.rest();
    let last = hall.asked();
    if last > asked {
        hall.found(last, Ok(page(&view, 1, &[2, 3])));
    }
    hall.deliver(&view, 10, &[11]);
    hall.rest();
    let heard = hall.heard(ann);
    let gap = heard.iter().find(|message| message["type"] == "gap").expect("a gap");
    assert_eq!((&gap["from"], &gap["to"]), (&json!(1), &json!(10)), "{heard:?}");
    assert_eq!(messages(&heard), [("a".to_owned(), 11)]);
    assert!(heard.iter().any(|message| message["code"] == "forbidden" && message["ref"] == 5));
}

#[test]
fn who_may_not_know_any_more_is_not_told_what_was_queued() {
    let mut hall = Hall::with_presence();
    let shown = shown_to(&mut hall);
    let ann = enter(&mut hall, "ann", &json!({"rooms": {"a": ["join", "members"]}}));
    join(&mut hall, ann, "a", &[]);
    let slot = hall.slot(ann);
    hall.state.sessions[slot as usize].set(flag::BLOCKED);
    let bob = enter(&mut hall, "bob", &json!({"rooms": {"a": ["join"]}}));
    hall.say(bob, r#"{"type":"join","room":"a"}"#);
    hall.deliver(&View::room("a"), 0, &[1]);
    hall.rest();
    refresh(
        &mut hall,
        &shown,
        ann,
        Ok(Arc::new(access("ann", &json!({"rooms": {"a": ["join"]}})))),
    );
    hall.state.sessions[slot as usize].clear(flag::BLOCKED);
    hall.state.flush_outbox(slot);
    hall.rest();
    let asked = hall.asked();
    hall.found(asked, Ok(page(&View::room("a"), 0, &[1])));
    hall.rest();
    let heard = hall.heard(ann);
    assert_eq!(messages(&heard), [("a".to_owned(), 1)]);
    assert!(!types(&heard).contains(&"presence"), "{heard:?}");
}
