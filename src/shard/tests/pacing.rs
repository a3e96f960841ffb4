//! The wait of a busy room's flush: it ends in time, it is the room's alone, and nobody waits in vain.

#![allow(
    clippy::disallowed_methods,
    reason = "a wait of a millisecond takes a millisecond; no thread is held up"
)]

use std::time::{Duration, Instant};

use super::turns::{Peer, ROOMS, Turns};
use crate::hub::mailbox::{Batch, Part};
use crate::shard::pace::WAIT;

fn crowd(turns: &mut Turns, room: &str, members: usize) -> Vec<Peer> {
    let peers = (0..members).map(|_| turns.adopt(ROOMS, room)).collect();
    turns.rest();
    peers
}

/// Has the room count as busy.
fn make_busy(turns: &mut Turns, room: &str) {
    let rooms = &mut turns.shard.state.rooms;
    let room = rooms.find(0, room).expect("a room");
    rooms.get_mut(room).pace.flushed(Duration::from_secs(2), Instant::now());
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

#[test]
fn the_flush_of_a_busy_room_waits_and_not_long() {
    let mut turns = Turns::new();
    let mut members = crowd(&mut turns, "busy", 66);
    make_busy(&mut turns, "busy");
    say(&turns, &["busy".to_owned()]);
    turns.turn();
    assert_eq!((turns.shard.state.waiting.len(), members[0].hear()), (1, 0));
    assert!(turns.shard.timeout() <= WAIT, "the poll ends with the wait");
    std::thread::sleep(WAIT);
    turns.turn();
    assert!(members[0].hear() > 0);
}

/// In how many turns a room is served beside many large ones.
fn turns_until_served(is_busy: bool) -> usize {
    let mut turns = Turns::new();
    let rooms: Vec<String> = (0..60).map(|room| format!("flood-{room}")).collect();
    let _floods: Vec<Vec<Peer>> = rooms.iter().map(|room| crowd(&mut turns, room, 66)).collect();
    let mut target = crowd(&mut turns, "target", 66);
    for _ in 0..40 {
        say(&turns, &rooms);
        turns.turn();
    }
    if is_busy {
        make_busy(&mut turns, "target");
    }
    say(&turns, &["target".to_owned()]);
    let mut count = 0;
    loop {
        say(&turns, &rooms);
        turns.turn();
        count += 1;
        if !turns.shard.state.waiting.is_empty() {
            std::thread::sleep(WAIT);
        }
        if target[0].hear() > 0 {
            return count;
        }
    }
}

#[test]
fn a_wait_is_not_a_round_of_the_large_rooms() {
    let (plain, busy) = (turns_until_served(false), turns_until_served(true));
    assert!(busy <= plain + 2, "{busy} turns with a wait, {plain} without");
}

/// A short flush in a turn that was long for another reason.
#[test]
fn a_flush_is_measured_from_its_own_beginning() {
    let mut turns = Turns::new();
    let _peers = crowd(&mut turns, "room", 66);
    say(&turns, &["room".to_owned()]);
    let began = Instant::now() - Duration::from_millis(50);
    turns.turn();
    turns.rest();
    say(&turns, &["room".to_owned()]);
    // As a turn does that reads for 50 ms before its flush: `now` is when it began.
    turns.shard.take_mail();
    turns.shard.state.now = began;
    turns.shard.state.flush_step(256);
    turns.shard.state.now = Instant::now();
    turns.shard.state.flush_step(256);
    say(&turns, &["room".to_owned()]);
    turns.shard.take_mail();
    turns.shard.state.flush_step(256);
    assert!(turns.shard.state.waiting.is_empty(), "a flush of 66 writes took 50 ms, it thinks");
}

/// A wait in vain: everybody who could say more is held up.
#[test]
fn a_congested_room_does_not_wait() {
    let mut turns = Turns::new();
    let _members = crowd(&mut turns, "flood", 100);
    make_busy(&mut turns, "flood");
    let id = turns.shard.state.hub.directory.find(0, "flood").expect("a room").id;
    let mut batch = Batch::new(Instant::now());
    for _ in 0..5 << 20 >> 16 {
        batch.bytes.extend([0x82, 127]);
        batch.bytes.extend(65_536_u64.to_be_bytes());
        batch.bytes.resize(batch.bytes.len() + 65_536, 7);
        batch.parts.push(Part { room: id, end: batch.bytes.len(), frames: 1, except: None });
    }
    assert!(turns.port.batch(1, batch).is_ok());
    turns.turn();
    let state = &turns.shard.state;
    assert!(state.waiting.is_empty(), "it waits although full = {}", state.full);
}
