//! Users who are put out, kept out, or kept quiet.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::json;

use super::access::{enter, join};
use super::hall::{Hall, messages};
use crate::gate::standing::Measure;
use crate::log::writer::system_time;
use crate::protocol::Close;
use crate::rooms::conversation::View;
use crate::shard::counters::Drop;
use crate::shard::session::flag;
use crate::users::{Users, UsersError};

const ALL: &str = r#"{"rooms": {"*": ["join", "send", "signal"]}}"#;

fn all() -> serde_json::Value {
    serde_json::from_str(ALL).expect("JSON")
}

#[test]
fn who_is_put_out_is_out_everywhere_and_gets_nothing_that_was_queued() {
    let mut hall = Hall::new();
    let users = Users::new(hall.hub().clone());
    let sessions: Vec<_> = (0..3).map(|_| enter(&mut hall, "ann", &all())).collect();
    let bob = enter(&mut hall, "bob", &all());
    for peer in sessions.iter().copied().chain([bob]) {
        join(&mut hall, peer, "a", &[]);
        let slot = hall.slot(peer) as usize;
        hall.state.sessions[slot].set(flag::BLOCKED);
    }
    hall.deliver(&View::room("a"), 0, &[1]);
    hall.rest();
    users.disconnect("ann", Close::new(4409_u16, "enough")).expect("there is room");
    hall.take_orders();
    hall.rest();
    for peer in sessions {
        let slot = hall.slot(peer);
        hall.state.sessions[slot as usize].clear(flag::BLOCKED);
        hall.state.flush_outbox(slot);
        let (heard, code) = hall.ended(peer);
        assert_eq!((heard.len(), &heard[0]["type"], code), (1, &json!("bye"), Some(4409)));
    }
    assert_eq!(hall.state.counters.dropped[Drop::Closed as usize], 3);
    assert_eq!(messages(&hall.heard(bob)), [("a".to_owned(), 1)]);
    // Nothing keeps her from coming back.
    enter(&mut hall, "ann", &all());
}

#[test]
fn a_users_sessions_are_found_in_steps_and_who_comes_later_is_not() {
    let mut hall = Hall::new();
    let users = Users::new(hall.hub().clone());
    let peers: Vec<_> = (0..10)
        .map(|at| enter(&mut hall, if at % 3 == 0 { "ann" } else { "bob" }, &all()))
        .collect();
    let ids: Vec<_> = peers.iter().step_by(3).map(|peer| hall.state.id(hall.slot(*peer))).collect();
    let mut found = pin!(users.sessions("ann"));
    let mut context = Context::from_waker(Waker::noop());
    assert!(found.as_mut().poll(&mut context).is_pending());
    users.disconnect("bob", Close::normal()).expect("there is room");
    while let Some(order) = hall.next_order() {
        hall.state.take_order(order);
    }
    hall.state.search(4);
    // In a slot that was looked at, and in one that was not.
    hall.lose(peers[0]);
    let late = enter(&mut hall, "ann", &all());
    assert_eq!(hall.slot(late), hall.slot(peers[0]));
    assert!(found.as_mut().poll(&mut context).is_pending());
    hall.state.search(4);
    hall.state.search(4);
    let Poll::Ready(found) = found.as_mut().poll(&mut context) else {
        panic!("every shard has answered");
    };
    assert_eq!(found, Ok(ids));
    // The rest of the last step went to the next order already.
    hall.state.search(8);
    assert!(hall.state.searches.is_empty());
    hall.rest();
    let closed = peers.iter().filter(|peer| hall.ended(**peer).1.is_some()).count();
    assert_eq!(closed, 6);
}

