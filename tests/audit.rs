//! The audit of the chat's promises finds each fault that is planted, and nothing where there is none.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use support::audit::{Evidence, Fault, Message, Said, Stretch, audit};

/// Two users say three things each in two rooms, by turns; one reader was there all the time, one from position 4 on,
/// and one left in between.
fn kept() -> Evidence {
    let mut evidence = Evidence::default();
    for number in 1..=12 {
        let room = format!("room {}", number % 2);
        let log = evidence.log.entry(room.clone()).or_default();
        let (user, client_id) = (format!("user {}", number % 3), format!("id {number}"));
        // Positions have holes.
        let (seq, prev) = (number * 2, log.last().map_or(0, |before: &Message| before.seq));
        let body = format!("\"{number}\"");
        let acks = vec![seq; (number % 3) as usize];
        let said = Said {
            room: room.clone(),
            user: user.clone(),
            client_id: client_id.clone(),
            body: body.clone(),
            acks,
        };
        evidence.said.push(said);
        log.push(Message { room, seq, prev, user, client_id, body });
    }
    // Nobody knows what has become of it.
    let lost = Said { client_id: "id 13".to_owned(), acks: Vec::new(), ..evidence.said[0].clone() };
    evidence.said.push(lost);
    for (room, log) in &evidence.log {
        let stretch = |who: &str, after: u64, seen: &[Message], is_to_the_end: bool| {
            let (who, room, seen) = (format!("{who} in {room}"), room.clone(), seen.to_vec());
            Stretch { who, room, after, seen, is_to_the_end }
        };
        evidence.stretches.extend([
            stretch("always", 0, log, true),
            stretch("later", log[1].seq, &log[2..], true),
            stretch("between", log[1].seq, &log[2..5], false),
            stretch("nothing", log[5].seq, &[], false),
        ]);
    }
    evidence
}

/// Fails unless exactly such faults are found, which `wanted` says of each.
#[track_caller]
fn finds(plant: impl FnOnce(&mut Evidence), wanted: impl Fn(&Fault) -> bool) {
    let mut evidence = kept();
    plant(&mut evidence);
    let faults = audit(&evidence);
    assert!(!faults.is_empty(), "nothing was found");
    for fault in &faults {
        assert!(wanted(fault), "{fault:?} of {faults:?}");
    }
}

/// The first room's log.
fn log(evidence: &mut Evidence) -> &mut Vec<Message> {
    evidence.log.get_mut("room 0").expect("it is there")
}

#[test]
fn kept_promises_are_no_fault() {
    assert_eq!(audit(&kept()), []);
    assert_eq!(audit(&Evidence::default()), []);
}

#[test]
fn what_was_acknowledged_and_is_not_stored_is_found() {
    // Nobody saw it, and the chain was closed over it: nothing but the ack tells.
    let plant = |evidence: &mut Evidence| {
        let lost = log(evidence).pop().expect("a message");
        evidence.said.iter_mut().for_each(|said| {
            said.acks = if said.client_id == lost.client_id { vec![lost.seq] } else { vec![] }
        });
        evidence.stretches.iter_mut().for_each(|stretch| stretch.seen.retain(|m| *m != lost));
    };
    finds(plant, |fault| matches!(fault, Fault::AckedNotStored { ack: 24, .. }));
}

#[test]
fn an_ack_of_another_position_room_or_body_is_found() {
    let otherwise = |fault: &Fault| matches!(fault, Fault::AckedOtherwise { .. });
    finds(|evidence| evidence.said[0].acks[0] += 1, otherwise);
    finds(|evidence| evidence.said[1].acks[1] += 1, otherwise);
    finds(|evidence| evidence.said[0].room.push('x'), otherwise);
    finds(|evidence| evidence.said[0].body.push('x'), otherwise);
}

#[test]
fn a_row_that_was_lost_is_found() {
    let plant = |evidence: &mut Evidence| drop(log(evidence).remove(3));
    finds(plant, |fault| match fault {
        Fault::BrokenChain { who, .. } => who == "the log of room 0",
        Fault::ShownNotStored { message, .. } => message.seq == 16,
        Fault::AckedNotStored { ack, .. } => *ack == 16,
        _ => false,
    });
}

