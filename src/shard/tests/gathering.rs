//! What gathers for rooms is bounded whoever sends it, and goes out in the order in which it should.

use super::turns::{Peer, ROOMS, Turns};
use crate::hub::mailbox::Request;
use crate::protocol::Message;
use crate::protocol::frame::encode;

/// Bytes that wait for the next flushes of all rooms.
fn gathered(turns: &Turns) -> usize {
    let rooms = turns.shard.state.rooms.rooms.iter();
    rooms.filter_map(|(_, room)| room.next.as_ref()).map(|next| next.bytes.len()).sum()
}

#[test]
fn what_gathers_is_bounded_for_requests() {
    let mut turns = Turns::new();
    let _members = turns.crowd("flood", 900);
    let mut most = 0;
    for _ in 0..60 {
        for _ in 0..16 {
            let mut frame = Vec::new();
            encode(Message::Binary(&[7; 65_536]), &mut frame);
            let room = "flood".into();
            turns.port.request(Request::Publish { route: ROOMS, room, except: None, frame });
        }
        turns.turn();
        most = gathered(&turns).max(most);
    }
    assert!(most > 4 << 20, "there was too little to be stopped");
    assert!(most <= 6 << 20, "{} MiB gathered", most >> 20);
}

/// A small room whose flush the budget cut in two.
#[test]
fn a_small_flush_that_is_cut_waits_for_no_large_ones() {
    let mut turns = Turns::new();
    let large: Vec<String> = (0..60).map(|room| format!("flood-{room}")).collect();
    let _floods: Vec<Vec<Peer>> = large.iter().map(|room| turns.crowd(room, 66)).collect();
    let small: Vec<String> = (0..5).map(|room| format!("small-{room}")).collect();
    let mut smalls: Vec<Vec<Peer>> = small.iter().map(|room| turns.crowd(room, 60)).collect();
    for _ in 0..40 {
        turns.say(large.iter().map(String::as_str), 4);
        turns.turn();
    }
    turns.say(small.iter().map(String::as_str), 4);
    let mut count = 0;
    let mut heard = vec![false; 300];
    while heard.contains(&false) {
        turns.say(large.iter().map(String::as_str), 4);
        turns.turn();
        count += 1;
        for (heard, peer) in heard.iter_mut().zip(smalls.iter_mut().flatten()) {
            *heard |= peer.hear() > 0;
        }
    }
    assert!(count <= 2, "{count} turns for 300 writes");
}

/// Publishers on another shard that wait for a room of this one are woken when it has caught up.
#[test]
fn who_waits_for_a_room_is_woken() {
    let mut turns = Turns::new();
    let _members = turns.crowd("flood", 900);
    let entry = turns.room("flood");
    turns.say(["flood"], 2 << 20);
    turns.shard.take_mail();
    assert!(entry.wait(1), "this shard is behind");
    assert!(!turns.was_woken_elsewhere());
    turns.turn();
    assert!(turns.was_woken_elsewhere());
    assert!(!entry.wait(1), "it is no more");
}
