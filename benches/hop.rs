//! A hop of the hub: one message from a session of one shard to a session of another, and, beside it, the same between
//! two sessions of one shard. The difference is the mailbox and the wake.

#![allow(clippy::expect_used, reason = "a benchmark ends where what it expects is not so")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;

use criterion::{Criterion, criterion_group, criterion_main};

use support::client::{Client, frame};
use support::server::Server;

const PAYLOAD_BYTES: usize = 128;
const FRAME_BYTES: usize = 4 + PAYLOAD_BYTES;

/// Connects, and finds out which shard accepted: a room that is told of those who join says their session's name,
/// which begins with the shard's number.
fn connect(server: &Server, room: &str, witness: &mut Client) -> (String, TcpStream) {
    let client = Client::connect(server.address, &format!("/relay/{room}"));
    let notice: serde_json::Value = serde_json::from_str(witness.next().text()).expect("JSON");
    let session = notice["session"].as_str().expect("a name");
    (session[..2].to_owned(), client.stream)
}

/// Two members of a room of their own, on one shard or on two.
fn pair(server: &Server, is_hop: bool) -> (TcpStream, TcpStream) {
    for attempt in 0..100 {
        let room = format!("{is_hop}-{attempt}");
        let mut witness = Client::connect(server.address, &format!("/relay/{room}"));
        let (first_shard, first) = connect(server, &room, &mut witness);
        let (second_shard, mut second) = connect(server, &room, &mut witness);
        if (first_shard != second_shard) == is_hop {
            drop(witness);
            // The first one is told of the second, and both of the witness, who leaves.
            let mut notices = [0; 512];
            let mut first = first;
            for member in [&mut first, &mut second] {
                member
                    .set_read_timeout(Some(std::time::Duration::from_millis(200)))
                    .expect("a timeout can be set");
                while member.read(&mut notices).is_ok_and(|bytes| bytes > 0) {}
                member.set_read_timeout(None).expect("a timeout can be unset");
            }
            return (first, second);
        }
    }
    panic!("the kernel gave all connections to one shard");
}

fn hop(criterion: &mut Criterion) {
    let server = Server::start_with(&["--shards", "2"], &[("UPROAR_RELAY__ANNOUNCE", "json")]);
    let message = frame(0x82, &[7; PAYLOAD_BYTES]);
    for (name, is_hop) in [("same shard", false), ("other shard", true)] {
        let (mut sender, mut receiver) = pair(&server, is_hop);
        let mut read = [0; FRAME_BYTES];
        criterion.bench_function(&format!("hop/{name}"), |bencher| {
            bencher.iter(|| {
                sender.write_all(&message).expect("the server reads");
                receiver.read_exact(&mut read).expect("the server writes");
                black_box(&read);
            });
        });
    }
}

criterion_group!(benches, hop);
criterion_main!(benches);