#[test]
fn what_was_shown_and_is_not_stored_is_found() {
    // It ended with the server that had not stored it.
    let plant = |evidence: &mut Evidence| {
        let shown = log(evidence).pop().expect("a message");
        evidence.said.retain(|said| said.client_id != shown.client_id);
    };
    finds(
        plant,
        |fault| matches!(fault, Fault::ShownNotStored { message, .. } if message.seq == 24),
    );
    let plant = |evidence: &mut Evidence| evidence.stretches[1].seen[1].body.push('x');
    finds(plant, |fault| matches!(fault, Fault::ShownNotStored { .. }));
}

#[test]
fn a_message_that_comes_twice_is_found() {
    // Delivered twice.
    let plant = |evidence: &mut Evidence| {
        let twice = evidence.stretches[1].seen[1].clone();
        evidence.stretches[1].seen.insert(2, twice);
    };
    finds(plant, |fault| matches!(fault, Fault::Repeated { who, .. } if who == "later in room 0"));
    // Stored twice.
    let plant = |evidence: &mut Evidence| {
        let first = log(evidence)[0].clone();
        let last = log(evidence).last().expect("a message").seq;
        let twice = Message { seq: last + 2, prev: last, ..first };
        log(evidence).push(twice.clone());
        evidence.stretches[..2].iter_mut().for_each(|stretch| stretch.seen.push(twice.clone()));
    };
    finds(plant, |fault| matches!(fault, Fault::Repeated { message, .. } if message.seq == 26));
}

#[test]
fn another_order_is_found() {
    let of = |fault: &Fault| match fault {
        Fault::NotRising { who, .. } | Fault::BrokenChain { who, .. } => who.clone(),
        _ => String::new(),
    };
    let plant = |evidence: &mut Evidence| evidence.stretches[0].seen.swap(2, 3);
    finds(plant, |fault| of(fault) == "always in room 0");
    let plant = |evidence: &mut Evidence| log(evidence).swap(2, 3);
    finds(plant, |fault| of(fault) == "the log of room 0");
    // The same order as everyone's, with positions that are not.
    let plant = |evidence: &mut Evidence| {
        let change = |m: &mut Message| m.seq = if m.seq == 16 { 30 } else { m.seq };
        log(evidence).iter_mut().for_each(change);
        evidence.stretches.iter_mut().for_each(|s| s.seen.iter_mut().for_each(change));
        evidence.said.iter_mut().for_each(|said| said.acks.clear());
    };
    finds(plant, |fault| of(fault).ends_with("room 0"));
}

#[test]
fn what_somebody_was_not_given_is_found() {
    let missed = |fault: &Fault| match fault {
        Fault::Missed { who, .. } | Fault::BrokenChain { who, .. } => who == "later in room 0",
        _ => false,
    };
    // In the middle, at the seam of its beginning, at the end, and all of it.
    finds(|evidence| drop(evidence.stretches[1].seen.remove(1)), missed);
    finds(|evidence| drop(evidence.stretches[1].seen.remove(0)), missed);
    finds(|evidence| drop(evidence.stretches[1].seen.pop()), missed);
    finds(|evidence| evidence.stretches[1].seen.clear(), missed);
    // In the middle, where the chain was closed over it.
    let plant = |evidence: &mut Evidence| {
        let seen = &mut evidence.stretches[1].seen;
        let missed = seen.remove(1);
        seen[1].prev = missed.prev;
    };
    let is_found = |fault: &Fault| missed(fault) || matches!(fault, Fault::ShownNotStored { .. });
    finds(plant, is_found);
}

#[test]
fn what_nobody_said_is_found() {
    let plant = |evidence: &mut Evidence| drop(evidence.said.remove(0));
    finds(plant, |fault| matches!(fault, Fault::NeverSaid { .. }));
}
