//! Whatever others do on its shard, a quiet room is served within a turn or two, and what a turn does is bounded: by
//! counts, so that a slow machine changes nothing.

use std::net::TcpStream;

use super::turns::{Did, ECHO, Flood, Peer, ROOMS, Turns, frame};
use crate::hub::mailbox::{Batch, Request};
use crate::shard::ACCEPTS_PER_TURN;
use crate::shard::budget::{
    BYTES_PER_TURN, LEAVES_PER_TURN, READS_PER_TURN, STEPS_PER_SESSION, STEPS_PER_TURN,
};
use crate::shard::flush::{CLOSING_COST, SERVED_MAX};
use crate::shard::mail::{BATCHES_PER_TURN, CONTROL_PER_TURN, PARTS_PER_TURN, REQUESTS_PER_TURN};

/// Two who talk to each other now and then.
struct Quiet {
    talker: Peer,
    listener: Peer,
}

impl Quiet {
    fn new(turns: &mut Turns) -> Self {
        let [talker, listener] = std::array::from_fn(|_| turns.connect(ROOMS, "quiet"));
        Self { talker, listener }
    }

    fn say(&mut self) {
        let word = frame(0x81, b"hush");
        assert_eq!(self.talker.send(&word), word.len());
    }

    /// Whether the listener has just heard it.
    fn was_heard(&mut self) -> bool {
        self.listener.hear() > 0
    }
}

/// The most that any turn did while the quiet room said something twenty times, a new one each time the last was heard.
struct Worst {
    turns: usize,
    did: Did,
}

fn worst(turns: &mut Turns, floods: &mut [Flood]) -> Worst {
    let mut quiet = Quiet::new(turns);
    let mut worst = Worst { turns: 0, did: Did::default() };
    for _ in 0..20 {
        floods.iter_mut().for_each(Flood::go_on);
        quiet.say();
        let mut waited = 0;
        loop {
            worst.take(turns.turn());
            waited += 1;
            assert!(waited < 1000, "it is never heard");
            if quiet.was_heard() {
                break;
            }
            floods.iter_mut().for_each(Flood::go_on);
        }
        worst.turns = worst.turns.max(waited);
    }
    worst
}

impl Worst {
    fn take(&mut self, did: Did) {
        let most = &mut self.did;
        most.accepts = most.accepts.max(did.accepts);
        most.reads = most.reads.max(did.reads);
        most.events = most.events.max(did.events);
        most.bytes_in = most.bytes_in.max(did.bytes_in);
        most.writes = most.writes.max(did.writes);
        most.bytes_out = most.bytes_out.max(did.bytes_out);
        most.opened = most.opened.max(did.opened);
        most.closed = most.closed.max(did.closed);
        most.batches = most.batches.max(did.batches);
    }
}

/// So many peers that say the same, each to a room of its own and two listeners.
fn floods(turns: &mut Turns, count: usize, frame: &[u8]) -> Vec<Flood> {
    (0..count).map(|room| flood(turns, &format!("flood-{room}"), frame)).collect()
}

fn flood(turns: &mut Turns, room: &str, frame: &[u8]) -> Flood {
    Flood::new(turns.connect(ROOMS, room), frame)
}

#[test]
fn a_session_has_a_share_of_the_turn() {
    let mut turns = Turns::new();
    let mut floods = floods(&mut turns, 1, &frame(0x82, b""));
    let worst = worst(&mut turns, &mut floods);
    // A message is two steps, one to handle and one to gather it; the quiet room's own comes on top.
    assert_eq!((worst.turns, worst.did.events), (1, STEPS_PER_SESSION / 2 + 1));
}

#[test]
fn a_message_to_many_rooms_counts_for_many() {
    let mut turns = Turns::new();
    let rooms: Vec<_> = (0..63).map(|room| room.to_string()).collect();
    let mut floods = [flood(&mut turns, &rooms.join("+"), &frame(0x82, b""))];
    let worst = worst(&mut turns, &mut floods);
    assert_eq!((worst.turns, worst.did.events), (1, STEPS_PER_SESSION / 64 + 1));
}

