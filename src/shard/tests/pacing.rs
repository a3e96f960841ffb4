//! The wait of a busy room's flush: it ends in time, it is the room's alone, and nobody waits in vain.

#![allow(
    clippy::disallowed_methods,
    reason = "a wait of a millisecond takes a millisecond; no thread is held up"
)]

use std::time::{Duration, Instant};

use super::turns::{Peer, Turns};
use crate::shard::pace::WAIT;

/// Has the room count as busy.
fn make_busy(turns: &mut Turns, room: &str) {
    let rooms = &mut turns.shard.state.rooms;
    let room = rooms.find(0, room).expect("a room");
    rooms.get_mut(room).pace.flushed(Duration::from_secs(2), Instant::now());
}

#[test]
fn the_flush_of_a_busy_room_waits_and_not_long() {
    let mut turns = Turns::new();
    let mut members = turns.crowd("busy", 66);
    make_busy(&mut turns, "busy");
    turns.say(["busy"], 4);
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
    let _floods: Vec<Vec<Peer>> = rooms.iter().map(|room| turns.crowd(room, 66)).collect();
    let mut target = turns.crowd("target", 66);
    for _ in 0..40 {
        turns.say(rooms.iter().map(String::as_str), 4);
        turns.turn();
    }
    if is_busy {
        make_busy(&mut turns, "target");
    }
    turns.say(["target"], 4);
    let mut count = 0;
    loop {
        turns.say(rooms.iter().map(String::as_str), 4);
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
    let _peers = turns.crowd("room", 66);
    turns.say(["room"], 4);
    let began = Instant::now() - Duration::from_millis(50);
    turns.turn();
    turns.rest();
    turns.say(["room"], 4);
    // As a turn does that reads for 50 ms before its flush: `now` is when it began.
    turns.shard.take_mail();
    turns.shard.state.now = began;
    turns.shard.state.flush_step(256);
    turns.shard.state.now = Instant::now();
    turns.shard.state.flush_step(256);
    turns.say(["room"], 4);
    turns.shard.take_mail();
    turns.shard.state.flush_step(256);
    assert!(turns.shard.state.waiting.is_empty(), "a flush of 66 writes took 50 ms, it thinks");
}

/// A wait in vain: everybody who could say more is held up.
#[test]
fn a_congested_room_does_not_wait() {
    let mut turns = Turns::new();
    let _members = turns.crowd("flood", 100);
    make_busy(&mut turns, "flood");
    turns.say(["flood"; 80], 65_536);
    turns.turn();
    let state = &turns.shard.state;
    assert!(state.waiting.is_empty(), "it waits although full = {}", state.full);
}
