//! Reads for rooms and sessions: whole, one at a time for each, and nobody's turn taken by another.

use std::time::Duration;

use super::hall::{Hall, messages, page};
use crate::log::Seq;
use crate::rooms::conversation::View;
use crate::shard::chat::reads::Rates;

fn seqs(hall: &mut Hall, peer: usize) -> Vec<Seq> {
    let heard = hall.heard(peer);
    messages(&heard).into_iter().map(|(_, seq)| seq).collect()
}

/// A member of the room, with nothing said in it so far.
fn member(hall: &mut Hall, room: &str) -> usize {
    let peer = hall.connect("ann", true);
    hall.say(peer, &format!(r#"{{"type":"join","room":"{room}"}}"#));
    hall.turn();
    let last = hall.asked();
    hall.found(last, Ok(page(&View::room(room), 0, &[])));
    hall.rest();
    assert_eq!(hall.heard(peer).len(), 1);
    peer
}

#[test]
fn what_is_stored_while_a_room_is_read_for_is_read_too() {
    let mut hall = Hall::new();
    let view = View::room("a");
    let ann = member(&mut hall, "a");
    hall.deliver(&view, 0, &[1]);
    // Two and three did not come along; five is stored when the page was read already.
    hall.deliver(&view, 3, &[4]);
    hall.rest();
    assert_eq!(hall.asked(), 2);
    hall.deliver(&view, 4, &[5]);
    hall.found(2, Ok(page(&view, 1, &[2, 3, 4])));
    hall.rest();
    assert_eq!(seqs(&mut hall, ann), [1, 2, 3, 4]);
    assert_eq!(hall.asked(), 3, "the rest is read");
    hall.found(3, Ok(page(&view, 4, &[5])));
    hall.deliver(&view, 5, &[6]);
    hall.rest();
    assert_eq!(seqs(&mut hall, ann), [5, 6]);
}

#[test]
fn what_retention_took_is_not_waited_for() {
    let mut hall = Hall::new();
    let view = View::room("a");
    let ann = member(&mut hall, "a");
    hall.deliver(&view, 0, &[1]);
    hall.deliver(&view, 3, &[4]);
    hall.rest();
    let mut gone = page(&view, 4, &[]);
    gone.gap = Some((1, 4));
    hall.found(2, Ok(gone));
    hall.deliver(&view, 4, &[5]);
    hall.rest();
    let heard = hall.heard(ann);
    let seqs: Vec<_> = messages(&heard).into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [1, 5]);
    let gap = heard.iter().find(|message| message["type"] == "gap").expect("it is said");
    assert_eq!((&gap["from"], &gap["to"]), (&1.into(), &4.into()));
    assert_eq!(hall.asked(), 2);
}

#[test]
fn a_slot_that_was_given_on_is_read_for_once() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", true);
    let slot = hall.slot(ann);
    hall.say(ann, r#"{"type":"join","room":"a"}"#);
    hall.lose(ann);
    let bob = hall.connect("bob", true);
    assert_eq!(hall.slot(bob), slot);
    hall.say(bob, r#"{"type":"join","room":"b"}"#);
    hall.say(bob, r#"{"type":"history","room":"b"}"#);
    hall.rest();
    assert_eq!(hall.asked(), 1, "one after the other");
    hall.found(1, Ok(page(&View::room("b"), 0, &[])));
    hall.rest();
    assert_eq!(hall.asked(), 2);
}

#[test]
fn a_room_that_is_never_done_does_not_keep_others_waiting() {
    let mut hall = Hall::new();
    let ann = hall.connect("ann", true);
    let (busy, quiet) = (View::room("busy"), View::room("quiet"));
    // More is to be read, always.
    let more = |view: &View, after: Seq, seqs: &[Seq]| {
        let mut more = page(view, after, seqs);
        (more.seq, more.more) = (100, true);
        Ok(more)
    };
    hall.say(ann, r#"{"type":"join","room":"busy","after":{"epoch":"e","seq":1}}"#);
    hall.say(ann, r#"{"type":"join","room":"quiet","after":{"epoch":"e","seq":1}}"#);
    hall.turn();
    hall.found(1, more(&busy, 1, &[]));
    hall.turn();
    hall.found(2, more(&quiet, 1, &[]));
    for (ticket, view, seq) in [(3, &busy, 2), (4, &quiet, 2), (5, &busy, 3)] {
        hall.rest();
        assert_eq!(hall.reading(ann), Some(view.name()));
        hall.found(ticket, more(view, seq - 1, &[seq]));
    }
    hall.rest();
    assert_eq!(hall.reading(ann), Some("quiet"));
    hall.found(6, Ok(page(&quiet, 2, &[3, 100])));
    hall.rest();
    let heard = messages(&hall.heard(ann));
    let expected = [("busy", 2), ("quiet", 2), ("busy", 3), ("quiet", 3), ("quiet", 100)];
    assert_eq!(heard, expected.map(|(room, seq)| (room.to_owned(), seq)));
}

/// Far from any bound.
const UNBOUNDED: u64 = 1 << 40;

/// Has each of two sessions catch up, and be given a page after which there is more: reads made at once, and reads
/// made when the time of one page, and of two, has passed.
fn reads_of_two(rates: Rates) -> [u64; 3] {
    let mut hall = Hall::with_rates(rates);
    let peers = [hall.connect("ann", true), hall.connect("bob", true)];
    let view = View::room("a");
    for peer in peers {
        hall.say(peer, r#"{"type":"join","room":"a","after":{"epoch":"e","seq":1}}"#);
    }
    hall.turn();
    for ticket in [1, 2] {
        let mut page = page(&view, 1, &(2..1000).collect::<Vec<_>>());
        (page.seq, page.more, page.reached) = (5000, true, 1);
        // A thousand seconds of a session's rate.
        page.bytes.resize(1_000_000, b' ');
        page.ends.clear();
        hall.found(ticket, Ok(page));
    }
    [0, 1001, 1001].map(|secs| {
        hall.pass(Duration::from_secs(secs));
        hall.rest();
        hall.asked() - 2
    })
}

#[test]
fn a_session_is_read_for_no_faster_than_its_rate() {
    assert_eq!(reads_of_two(Rates { session: UNBOUNDED, shard: UNBOUNDED }), [2, 2, 2]);
    assert_eq!(reads_of_two(Rates { session: 1000, shard: UNBOUNDED }), [0, 2, 2]);
}

#[test]
fn all_sessions_together_are_read_for_no_faster_than_theirs() {
    assert_eq!(reads_of_two(Rates { session: UNBOUNDED, shard: 1000 }), [0, 0, 2]);
}