#[test]
fn who_is_banned_or_revoked_is_turned_away_until_the_end() {
    for (code, error, is_ban) in [(4403, "forbidden", true), (4401, "bad_token", false)] {
        let mut hall = Hall::new();
        let users = Users::new(hall.hub().clone());
        let ann = enter(&mut hall, "ann", &all());
        let end = Some(system_time() + 60_000);
        match is_ban {
            true => users.ban("ann", end).expect("there is room"),
            false => users.revoke("ann", end).expect("there is room"),
        }
        hall.take_orders();
        hall.rest();
        assert_eq!(hall.ended(ann).1, Some(code));
        let again = hall.connect_as(super::access::access("ann", &all()));
        hall.say(again, r#"{"type":"hello","ref":1}"#);
        hall.rest();
        let (heard, closed) = hall.ended(again);
        assert_eq!((&heard[0]["code"], closed), (&json!(error), Some(code)));
        hall.state.clock = || system_time() + 60_001;
        enter(&mut hall, "ann", &all());
        hall.state.clock = system_time;
        let measure = if is_ban { Measure::Ban } else { Measure::Revocation };
        users.lift("ann", measure).expect("there is room");
        enter(&mut hall, "ann", &all());
    }
}

#[test]
fn a_banned_guest_does_not_come_back_with_its_token() {
    let mut hall = Hall::new();
    let users = Users::new(hall.hub().clone());
    let guest = hall.connect_silent();
    hall.say(guest, r#"{"type":"hello","name":"Ann"}"#);
    hall.rest();
    let welcome = hall.heard(guest).remove(0);
    users.ban(welcome["user"].as_str().expect("a user"), None).expect("there is room");
    hall.take_orders();
    hall.rest();
    assert_eq!(hall.ended(guest).1, Some(4403));
    let again = hall.connect_silent();
    hall.say(again, &json!({"type": "hello", "guest": welcome["guest"]}).to_string());
    hall.rest();
    assert_eq!(hall.ended(again).1, Some(4403));
}

#[test]
fn who_is_muted_listens_and_says_nothing_until_the_end() {
    let mut hall = Hall::new();
    let users = Users::new(hall.hub().clone());
    let ann = enter(&mut hall, "ann", &all());
    let bob = enter(&mut hall, "bob", &all());
    for peer in [ann, bob] {
        join(&mut hall, peer, "a", &[]);
    }
    let send = r#"{"type":"send","room":"a","client_id":"019aae5c-5d20-7abc-8def-0123456789ab","body":1,"ref":1}"#;
    let signal = r#"{"type":"signal","room":"a","body":1,"ref":2}"#;
    for (end, has_wait) in [(Some(system_time() + 60_000), true), (None, false)] {
        users.mute("ann", end).expect("there is room");
        hall.take_orders();
        for text in [send, signal] {
            hall.say(ann, text);
            hall.rest();
            let heard = hall.heard(ann);
            assert_eq!(heard[0]["code"], "muted");
            let wait = heard[0]["retry_after_ms"].as_u64();
            assert_eq!(wait.is_some_and(|wait| (1..=60_000).contains(&wait)), has_wait);
        }
    }
    assert_eq!(hall.state.chat.as_ref().expect("a chat").in_flight(), 0);
    hall.deliver(&View::room("a"), 0, &[1]);
    hall.say(bob, signal);
    hall.rest();
    assert_eq!(hall.heard(ann).len(), 2);
    // A new session of hers is as quiet.
    let other = enter(&mut hall, "ann", &all());
    join(&mut hall, other, "a", &[]);
    hall.say(other, send);
    hall.rest();
    assert_eq!(hall.heard(other)[0]["code"], "muted");
    users.lift("ann", Measure::Mute).expect("there is room");
    hall.take_orders();
    hall.say(ann, send);
    assert_eq!(hall.state.chat.as_ref().expect("a chat").in_flight(), 1);
    // One that ends by itself is forgotten.
    users.mute("ann", Some(system_time() + 1_000)).expect("there is room");
    hall.take_orders();
    assert_eq!(hall.state.mutes.len(), 1);
    hall.state.clock = || system_time() + 2_000;
    hall.say(ann, signal);
    hall.rest();
    assert!(hall.heard(ann).is_empty());
    (0..4).for_each(|_| hall.state.sweep());
    assert!(hall.state.mutes.is_empty());
}

#[test]
fn orders_are_taken_everywhere_or_refused() {
    let mut hall = Hall::new();
    let users = Users::new(hall.hub().clone());
    let mut taken = 0;
    while users.disconnect("nobody", Close::normal()).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, crate::hub::orders::ORDERS_MAX);
    assert!(matches!(users.ban("ann", None), Err(UsersError::Busy(_))));
    assert!(users.restrictions().is_empty(), "nothing was done");
    hall.take_orders();
    users.ban("ann", None).expect("there is room again");
    assert_eq!(users.restrictions().len(), 1);
    // What was kept is put in force again elsewhere.
    let mut other = Hall::new();
    let kept = Users::new(other.hub().clone());
    users.mute("bob", None).expect("there is room");
    kept.load(users.restrictions()).expect("there is room");
    other.take_orders();
    assert_eq!(kept.restrictions().len(), 2);
    assert_eq!(other.state.mutes.len(), 1);
}
