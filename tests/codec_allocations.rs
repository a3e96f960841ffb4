//! What decoding costs in memory: nothing for whole frames, and never more than the bytes that have come.

#![allow(unsafe_code, reason = "a global allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use uproar::protocol::Message;
use uproar::protocol::frame::{
    Decoded, Event, Partial, decode, encode, encode_close, encode_ping, encode_pong,
};

/// Counts each thread's own, so that tests running beside one another do not disturb.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came; the counters are plain cells without
// destructors, which can be used at any time and do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: as above; `pointer` came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: isize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE.set(LIVE.get() + bytes);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

/// What a piece of work allocated.
#[derive(Debug)]
struct Cost {
    allocations: usize,
    /// The most bytes held at once, in the work alone; a buffer that moves counts twice.
    peak: isize,
    /// Bytes still held at the end.
    kept: isize,
}

fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (allocations, live) = (ALLOCATIONS.get(), LIVE.get());
    PEAK.set(live);
    let result = work();
    let cost = Cost {
        allocations: ALLOCATIONS.get() - allocations,
        peak: PEAK.get() - live,
        kept: LIVE.get() - live,
    };
    (result, cost)
}

/// A frame under a mask of zeros, which leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len());
    frame.extend(payload);
    frame
}

fn head(first: u8, length: usize) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..126 => head.push(0x80 | length as u8),
        126..65536 => {
            head.push(0x80 | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Decodes all of `input`; the number of events.
fn drain(partial: &mut Option<Box<Partial>>, mut input: &mut [u8]) -> usize {
    let mut events = 0;
    loop {
        let Ok(Decoded { consumed, event }) = decode(partial, input, MESSAGE_BYTES_MAX) else {
            panic!("a valid stream was refused")
        };
        let Some(event) = event else { return events };
        black_box::<Event<'_>>(event);
        events += 1;
        input = &mut input[consumed..];
    }
}

#[test]
fn the_counter_counts() {
    let (_, counted) = cost(|| drop(black_box(vec![0_u8; 1000])));
    assert_eq!((counted.allocations, counted.peak, counted.kept), (1, 1000, 0));
}

#[test]
fn whole_frames_cost_nothing() {
    let mut stream = Vec::new();
    for length in [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
        stream.extend(frame(0x81, "x".repeat(length).as_bytes()));
        stream.extend(frame(0x82, &vec![0xff; length]));
        stream.extend(frame(0x89, &vec![0xff; length.min(125)]));
        stream.extend(frame(0x8a, &vec![0xff; length.min(125)]));
    }
    stream.extend(frame(0x88, &1000_u16.to_be_bytes()));
    let mut partial = None;
    let (events, cost) = cost(|| drain(&mut partial, &mut stream));
    assert_eq!(events, 33);
    assert_eq!((cost.allocations, cost.peak), (0, 0));
}

#[test]
fn encoding_into_a_buffer_with_room_costs_nothing() {
    let mut out = Vec::with_capacity(1 << 20);
    let (text, bytes, close) = ("x".repeat(70_000), vec![0xff; 70_000], uproar::Close::normal());
    let ((), cost) = cost(|| {
        encode(Message::Text(&text), &mut out);
        encode(Message::Binary(&bytes), &mut out);
        encode_ping(b"ping", &mut out);
        encode_pong(b"pong", &mut out);
        encode_close(Some(&close), &mut out);
    });
    assert_eq!(cost.allocations, 0);
}

#[test]
fn an_announced_length_costs_nothing() {
    for first in [0x81, 0x82, 0x02] {
        let mut partial = None;
        let mut announced = head(first, MESSAGE_BYTES_MAX);
        let (events, cost) = cost(|| drain(&mut partial, &mut announced));
        assert_eq!(events, 0);
        assert!(cost.peak > 0 && cost.peak < 1024, "{cost:?}");
        let held = partial.as_ref().map(|partial| partial.heap_bytes());
        assert_eq!(held, Some(cost.kept as usize), "the accounting says what is held");
    }
}

#[test]
fn a_million_empty_fragments_cost_next_to_nothing() {
    let mut partial = None;
    let mut begin = frame(0x01, b"");
    let mut fragments = frame(0x00, b"").repeat(1000);
    let mut end = frame(0x80, b"");
    let (events, cost) = cost(|| {
        let mut events = drain(&mut partial, &mut begin);
        for _ in 0..1000 {
            events += drain(&mut partial, &mut fragments);
        }
        events + drain(&mut partial, &mut end)
    });
    assert_eq!(events, 1);
    assert!(cost.allocations == 1 && cost.peak < 1024 && cost.kept == 0, "{cost:?}");
}

#[test]
fn fragments_of_one_byte_cost_what_they_carry() {
    let mut partial = None;
    let mut begin = frame(0x01, b"");
    let mut fragments = frame(0x00, b"x").repeat(1000);
    let (_, cost) = cost(|| {
        drain(&mut partial, &mut begin);
        (0..1000).for_each(|_| assert_eq!(drain(&mut partial, &mut fragments), 0));
    });
    assert!(cost.kept < 2_200_000, "a million bytes, and as many in reserve: {cost:?}");
    assert!(cost.allocations < 30, "grows by doubling: {cost:?}");
    let held = partial.as_ref().map(|partial| partial.heap_bytes());
    assert_eq!(held, Some(cost.kept as usize), "the accounting says what is held");
}

#[test]
fn the_largest_message_costs_its_bytes() {
    for first in [0x81, 0x82] {
        let mut partial = None;
        let mut stream = frame(first, &vec![b'x'; MESSAGE_BYTES_MAX]);
        let (last, rest) = stream.split_last_mut().expect("not empty");
        let (_, cost) = cost(|| {
            for piece in rest.chunks_mut(16 << 10) {
                assert_eq!(drain(&mut partial, piece), 0);
            }
        });
        assert!(cost.kept <= (MESSAGE_BYTES_MAX + 1024) as isize, "{cost:?}");
        assert!(cost.allocations < 20, "grows by doubling: {cost:?}");
        assert_eq!(drain(&mut partial, std::slice::from_mut(last)), 1);
        assert!(partial.is_none());
    }
}
