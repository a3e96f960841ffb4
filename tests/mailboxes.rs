//! Full mailboxes: with room for one batch in each, shards that publish to one another for all they can lose nothing,
//! double nothing, reorder nothing and never wait for each other for good. Their publishers do wait.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]

mod support;

use std::thread;

use support::client::{Client, frame};
use support::server::Server;

const ROOMS: usize = 3;
const MEMBERS: usize = 16;
const SENDERS: usize = 6;
const MESSAGES: usize = 3000;

/// A message that says who sent it and which of theirs it is.
fn message(sender: usize, number: usize) -> Vec<u8> {
    let mut payload = vec![b'.'; 120];
    payload[..4].copy_from_slice(&(sender as u32).to_be_bytes());
    payload[4..8].copy_from_slice(&(number as u32).to_be_bytes());
    payload
}

/// Sends everything that one sender has to say, several frames at a time.
fn send(mut sender: Client, name: usize) {
    for first in (0..MESSAGES).step_by(20) {
        let numbers = first..first + 20;
        let frames: Vec<_> =
            numbers.flat_map(|number| frame(0x82, &message(name, number))).collect();
        sender.write(&frames);
    }
}

/// Reads everything that is owed to one member: from each sender but itself each message, in order.
fn read(reader: &mut Client, name: usize) {
    let mut next = [0; SENDERS];
    let senders = SENDERS - usize::from(name < SENDERS);
    for _ in 0..senders * MESSAGES {
        let payload = reader.next().payload;
        let numbers = payload.as_chunks::<4>().0;
        let [sender, number] = [numbers[0], numbers[1]].map(|n| u32::from_be_bytes(n) as usize);
        assert_ne!(sender, name, "nobody hears themselves");
        assert_eq!(number, next[sender], "what comes next from {sender}");
        next[sender] += 1;
    }
}

#[test]
fn nothing_is_lost_where_every_mailbox_is_full() {
    let settings = [("UPROAR_LIMITS__MAILBOX_BATCHES_MAX", "1")];
    let server = Server::start_with(&["--shards", "4"], &settings);
    let members: Vec<Vec<Client>> = (0..ROOMS)
        .map(|room| {
            let path = format!("/relay/{room}");
            (0..MEMBERS).map(|_| Client::connect(server.address, &path)).collect()
        })
        .collect();
    let sent_before = server.metric("uproar_messages_total", &[]);
    thread::scope(|scope| {
        for (name, mut member) in members.into_iter().flat_map(|room| room.into_iter().enumerate())
        {
            if name < SENDERS {
                let stream = member.stream.try_clone().expect("a descriptor");
                scope.spawn(move || send(Client::of(stream), name));
            }
            scope.spawn(move || {
                read(&mut member, name);
                // Nothing may follow: the answer to a ping is what comes next.
                member.write(&frame(0x89, b"end"));
                assert_eq!(member.next().payload, b"end");
            });
        }
    });
    let messages = (ROOMS * SENDERS * MESSAGES) as f64;
    server.wait_for_metric("uproar_messages_total", &[], |n| n == sent_before + messages);
    let deliveries = messages * (MEMBERS - 1) as f64;
    server.wait_for_metric("uproar_deliveries_total", &[], |n| n == deliveries);
    for metric in ["uproar_mailbox_full_total", "uproar_session_pauses_total"] {
        let count = server.metric(metric, &[]);
        println!("{metric} {count}");
        assert!(count > 0.0, "{metric} is {count}: nobody was held up");
    }
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
    assert_eq!(server.metric("uproar_drops_total", &[]), 0.0);
}
