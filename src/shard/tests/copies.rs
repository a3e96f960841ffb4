//! A payload is copied once on its shard, into the room's buffer, however many members get it and however slow they are.

use std::collections::BTreeSet;

use super::turns::{Peer, ROOMS, Turns, frame};

const MEMBERS: usize = 20;

#[test]
fn all_members_are_served_from_one_buffer() {
    let mut turns = Turns::new();
    let members: Vec<Peer> = (0..MEMBERS).map(|_| turns.connect(ROOMS, "room")).collect();
    let mut sender = turns.connect(ROOMS, "room");
    // More than a socket takes, so that every member is still owed a part of it.
    let message = frame(0x82, &[7; 1 << 20]);
    let mut sent = 0;
    while sent < message.len() {
        sent += sender.send(&message[sent..]);
        turns.turn();
    }
    turns.rest();
    let sessions = turns.shard.state.sessions.iter();
    let outboxes = sessions.filter_map(|(_, session)| Some(&session.extra.as_ref()?.outbox));
    let buffers: Vec<_> = outboxes.flat_map(|outbox| outbox.buffers()).collect();
    assert_eq!(buffers.len(), members.len(), "each of them is owed the rest");
    assert_eq!(buffers.iter().collect::<BTreeSet<_>>().len(), 1, "of the one copy");
}
