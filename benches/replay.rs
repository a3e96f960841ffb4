//! A replay: one session comes back and is given 50,000 messages from the log, from its own disk and, while they are
//! in the cache, from memory; no rate bounds it.

#![allow(clippy::expect_used, reason = "a benchmark ends where what it expects is not so")]

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

use support::chat::ChatClient;
use support::server::Server;

const MESSAGES: u64 = 50_000;
const BODY_BYTES: usize = 128;

/// As fast as a reader can be given what it missed.
const UNBOUNDED: &str = "17179869184";

/// A server with a room in which everything has been said; the room's epoch and its first position.
fn filled(cache_bytes_max: &str) -> (Server, Value, u64) {
    let settings = [
        ("UPROAR_LOG__READ_BYTES_PER_SEC", UNBOUNDED),
        ("UPROAR_LOG__READ_TOTAL_BYTES_PER_SEC", UNBOUNDED),
        ("UPROAR_LOG__CACHE_BYTES_MAX", cache_bytes_max),
        ("UPROAR_LOG__SYNCHRONOUS", "normal"),
    ];
    let server = Server::start_with(&["--shards", "1"], &settings);
    let mut author = ChatClient::connect(server.address, "Ann");
    let epoch = author.join("a")["epoch"].clone();
    let body = json!("x".repeat(BODY_BYTES - 2));
    let mut first = 0;
    for _ in 0..MESSAGES / 100 {
        for _ in 0..100 {
            author.say("a", &body);
        }
        for _ in 0..100 {
            author.await_type("ack");
            let message = author.await_type("message");
            first = if first == 0 { message["seq"].as_u64().expect("a position") } else { first };
        }
    }
    (server, epoch, first)
}

fn replay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(MESSAGES - 1));
    for (name, cache_bytes_max) in [("disk", "65536"), ("cache", "268435456")] {
        let (server, epoch, first) = filled(cache_bytes_max);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut reader = ChatClient::connect(server.address, "Bob");
                reader.resume("a", &epoch, first);
                let is_message = |frame: &support::client::Frame| {
                    frame.payload.starts_with(br#"{"type":"message""#)
                };
                let mut left = MESSAGES - 1;
                while left > 0 {
                    left -= u64::from(is_message(&reader.client.next()));
                }
            });
        });
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
