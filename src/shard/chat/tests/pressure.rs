//! Members whose sockets are full: signals are not queued for them, and what is queued is bounded.

use serde_json::Value;

use super::hall::{Hall, frame_of, messages, page};
use crate::rooms::conversation::{View, inbox};
use crate::shard::session::flag;

/// Two members of a room, of whom the second one does not read until its socket is full; the last position said.
fn pressed(hall: &mut Hall) -> (usize, usize, u64) {
    let view = View::room("a");
    let members = ["ann", "bob"].map(|user| hall.connect(user, true));
    for member in members {
        hall.say(member, r#"{"type":"join","room":"a"}"#);
        hall.rest();
        let asked = hall.asked();
        hall.found(asked, Ok(page(&view, 0, &[])));
        hall.rest();
    }
    let [ann, bob] = members;
    let mut last = 0;
    while !hall.state.sessions[hall.slot(bob) as usize].has(flag::BLOCKED) {
        last += 1;
        hall.deliver(&view, last - 1, &[last]);
        hall.rest();
        hall.heard(ann);
    }
    (ann, bob, last)
}

fn kinds(heard: &[Value]) -> Vec<&str> {
    heard.iter().filter_map(|message| message["type"].as_str()).collect()
}

#[test]
fn a_full_socket_gets_messages_and_no_signals() {
    let mut hall = Hall::new();
    let view = View::room("a");
    let (ann, bob, last) = pressed(&mut hall);
    for number in 0..10 {
        hall.say(ann, r#"{"type":"signal","room":"a","body":1}"#);
        hall.deliver(&view, last + number, &[last + number + 1]);
    }
    let deliveries = hall.state.counters.deliveries;
    hall.rest();
    assert_eq!(hall.signals_dropped(), 10);
    assert_eq!(hall.state.counters.deliveries - deliveries, 20, "ten messages for each of two");
    let heard = hall.heard(bob);
    assert!(heard.iter().all(|message| message["type"] != "signal"));
    let seqs: Vec<_> = messages(&heard).into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, (1..=last + 10).collect::<Vec<_>>());
    hall.say(ann, r#"{"type":"signal","room":"a","body":1}"#);
    hall.rest();
    assert_eq!(kinds(&hall.heard(bob)), ["signal"], "it has read");
    assert_eq!(hall.signals_dropped(), 10);
}

#[test]
fn who_reads_from_the_log_gets_no_signals_and_they_are_counted() {
    let mut hall = Hall::new();
    let (ann, bob, mut last) = pressed(&mut hall);
    let view = View::room("a");
    while hall.state.counters.fell_behind == 0 {
        let seqs: Vec<_> = (last + 1..=last + 100).collect();
        hall.deliver(&view, last, &seqs);
        last += 100;
        hall.rest();
        hall.heard(ann);
    }
    let before = hall.signals_dropped();
    hall.say(ann, r#"{"type":"signal","room":"a","body":1}"#);
    hall.say(ann, r#"{"type":"signal","room":"a","body":2}"#);
    hall.rest();
    assert_eq!(hall.signals_dropped() - before, 2);
    let (mut heard, mut answered) = (hall.heard(bob), 0);
    assert!(messages(&heard).len() < last as usize);
    while messages(&heard).len() < last as usize {
        hall.rest();
        heard.append(&mut hall.heard(bob));
        let next = messages(&heard).len() as u64 + 1;
        if hall.asked() > answered {
            answered = hall.asked();
            let mut found =
                page(&view, next - 1, &(next..=last.min(next + 99)).collect::<Vec<_>>());
            (found.seq, found.more) = (last, found.seq < last);
            hall.found(answered, Ok(found));
        }
    }
    hall.deliver(&view, last, &[last + 1]);
    hall.rest();
    heard.append(&mut hall.heard(bob));
    let seqs: Vec<_> = messages(&heard).into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, (1..=last + 1).collect::<Vec<_>>());
    assert!(heard.iter().all(|message| message["type"] != "signal"));
}

#[test]
fn signals_of_other_users_do_not_gather_for_who_does_not_read() {
    let mut hall = Hall::new();
    let (_, bob) = (hall.connect("ann", false), hall.connect("bob", false));
    let signal = format!(r#"{{"type":"signal","with":"ann","body":"{}"}}"#, "x".repeat(1000));
    for _ in 0..1000 {
        hall.state.publish_frame(0, &inbox("bob"), None, &frame_of(&signal));
        hall.rest();
    }
    let queued = hall.state.counters.outbox_bytes;
    assert!(queued < 2 * signal.len(), "{queued} bytes");
    let heard = hall.heard(bob).len() as u64;
    assert!(heard > 0);
    assert_eq!(heard + hall.signals_dropped(), 1000);
}
