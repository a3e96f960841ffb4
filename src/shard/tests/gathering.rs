//! What gathers for rooms is bounded whoever sends it, and goes out in the order in which it should.

use std::time::Instant;

use super::turns::{Peer, ROOMS, Turns};
use crate::hub::mailbox::{Batch, Part, Request};

fn crowd(turns: &mut Turns, room: &str, members: usize) -> Vec<Peer> {
    let peers = (0..members).map(|_| turns.adopt(ROOMS, room)).collect();
    turns.rest();
    peers
}

/// Bytes that wait for the next flushes of all rooms.
fn gathered(turns: &Turns) -> usize {
    let rooms = turns.shard.state.rooms.rooms.iter();
    rooms.filter_map(|(_, room)| room.next.as_ref()).map(|next| next.bytes.len()).sum()
}

#[test]
fn what_gathers_is_bounded_for_requests() {
    let mut turns = Turns::new();
    let _members = crowd(&mut turns, "flood", 900);
    let mut most = 0;
    for _ in 0..60 {
        for _ in 0..16 {
            let mut frame = vec![0x82, 127];
            frame.extend(65_536_u64.to_be_bytes());
            frame.resize(10 + 65_536, 7);
            let room = "flood".into();
            turns.port.request(Request::Publish { route: ROOMS, room, except: None, frame });
        }
        turns.turn();
        most = gathered(&turns).max(most);
    }
    assert!(most > 4 << 20, "there was too little to be stopped");
    assert!(most <= 6 << 20, "{} MiB gathered", most >> 20);
}

fn say(turns: &Turns, rooms: &[String]) {
    let mut batch = Batch::new(Instant::now());
    let directory = &turns.shard.state.hub.directory;
    for room in rooms {
        batch.bytes.extend([0x82, 4, 1, 2, 3, 4]);
        let (room, end) = (directory.find(0, room).expect("a room").id, batch.bytes.len());
        batch.parts.push(Part { room, end, frames: 1, except: None });
    }
    assert!(turns.port.batch(1, batch).is_ok());
}

/// A small room whose flush the budget cut in two.
#[test]
fn a_small_flush_that_is_cut_waits_for_no_large_ones() {
    let mut turns = Turns::new();
    let large: Vec<String> = (0..60).map(|room| format!("flood-{room}")).collect();
    let _floods: Vec<Vec<Peer>> = large.iter().map(|room| crowd(&mut turns, room, 66)).collect();
    let small: Vec<String> = (0..5).map(|room| format!("small-{room}")).collect();
    let mut smalls: Vec<Vec<Peer>> = small.iter().map(|room| crowd(&mut turns, room, 60)).collect();
    for _ in 0..40 {
        say(&turns, &large);
        turns.turn();
    }
    say(&turns, &small);
    let mut count = 0;
    let mut heard = vec![false; 300];
    while heard.contains(&false) {
        say(&turns, &large);
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
    let _members = crowd(&mut turns, "flood", 900);
    let entry = turns.shard.state.hub.directory.find(ROOMS, "flood").expect("a room");
    let mut batch = Batch::new(Instant::now());
    batch.bytes.extend([0x82, 127]);
    batch.bytes.extend((2_u64 << 20).to_be_bytes());
    batch.bytes.resize(10 + (2 << 20), 7);
    batch.parts.push(Part { room: entry.id, end: batch.bytes.len(), frames: 1, except: None });
    assert!(turns.port.batch(1, batch).is_ok());
    turns.shard.take_mail();
    assert!(entry.wait(1), "this shard is behind");
    assert!(!turns.was_woken_elsewhere());
    turns.turn();
    assert!(turns.was_woken_elsewhere());
    assert!(!entry.wait(1), "it is no more");
}