#[test]
fn control_frames_count_too() {
    let mut turns = Turns::new();
    let mut floods = floods(&mut turns, 1, &frame(0x8a, b""));
    let worst = worst(&mut turns, &mut floods);
    assert_eq!((worst.turns, worst.did.events), (1, STEPS_PER_SESSION + 1));
}

#[test]
fn all_sessions_together_have_no_more_than_a_turn() {
    const FLOODS: u64 = 40;
    let mut turns = Turns::new();
    let mut floods = floods(&mut turns, FLOODS as usize, &frame(0x82, b""));
    let worst = worst(&mut turns, &mut floods);
    let events = worst.did.events;
    assert!(events <= (STEPS_PER_TURN + STEPS_PER_SESSION) / 2 + 1, "{events} in a turn");
    // Each of the others has its share before the quiet room, once.
    assert_eq!(worst.turns as u64, (FLOODS * STEPS_PER_SESSION).div_ceil(STEPS_PER_TURN) + 1);
}

/// A buffer full of fragments is decoded at once, but no turn decodes many such.
#[test]
fn fragments_count_too() {
    const FLOODS: usize = 16;
    const FRAGMENTS_PER_READ: u64 = 65_536 / 6;
    let mut turns = Turns::new();
    let mut floods = floods(&mut turns, FLOODS, &frame(0x00, b""));
    for flood in &mut floods {
        flood.begin_with(&frame(0x02, b""));
    }
    let worst = worst(&mut turns, &mut floods);
    assert!(worst.did.bytes_in <= 6 * (STEPS_PER_TURN + FRAGMENTS_PER_READ), "{:?}", worst.did);
    assert!(worst.turns <= FLOODS, "{} turns", worst.turns);
}

#[test]
fn the_answers_to_an_echo_flood_wait() {
    let mut turns = Turns::new();
    let mut floods: Vec<_> =
        (0..20).map(|_| Flood::new(turns.connect(ECHO, "_"), &frame(0x82, &[7; 1000]))).collect();
    let worst = worst(&mut turns, &mut floods);
    assert_eq!(worst.turns, 2);
    assert!(worst.did.bytes_in <= (BYTES_PER_TURN + 65_536) as u64, "{:?}", worst.did);
    assert!(worst.did.bytes_out <= 2 << 20, "{:?}", worst.did);
}

/// A room of many who get much: its flush takes many turns, and small ones go on beside it.
fn crowd(turns: &mut Turns, room: &str, members: usize) -> Vec<Peer> {
    (0..members).map(|_| turns.connect(ROOMS, room)).collect()
}

#[test]
fn a_large_flush_keeps_no_small_one_waiting() {
    let mut turns = Turns::new();
    let mut members: Vec<_> =
        (0..8).flat_map(|room| crowd(&mut turns, &format!("flood-{room}"), 20)).collect();
    let mut floods: Vec<_> = (0..8)
        .map(|room| flood(&mut turns, &format!("flood-{room}"), &frame(0x82, &[7; 16_000])))
        .collect();
    let mut quiet = Quiet::new(&mut turns);
    let mut worst = Worst { turns: 0, did: Did::default() };
    for _ in 0..30 {
        floods.iter_mut().for_each(Flood::go_on);
        quiet.say();
        worst.take(turns.turn());
        assert!(quiet.was_heard(), "in the turn in which it was said");
        for member in &mut members {
            member.hear();
        }
    }
    // The last write of each step may go beyond its bytes, by as much as gathers for a room in a turn.
    assert!(worst.did.bytes_out <= 4 << 20, "{:?}", worst.did);
    assert!(worst.did.writes <= 3 * SERVED_MAX as u64, "{:?}", worst.did);
}

#[test]
fn small_flushes_are_served_in_the_order_in_which_they_came() {
    const ROOMS_AHEAD: usize = 400;
    let mut turns = Turns::new();
    let mut talkers: Vec<_> = (0..ROOMS_AHEAD)
        .map(|room| [(); 2].map(|()| turns.connect(ROOMS, &room.to_string())))
        .collect();
    let mut quiet = Quiet::new(&mut turns);
    for [talker, _] in &mut talkers {
        talker.send(&frame(0x82, b"loud"));
    }
    quiet.say();
    let mut waited = 0;
    while !quiet.was_heard() {
        let did = turns.turn();
        assert!(did.writes <= SERVED_MAX as u64, "{did:?}");
        waited += 1;
    }
    assert!(waited <= (2 * ROOMS_AHEAD + 2).div_ceil(SERVED_MAX), "{waited} turns");
}

