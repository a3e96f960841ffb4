//! Fan-out over loopback sockets: from one message written to the last of its members' reads, server and clients on
//! this machine. Most of it is the kernel's.

#![allow(clippy::expect_used, reason = "a benchmark ends where what it expects is not so")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::{Read, Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use support::client::{Client, frame};
use support::server::Server;

const PAYLOAD_BYTES: usize = 128;
/// Two bytes of head, two of length, the payload.
const FRAME_BYTES: usize = 4 + PAYLOAD_BYTES;

fn fanout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fanout");
    for members in [10, 100, 1000] {
        let server = Server::start(&["--shards", "1"]);
        let mut sender = Client::connect(server.address, "/");
        let mut receivers: Vec<_> =
            (0..members).map(|_| Client::connect(server.address, "/").stream).collect();
        group.throughput(Throughput::Elements(members));
        for batch in [1_usize, 16] {
            let frames = frame(0x82, &[7; PAYLOAD_BYTES]).repeat(batch);
            let mut read = vec![0; FRAME_BYTES * batch];
            group.bench_function(
                BenchmarkId::new(format!("{batch} at once"), members),
                |bencher| {
                    bencher.iter(|| {
                        sender.stream.write_all(&frames).expect("the server reads");
                        for receiver in &mut receivers {
                            receiver.read_exact(&mut read).expect("the server writes");
                        }
                        black_box(&read);
                    });
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
