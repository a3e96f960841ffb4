//! Direct conversations on a shard: open without a join, and bounded.

use super::hall::{Hall, ROOMS_MAX, messages, page};
use crate::rooms::conversation::View;

#[test]
fn what_others_write_keeps_nobody_out_of_a_room_and_stays_bounded() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", false);
    let others = 3 * ROOMS_MAX as u64;
    for other in 1..=others {
        hall.deliver(&View::direct("ann", &format!("user {other}")), 0, &[other]);
        hall.rest();
    }
    let slot = hall.slot(ann) as usize;
    // Beside its inbox.
    assert_eq!(hall.state.sessions[slot].membership_count(), ROOMS_MAX + 1);
    assert_eq!(hall.state.rooms.len(), ROOMS_MAX + 1);
    for room in 0..=ROOMS_MAX {
        hall.say(ann, &format!(r#"{{"type":"join","room":"{room}","ref":{room}}}"#));
        hall.rest();
        let asked = hall.asked();
        hall.found(asked, Ok(page(&View::room(&room.to_string()), 0, &[])));
        hall.rest();
    }
    // One that was closed meanwhile is open again as soon as something is said.
    hall.deliver(&View::direct("ann", "user 1"), 1, &[others + 1]);
    hall.rest();
    let heard = hall.heard(ann);
    let expected: Vec<_> = (1..=others).chain([others + 1]).collect();
    let found = messages(&heard);
    assert_eq!(found.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), expected);
    assert_eq!(found.last().map(|(with, _)| with.as_str()), Some("user 1"));
    let count = |kind: &str| heard.iter().filter(|message| message["type"] == kind).count();
    assert_eq!((count("joined"), count("error")), (ROOMS_MAX, 1));
}

#[test]
fn every_session_of_an_end_hears_each_message_once() {
    let mut hall = Hall::new();
    let view = View::direct("ann", "bob");
    let first = hall.connect("ann", false);
    hall.deliver(&view, 0, &[1]);
    let second = hall.connect("ann", false);
    hall.deliver(&view, 1, &[2]);
    hall.rest();
    // Its own join reads what it has already been sent, and no seam is left.
    hall.say(first, r#"{"type":"join","with":"bob","after":{"epoch":"e","seq":2}}"#);
    hall.turn();
    hall.deliver(&view, 2, &[3]);
    let mut resumed = page(&view, 2, &[]);
    (resumed.seq, resumed.more) = (3, true);
    let asked = hall.asked();
    hall.found(asked, Ok(resumed));
    hall.rest();
    hall.found(asked + 1, Ok(page(&view, 2, &[3])));
    hall.deliver(&view, 3, &[4]);
    hall.rest();
    let seqs = |heard: Vec<_>| messages(&heard).into_iter().map(|(_, seq)| seq).collect::<Vec<_>>();
    assert_eq!(seqs(hall.heard(first)), [1, 2, 3, 4]);
    assert_eq!(seqs(hall.heard(second)), [2, 3, 4]);
}
