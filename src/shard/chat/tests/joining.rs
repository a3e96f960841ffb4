//! Joining, leaving and joining again while the first page is on its way.

use serde_json::{Value, json};

use super::hall::{Hall, messages, page};
use crate::log::Unreadable;
use crate::rooms::conversation::View;

/// What there is of answers: type, code, room and reference.
fn answers(heard: &[Value]) -> Vec<(&str, Option<&str>, Option<u64>)> {
    let answers = heard.iter().filter(|message| message["type"] != "message");
    answers
        .map(|message| {
            let what = message["code"].as_str().or(message["type"].as_str()).expect("a type");
            (what, message["room"].as_str(), message["ref"].as_u64())
        })
        .collect()
}

#[test]
fn a_page_of_a_room_that_was_left_is_not_taken_for_another_ones() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", true);
    hall.say(ann, r#"{"type":"join","room":"a","ref":1}"#);
    hall.turn();
    assert_eq!(hall.asked(), 1);
    hall.say(ann, r#"{"type":"leave","room":"a","ref":2}"#);
    // It has the place in the shard's list of rooms that the other one had.
    hall.say(ann, r#"{"type":"join","room":"b","ref":3}"#);
    hall.turn();
    hall.found(1, Ok(page(&View::room("a"), 0, &[1, 2])));
    hall.rest();
    let heard = hall.heard(ann);
    assert_eq!(
        answers(&heard),
        [("not_joined", None, Some(1)), ("left", Some("a"), Some(2))],
        "{heard:?}"
    );
    assert_eq!(hall.asked(), 2);
    hall.found(2, Ok(page(&View::room("b"), 0, &[3])));
    hall.deliver(&View::room("b"), 3, &[4]);
    hall.rest();
    let heard = hall.heard(ann);
    assert_eq!(answers(&heard), [("joined", Some("b"), Some(3))]);
    assert_eq!(heard[0]["messages"][0]["seq"], 3);
    assert_eq!(messages(&heard), [("b".to_owned(), 4)]);
}

#[test]
fn a_read_that_failed_ends_no_other_membership() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", true);
    hall.say(ann, r#"{"type":"join","room":"a","ref":1}"#);
    hall.turn();
    hall.say(ann, r#"{"type":"leave","room":"a","ref":2}"#);
    hall.say(ann, r#"{"type":"join","room":"b","ref":3}"#);
    hall.turn();
    hall.found(1, Err(Unreadable));
    hall.rest();
    hall.found(2, Ok(page(&View::room("b"), 0, &[])));
    hall.rest();
    let heard = hall.heard(ann);
    let joined = [
        ("not_joined", None, Some(1)),
        ("left", Some("a"), Some(2)),
        ("joined", Some("b"), Some(3)),
    ];
    assert_eq!(answers(&heard), joined);
    hall.say(ann, r#"{"type":"join","room":"c","ref":4}"#);
    hall.turn();
    hall.found(3, Err(Unreadable));
    hall.rest();
    assert_eq!(answers(&hall.heard(ann)), [("unavailable", None, Some(4))]);
    hall.say(ann, r#"{"type":"leave","room":"c","ref":5}"#);
    hall.rest();
    assert_eq!(answers(&hall.heard(ann)), [("not_joined", None, Some(5))]);
}

#[test]
fn who_joins_again_is_answered_once_for_each_and_goes_on_from_the_last() {
    // Before the first one's page was asked for, while it is on its way, and after it has come.
    for turns in 0..3 {
        let mut hall = Hall::new();
        let ann = hall.connect("ann", true);
        hall.say(ann, r#"{"type":"join","room":"a","ref":1}"#);
        if turns > 0 {
            hall.turn();
        }
        if turns > 1 {
            hall.found(1, Ok(page(&View::room("a"), 0, &[1])));
            hall.rest();
        }
        hall.say(ann, r#"{"type":"join","room":"a","after":{"epoch":"e","seq":1},"ref":2}"#);
        hall.turn();
        if turns == 1 {
            hall.found(1, Ok(page(&View::room("a"), 0, &[1])));
            hall.rest();
        }
        let last = hall.asked();
        assert_eq!(last, if turns == 0 { 1 } else { 2 });
        let mut resumed = page(&View::room("a"), 1, &[]);
        (resumed.seq, resumed.more) = (3, true);
        hall.found(last, Ok(resumed));
        hall.rest();
        hall.found(last + 1, Ok(page(&View::room("a"), 1, &[2, 3])));
        hall.deliver(&View::room("a"), 3, &[4]);
        hall.rest();
        let heard = hall.heard(ann);
        let first = if turns == 2 { ("joined", Some("a")) } else { ("not_joined", None) };
        assert_eq!(answers(&heard), [(first.0, first.1, Some(1)), ("joined", Some("a"), Some(2))]);
        let seqs: Vec<_> = messages(&heard).into_iter().map(|(_, seq)| seq).collect();
        assert_eq!(seqs, [2, 3, 4]);
        assert_eq!(
            hall.state
                .rooms
                .rooms
                .iter()
                .map(|(_, room)| room.chat.as_ref().map(|chat| chat.cursors))
                .collect::<Vec<_>>(),
            [Some(0)]
        );
    }
}

#[test]
fn who_changes_its_mind_often_is_no_flood() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", true);
    for _ in 0..200 {
        hall.say(ann, r#"{"type":"join","room":"a"}"#);
        hall.say(ann, r#"{"type":"leave","room":"a"}"#);
        hall.rest();
        assert_eq!(hall.heard(ann).len(), 2);
    }
}

#[test]
fn a_room_that_begins_anew_goes_on_where_it_was() {
    let mut hall = Hall::new();
    let view = View::room("a");
    let ann = hall.connect("ann", true);
    hall.say(ann, r#"{"type":"join","room":"a"}"#);
    hall.turn();
    hall.found(1, Ok(page(&view, 0, &[])));
    hall.deliver(&view, 0, &[5]);
    hall.rest();
    hall.lose(ann);
    assert_eq!(hall.state.rooms.len(), 0);
    let bob = hall.connect("bob", true);
    hall.say(bob, r#"{"type":"join","room":"a"}"#);
    hall.turn();
    // What was on its way to the room that ended, and what nobody here was told of.
    hall.deliver(&view, 5, &[6]);
    hall.found(2, Ok(page(&view, 0, &[5, 6, 7])));
    hall.rest();
    hall.deliver(&view, 7, &[8]);
    hall.rest();
    assert_eq!(hall.asked(), 3, "the shard reads what it missed");
    hall.found(3, Ok(page(&view, 6, &[7, 8])));
    hall.deliver(&view, 8, &[9]);
    hall.rest();
    let heard = hall.heard(bob);
    assert_eq!(heard[0]["messages"].as_array().expect("a list").len(), 3);
    let seqs: Vec<_> = messages(&heard).into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [8, 9]);
    assert_eq!(heard.len(), 3, "{}", json!(heard));
}