#[test]
fn whoever_joins_comes_in_portions() {
    let mut turns = Turns::new();
    let mut quiet = Quiet::new(&mut turns);
    let joining: Vec<_> = (0..500).map(|_| turns.adopt(ROOMS, "flood")).collect();
    let knocking: Vec<_> =
        (0..500).map(|_| TcpStream::connect(turns.address).expect("it listens")).collect();
    let mut worst = Worst { turns: 0, did: Did::default() };
    for _ in 0..3 {
        quiet.say();
        worst.take(turns.turn());
        assert!(quiet.was_heard());
    }
    let Did { accepts, opened, .. } = worst.did;
    assert_eq!((accepts, opened), (ACCEPTS_PER_TURN as u64, CONTROL_PER_TURN as u64));
    drop((joining, knocking));
}

#[test]
fn whoever_leaves_keeps_nobody_waiting() {
    let mut turns = Turns::new();
    let leaving: Vec<_> = (0..500).map(|_| turns.connect(ROOMS, "flood")).collect();
    let mut quiet = Quiet::new(&mut turns);
    let closed = |turns: &Turns| 502 - turns.shard.state.sessions.len();
    drop(leaving);
    for turn in 1..=7 {
        quiet.say();
        turns.turn();
        assert!(quiet.was_heard(), "in turn {turn}");
        assert_eq!(closed(&turns), turn * LEAVES_PER_TURN);
    }
}

/// A Close asks for an answer, a shutdown and the end of the socket.
#[test]
fn goodbyes_count_for_more_than_messages() {
    let mut turns = Turns::new();
    let mut leaving: Vec<_> = (0..500).map(|_| turns.connect(ROOMS, "flood")).collect();
    let mut quiet = Quiet::new(&mut turns);
    for peer in &mut leaving {
        peer.send(&frame(0x88, &1000_u16.to_be_bytes()));
    }
    quiet.say();
    let did = turns.turn();
    assert!(quiet.was_heard());
    assert_eq!(did.writes, 1 + (SERVED_MAX / CLOSING_COST) as u64);
}

/// A batch from the other shard with so many frames of 100 bytes for each of the rooms in turn.
fn batch(turns: &Turns, rooms: &[&str], frames: usize) -> Batch {
    turns.batch(rooms.iter().copied().cycle().take(frames), 98)
}

#[test]
fn the_parts_of_batches_are_counted() {
    let mut turns = Turns::new();
    let _others = [turns.connect(ROOMS, "a"), turns.connect(ROOMS, "b")];
    let mut quiet = Quiet::new(&mut turns);
    for _ in 0..20 {
        let mut batch = batch(&turns, &["a", "b"], 4096);
        // What is next to nothing each is much to handle.
        batch.bytes.clear();
        batch.parts.iter_mut().for_each(|part| part.end = 0);
        assert!(turns.port.batch(1, batch).is_ok());
    }
    quiet.say();
    let did = turns.turn();
    assert!(quiet.was_heard());
    assert_eq!(did.batches as usize, PARTS_PER_TURN / 4096);
}

/// The flood of one room, which this shard is behind with, does not hold up what other shards have for the quiet one.
#[test]
fn one_room_that_is_behind_holds_up_no_other_rooms_batches() {
    let mut turns = Turns::new();
    let members = crowd(&mut turns, "flood", 1000);
    let mut quiet = Quiet::new(&mut turns);
    for _ in 0..3 {
        assert!(turns.port.batch(1, batch(&turns, &["flood"], 6000)).is_ok());
        turns.turn();
    }
    let entry = turns.shard.state.hub.directory.find(0, "flood").expect("a room");
    assert!(entry.wait(1), "the other shard's publishers are told to wait");
    assert!(turns.port.batch(1, batch(&turns, &["quiet"], 1)).is_ok());
    turns.turn();
    assert!(quiet.was_heard());
    while entry.wait(1) {
        turns.turn();
    }
    drop(members);
}

