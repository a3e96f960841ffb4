//! What each right is good for, message by message.

use serde_json::{Value, json};

use super::hall::{Hall, messages, page};
use crate::gate::access::Access;
use crate::gate::permissions::{Grant, Permissions};
use crate::protocol::chat::Identity;
use crate::rooms::conversation::View;
use crate::shard::session::flag;

/// What that user may do.
pub(super) fn access(user: &str, grant: &Value) -> Access {
    let grant: Grant = serde_json::from_value(grant.clone()).expect("a grant");
    let permissions = Permissions::try_from(grant).expect("a right grant").into();
    let identity = Identity { user: user.into(), name: user.into(), is_guest: false };
    Access { identity, permissions, expires_at: None }
}

/// A welcomed session of a user who may do that.
pub(super) fn enter(hall: &mut Hall, user: &str, grant: &Value) -> usize {
    let peer = hall.connect_as(access(user, grant));
    hall.say(peer, r#"{"type":"hello"}"#);
    hall.rest();
    if grant["direct"] == true {
        let asked = hall.asked();
        hall.found_conversations(asked, &[]);
    }
    hall.rest();
    assert_eq!(hall.heard(peer)[0]["type"], "welcome");
    peer
}

/// Joins, with a page of those messages as what there is; the answer.
pub(super) fn join(hall: &mut Hall, peer: usize, room: &str, seqs: &[u64]) -> Value {
    hall.say(peer, &json!({"type": "join", "room": room}).to_string());
    hall.rest();
    let asked = hall.asked();
    hall.found(asked, Ok(page(&View::room(room), 0, seqs)));
    hall.rest();
    let heard = hall.heard(peer);
    heard.into_iter().find(|message| message["type"] == "joined").expect("it has joined")
}

fn codes(heard: &[Value]) -> Vec<(Value, Value)> {
    let errors = heard.iter().filter(|message| message["type"] == "error");
    errors.map(|error| (error["code"].clone(), error["ref"].clone())).collect()
}

const ID: &str = "019aae5c-5d20-7abc-8def-0123456789ab";

#[test]
fn each_message_needs_its_right() {
    let all = ["join", "send", "signal", "history", "members"];
    let asks = [
        ("send", json!({"type": "send", "room": "a", "client_id": ID, "body": 1, "ref": "x"})),
        ("signal", json!({"type": "signal", "room": "a", "body": 1, "ref": "x"})),
        ("history", json!({"type": "history", "room": "a", "ref": "x"})),
        ("members", json!({"type": "members", "room": "a", "ref": "x"})),
    ];
    for (right, ask) in asks {
        for has in [true, false] {
            let mut hall = Hall::with_presence();
            let rights: Vec<_> = all.into_iter().filter(|other| *other != right || has).collect();
            let ann = enter(&mut hall, "ann", &json!({"rooms": {"a": rights}}));
            join(&mut hall, ann, "a", &[]);
            hall.say(ann, &ask.to_string());
            hall.rest();
            let refused = codes(&hall.heard(ann));
            let expected = if has { vec![] } else { vec![(json!("forbidden"), json!("x"))] };
            assert_eq!(refused, expected, "{right}, {has}");
        }
    }
}

#[test]
fn a_room_is_joined_by_who_may() {
    let mut hall = Hall::new();
    let ann = enter(&mut hall, "ann", &json!({"rooms": {"team-*": ["join"]}}));
    join(&mut hall, ann, "team-1", &[]);
    let asked = hall.asked();
    hall.say(ann, r#"{"type":"join","room":"other","ref":7}"#);
    hall.rest();
    assert_eq!(codes(&hall.heard(ann)), [(json!("forbidden"), json!(7))]);
    assert_eq!(hall.asked(), asked, "nothing was read for it");
    assert_eq!(hall.state.sessions[hall.slot(ann) as usize].membership_count(), 1);
}

#[test]
fn who_may_not_look_back_begins_where_the_log_ends() {
    let mut hall = Hall::new();
    let ann = enter(&mut hall, "ann", &json!({"rooms": {"a": ["join"]}}));
    // As if the log did not know: what it finds is not handed on.
    let joined = join(&mut hall, ann, "a", &[1, 2, 3]);
    assert_eq!(
        (&joined["seq"], &joined["messages"], &joined["more"]),
        (&json!(3), &json!([]), &json!(false))
    );
    assert_eq!(joined["gap"], Value::Null);
    hall.deliver(&View::room("a"), 3, &[4]);
    hall.rest();
    assert_eq!(messages(&hall.heard(ann)), [("a".to_owned(), 4)]);
    // It comes back: what it has missed is gone for it, and what follows is not.
    for (after, gap) in [(4, json!({"from": 4, "to": 6})), (6, Value::Null)] {
        let position = json!({"epoch": "e", "seq": after});
        hall.say(ann, &json!({"type": "join", "room": "a", "after": position}).to_string());
        hall.turn();
        let asked = hall.asked();
        hall.found(asked, Ok(page(&View::room("a"), 4, &[5, 6])));
        hall.rest();
        let heard = hall.heard(ann);
        assert_eq!((&heard[0]["type"], &heard[0]["gap"]), (&json!("joined"), &gap), "{heard:?}");
        assert!(messages(&heard).is_empty());
    }
}

#[test]
fn who_comes_and_goes_is_told_to_those_who_may_know() {
    let mut hall = Hall::with_presence();
    let knows = enter(&mut hall, "ann", &json!({"rooms": {"a": ["join", "members"]}}));
    let blind = enter(&mut hall, "bob", &json!({"rooms": {"*": ["join"]}}));
    assert!(join(&mut hall, knows, "a", &[])["members"].is_object());
    assert_eq!(join(&mut hall, blind, "a", &[])["members"], Value::Null);
    hall.heard(knows);
    // Presence and a message in one flush: straight, through many rooms, and through a full socket.
    for turn in 0..3 {
        if turn == 1 {
            join(&mut hall, blind, "b", &[]);
        }
        let slot = hall.slot(blind) as usize;
        if turn == 2 {
            hall.state.sessions[slot].set(flag::BLOCKED);
        }
        let cid = enter(&mut hall, "cid", &json!({"rooms": {"a": ["join"]}}));
        hall.say(cid, r#"{"type":"join","room":"a"}"#);
        hall.deliver(&View::room("a"), turn, &[turn + 1]);
        hall.rest();
        hall.lose(cid);
        hall.rest();
        let events: Vec<_> = hall.heard(knows).iter().map(|heard| heard["type"].clone()).collect();
        assert_eq!(events.iter().filter(|kind| **kind == "presence").count(), 2, "{events:?}");
        let heard = hall.heard(blind);
        assert_eq!(messages(&heard), [("a".to_owned(), turn + 1)]);
        assert_eq!(heard.len(), 1, "{heard:?}");
    }
}

#[test]
fn without_the_permission_there_are_no_direct_conversations() {
    let mut hall = Hall::new();
    let ann = enter(&mut hall, "ann", &json!({"rooms": {"*": ["join", "send"]}}));
    let bob = enter(&mut hall, "bob", &json!({"direct": true}));
    for kind in ["join", "leave", "send", "signal", "history"] {
        let ask = json!({"type": kind, "with": "bob", "client_id": ID, "body": 1, "ref": kind});
        hall.say(ann, &ask.to_string());
        hall.rest();
        assert_eq!(codes(&hall.heard(ann)), [(json!("forbidden"), json!(kind))]);
    }
    // What others write to her is not for her, and it is for them.
    hall.deliver(&View::direct("ann", "bob"), 0, &[1]);
    hall.deliver(&View::direct("bob", "ann"), 0, &[1]);
    hall.rest();
    assert_eq!(messages(&hall.heard(ann)), []);
    assert_eq!(messages(&hall.heard(bob)), [("ann".to_owned(), 1)]);
    hall.say(ann, r#"{"type":"rooms"}"#);
    hall.rest();
    assert_eq!(hall.heard(ann)[0]["conversations"], json!([]));
}
