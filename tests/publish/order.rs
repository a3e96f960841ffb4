//! The order of a conversation, whichever answer comes first; and who waits for whom.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::support::backend::Backend;
use super::support::dice::Dice;
use super::{allow, answer, bodies, member, replace, results, said, say, server};

/// Holds back the answers to some messages until it is opened.
#[derive(Default)]
pub(super) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn wait(&self) {
        let is_open = self.0.lock().expect("no panic");
        drop(self.1.wait_while(is_open, |is_open| !*is_open).expect("no panic"));
    }

    pub(super) fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }
}

/// A backend that answers about bodies that begin with "slow" only once the gate is open.
pub(super) fn gated() -> (Backend, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let backend = Backend::start(move |asked| {
        if said(asked).as_str().is_some_and(|said| said.starts_with("slow")) {
            held.wait();
        }
        allow()
    });
    (backend, gate)
}

const SENDERS: usize = 8;
const MESSAGES: usize = 60;
const ROOMS: [&str; 3] = ["one", "two", "three"];

#[test]
fn each_sender_is_heard_in_its_order_however_long_each_answer_takes() {
    let dice = Mutex::new(Dice::new(7));
    let backend = Backend::start(move |asked| {
        let roll = dice.lock().expect("no panic").below(20);
        thread::park_timeout(Duration::from_millis(roll as u64));
        // Some are replaced, which is no reason to be late.
        if roll.is_multiple_of(3) { replace(&said(asked)) } else { allow() }
    });
    let server = server(&backend, &[]);
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let mut sender = member(&server, ROOMS[0], &format!("s{number}"));
            ROOMS[1..].iter().for_each(|room| drop(sender.join(room)));
            sender
        })
        .collect();
    thread::scope(|scope| {
        for (number, mut sender) in senders.into_iter().enumerate() {
            scope.spawn(move || {
                for n in 0..MESSAGES {
                    sender.say(ROOMS[n % ROOMS.len()], &json!([number, n]));
                }
                for _ in 0..MESSAGES {
                    let answer = sender.await_message(|message| {
                        ["ack", "error"].iter().any(|kind| message["type"] == *kind)
                    });
                    assert_eq!(answer["type"], "ack", "{answer}");
                }
            });
        }
    });
    for room in ROOMS {
        let mut last: HashMap<u64, u64> = HashMap::new();
        let bodies = bodies(&server, room);
        assert_eq!(bodies.len(), SENDERS * MESSAGES / ROOMS.len());
        for body in bodies {
            let (sender, n) = (body[0].as_u64().expect("one"), body[1].as_u64().expect("one"));
            let before = last.insert(sender, n);
            assert!(before.is_none_or(|before| before < n), "{room}: {sender} {before:?} {n}");
        }
    }
    assert_eq!(
        results(&server, "allowed") + results(&server, "replaced"),
        (SENDERS * MESSAGES) as f64
    );
    server.wait_for_metric("uproar_publish_waiting_messages", &[], |waiting| waiting == 0.0);
}

#[test]
fn what_was_answered_first_waits_for_what_came_first_and_other_rooms_do_not() {
    let (backend, gate) = gated();
    // One conversation may have a quarter of them.
    let server = server(&backend, &[("UPROAR_CALLBACKS__PUBLISH_REQUESTS_MAX", "8")]);
    let mut alice = member(&server, "hall", "Alice");
    alice.join("other");
    let mut ids = vec![alice.say("hall", &json!("slow"))];
    ids.extend((0..5).map(|n| alice.say("hall", &json!(n))));
    // The second one is asked about and answered while the first is not; the room waits, another one does not.
    while said(&backend.next()) != json!(0) {}
    for n in 0..20 {
        assert_eq!(say(&mut alice, "other", &json!(n))["type"], "ack");
    }
    // Of several rooms that wait each has its share, and there is still room.
    for room in ["slow-2", "slow-3"] {
        alice.join(room);
        alice.say(room, &json!("slow"));
        alice.say(room, &json!("slow"));
    }
    for n in 20..40 {
        assert_eq!(say(&mut alice, "other", &json!(n))["type"], "ack");
    }
    assert!(bodies(&server, "hall").is_empty());
    gate.open();
    for id in &ids {
        assert_eq!(answer(&mut alice, id)["type"], "ack");
    }
    assert_eq!(
        bodies(&server, "hall"),
        [json!("slow"), json!(0), json!(1), json!(2), json!(3), json!(4)]
    );
    assert_eq!(bodies(&server, "other"), (0..40).map(|n| json!(n)).collect::<Vec<_>>());
}