/// Whoever goes on publishing all the same makes the mailbox wait, and no queue grows without bound.
#[test]
fn what_gathers_for_a_room_is_bounded_whoever_publishes() {
    let mut turns = Turns::new();
    let members = crowd(&mut turns, "flood", 1000);
    for _ in 0..30 {
        assert!(turns.port.batch(1, batch(&turns, &["flood"], 6000)).is_ok());
    }
    let mut gathered = 0;
    for _ in 0..50 {
        turns.turn();
        let rooms = turns.shard.state.rooms.rooms.iter();
        let next = rooms.filter_map(|(_, room)| room.next.as_ref()).map(|next| next.bytes.len());
        gathered = next.sum::<usize>().max(gathered);
    }
    assert!((4 << 20..6 << 20).contains(&gathered), "{gathered} bytes");
    assert!(turns.shard.state.full > 0 && !turns.shard.mailbox.batches.is_empty());
    drop(members);
}

/// A session that publishes to a room that another shard is behind with is not read until that has caught up.
#[test]
fn publishers_wait_for_the_other_shard() {
    let mut turns = Turns::new();
    let directory = &turns.shard.state.hub.directory;
    let entry = directory.enter(0, "flood", 1, usize::MAX).expect("no bound");
    let mut publisher = turns.connect(ROOMS, "flood");
    let mut quiet = Quiet::new(&mut turns);
    entry.fall_behind(1);
    let word = frame(0x82, b"loud");
    let heard = |turns: &Turns| turns.shard.state.counters.messages_in;
    publisher.send(&word.repeat(3));
    turns.rest();
    quiet.say();
    turns.rest();
    assert!(quiet.was_heard());
    assert_eq!((heard(&turns), turns.shard.state.counters.paused), (2, 1));
    assert_eq!(entry.catch_up(1).collect::<Vec<_>>(), [0]);
    turns.rest();
    assert_eq!((heard(&turns), turns.shard.state.counters.paused), (4, 0));
    let sent: usize = turns.elsewhere.batches.try_iter().map(|batch| batch.parts.len()).sum();
    assert!(sent > 0, "the other shard got them");
}

#[test]
fn a_turn_reads_so_many_sessions() {
    const TALKERS: usize = 600;
    let mut turns = Turns::new();
    let mut talkers: Vec<_> = (0..TALKERS).map(|_| turns.connect(ECHO, "_")).collect();
    let mut quiet = Quiet::new(&mut turns);
    for talker in &mut talkers {
        talker.send(&frame(0x8a, b"here"));
    }
    quiet.say();
    assert_eq!(turns.turn().reads, READS_PER_TURN as u64);
    turns.turn();
    assert!(quiet.was_heard());
}

#[test]
fn batches_and_requests_come_in_portions() {
    let mut turns = Turns::new();
    let _other = turns.connect(ROOMS, "flood");
    let mut quiet = Quiet::new(&mut turns);
    for (batches, frames, taken) in [(100, 1, BATCHES_PER_TURN), (20, 1049, 10)] {
        for _ in 0..batches {
            assert!(turns.port.batch(1, batch(&turns, &["flood"], frames)).is_ok());
        }
        quiet.say();
        assert_eq!(turns.turn().batches as usize, taken, "of {frames} frames each");
        assert!(quiet.was_heard());
        turns.rest();
    }
    for (bytes, left) in [(1, 900 - REQUESTS_PER_TURN), (11_000, 900 - 96)] {
        for _ in 0..900 {
            let (room, frame) = ("flood".into(), vec![0; bytes]);
            let request = Request::Publish { route: ROOMS, room, except: None, frame };
            assert!(turns.port.request(request));
        }
        quiet.say();
        turns.turn();
        assert!(quiet.was_heard());
        assert_eq!(turns.shard.mailbox.requests.len(), left, "of {bytes} bytes each");
        while !turns.shard.mailbox.requests.is_empty() {
            turns.turn();
        }
    }
}
