//! What the frame codec costs on its own: `cargo bench --bench codec`.
//!
//! Frames come under a mask of zeros: unmasking does its full work, and the input is as it was for the next round.

#![allow(missing_docs, reason = "criterion_group! makes a public function")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use uproar::protocol::Message;
use uproar::protocol::frame::{Partial, decode, encode};

/// A masked text frame.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// Decodes `input` to its end, as a shard does with what a read brought; the number of events.
fn drain(partial: &mut Option<Box<Partial>>, mut input: &mut [u8]) -> usize {
    let mut events = 0;
    while let Ok(decoded) = decode(partial, input, 65_536) {
        let consumed = decoded.consumed;
        let Some(event) = decoded.event else { break };
        black_box(event);
        events += 1;
        input = &mut input[consumed..];
    }
    events
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let inputs = [
        ("one of 16 B", frame(&"x".repeat(16))),
        ("one of 128 B", frame(&"x".repeat(128))),
        ("one of 128 B, not ASCII", frame(&"é".repeat(64))),
        ("one of 16 KiB", frame(&"x".repeat(16 << 10))),
        ("64 of 128 B", frame(&"x".repeat(128)).repeat(64)),
    ];
    for (name, mut input) in inputs {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| drain(&mut None, black_box(&mut input)))
        });
    }
    let mut input = frame(&"x".repeat(16 << 10));
    group.throughput(Throughput::Bytes(input.len() as u64));
    group.bench_function("one of 16 KiB in four reads", |bencher| {
        bencher.iter(|| {
            let mut partial = None;
            input
                .chunks_mut(4 << 10)
                .map(|piece| drain(&mut partial, black_box(piece)))
                .sum::<usize>()
        });
    });
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for length in [16, 128, 16 << 10] {
        let text = "x".repeat(length);
        let mut out = Vec::with_capacity(length + 10);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{length} B")), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode(Message::Text(black_box(&text)), &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoding, encoding);
criterion_main!(benches);
