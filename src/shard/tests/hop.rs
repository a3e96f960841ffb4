//! What a turn has for another shard goes there in one batch, and wakes it once if it sleeps.

use super::turns::{Peer, ROOMS, Turns, frame};

const SENDERS: usize = 8;
const FRAMES: usize = 16;

/// Sessions of one shard in two rooms that have members on the other shard too.
fn senders(turns: &mut Turns) -> Vec<Peer> {
    for room in ["here", "there"] {
        turns.shard.state.hub.directory.enter(ROOMS, room, 1, usize::MAX);
    }
    (0..SENDERS).map(|_| turns.connect(ROOMS, "here+there")).collect()
}

fn speak(senders: &mut [Peer]) {
    let frames = frame(0x81, b"to both rooms").repeat(FRAMES);
    for sender in senders {
        assert_eq!(sender.send(&frames), frames.len());
    }
}

#[test]
fn a_turn_sends_another_shard_one_batch() {
    let mut turns = Turns::new();
    let mut senders = senders(&mut turns);
    for batches in 1..=3 {
        speak(&mut senders);
        assert_eq!(turns.turn().reads, SENDERS as u64, "all of it is read in one turn");
        assert_eq!(turns.elsewhere.batches.len(), batches);
        turns.rest();
        assert_eq!(turns.elsewhere.batches.len(), batches, "nothing is sent twice");
    }
    for batch in turns.elsewhere.batches.try_iter() {
        let frames: u32 = batch.parts.iter().map(|part| part.frames).sum();
        assert_eq!(frames as usize, SENDERS * FRAMES * 2);
    }
}

#[test]
fn a_shard_is_woken_if_it_sleeps_and_only_then() {
    let mut turns = Turns::new();
    let mut senders = senders(&mut turns);
    let mut wakes = |turns: &mut Turns| {
        speak(&mut senders);
        turns.rest();
        turns.was_woken_elsewhere()
    };
    assert!(!wakes(&mut turns), "it does not sleep");
    turns.elsewhere.arm();
    assert!(wakes(&mut turns), "it sleeps");
    assert!(!wakes(&mut turns), "it was woken already");
}