#[test]
fn who_sends_faster_than_is_answered_is_not_read_and_nobody_else_waits() {
    let (backend, gate) = gated();
    let settings = [("UPROAR_CALLBACKS__PUBLISH_TIMEOUT_MS", "30000")];
    let server = server(&backend, &settings);
    let mut alice = member(&server, "hall", "Alice");
    let mut bob = member(&server, "other", "Bob");
    let ids: Vec<_> = (0..500).map(|n| alice.say("hall", &json!(format!("slow {n}")))).collect();
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 1.0);
    let waiting = server.metric("uproar_publish_waiting_messages", &[]);
    assert!((1.0..=40.0).contains(&waiting), "{waiting} wait in memory");
    for n in 0..50 {
        assert_eq!(say(&mut bob, "other", &json!(n))["type"], "ack");
    }
    assert_eq!(server.metric("uproar_sessions_paused", &[]), 1.0);
    gate.open();
    for id in &ids {
        assert_eq!(answer(&mut alice, id)["type"], "ack");
    }
    let expected: Vec<_> = (0..500).map(|n| json!(format!("slow {n}"))).collect();
    assert_eq!(bodies(&server, "hall"), expected);
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
}

#[test]
fn what_somebody_sent_who_is_gone_is_asked_about_and_stored() {
    let (backend, gate) = gated();
    let server = server(&backend, &[]);
    let mut bob = member(&server, "hall", "Bob");
    let mut alice = member(&server, "hall", "Alice");
    alice.say("hall", &json!("slow, but said"));
    while said(&backend.next()) != json!("slow, but said") {}
    drop(alice);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 1.0);
    gate.open();
    assert_eq!(bob.await_type("message")["body"], "slow, but said");
}

#[test]
fn at_the_bound_messages_are_refused_and_counted() {
    let (backend, gate) = gated();
    let settings = [("UPROAR_CALLBACKS__PUBLISH_WAITING_MAX", "4")];
    let server = server(&backend, &settings);
    // One message of each shard may wait, and each sender is only paused behind one of its own.
    let mut senders: Vec<_> = (0..24).map(|n| member(&server, "hall", &format!("s{n}"))).collect();
    let ids: Vec<_> = senders
        .iter_mut()
        .enumerate()
        .map(|(n, sender)| sender.say("hall", &json!(format!("slow {n}"))))
        .collect();
    server.wait_for_metric("uproar_publish_callbacks_total", &["full"], |full| full >= 20.0);
    gate.open();
    let (mut stored, mut refused) = (0, 0);
    for (sender, id) in senders.iter_mut().zip(&ids) {
        let answer = answer(sender, id);
        if answer["type"] == "ack" {
            stored += 1;
        } else {
            super::check_unavailable(&answer, "hall");
            refused += 1;
        }
    }
    assert!((1..=4).contains(&stored), "{stored}");
    assert_eq!((stored + refused, f64::from(refused)), (24, results(&server, "full")));
    assert_eq!(bodies(&server, "hall").len(), stored as usize);
}

#[test]
fn a_shard_with_many_that_wait_reads_no_more_of_those_who_send() {
    let (backend, gate) = gated();
    // For each shard 16, of which 12 may be taken before who sends waits: none of four senders is ever refused.
    let settings = [
        ("UPROAR_CALLBACKS__PUBLISH_WAITING_MAX", "64"),
        ("UPROAR_CALLBACKS__PUBLISH_TIMEOUT_MS", "30000"),
    ];
    let server = server(&backend, &settings);
    let rooms = ["a", "b", "c", "d"];
    let mut senders: Vec<_> = rooms.iter().map(|room| member(&server, room, room)).collect();
    for (sender, room) in senders.iter_mut().zip(rooms) {
        (0..100).for_each(|n| drop(sender.say(room, &json!(format!("slow {n}")))));
    }
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 4.0);
    let waiting = server.metric("uproar_publish_waiting_messages", &[]);
    assert!((13.0..=64.0).contains(&waiting), "{waiting} wait");
    gate.open();
    for sender in &mut senders {
        for _ in 0..100 {
            let kinds = ["ack", "error"];
            let answer =
                sender.await_message(|told| kinds.iter().any(|kind| told["type"] == *kind));
            assert_eq!(answer["type"], "ack", "{answer}");
        }
    }
    let expected: Vec<_> = (0..100).map(|n| json!(format!("slow {n}"))).collect();
    for room in rooms {
        assert_eq!(bodies(&server, room), expected);
    }
    assert_eq!(results(&server, "full"), 0.0);
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
}
