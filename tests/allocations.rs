//! A delivery allocates nothing: what a shard allocates for a message does not depend on how many members get it.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(unsafe_code, reason = "a global allocator that counts has to be one")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use uproar::{Context, Handler, Message, Request};

use support::client::{Client, frame};
use support::embedded::Embedded;

/// Counts what the threads of shards allocate, and nobody else.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_SHARD: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came; the cell has no destructor and can be used at
// any time, and neither it nor the counter allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(usize::from(IS_SHARD.get()), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A relay that tells the allocator which threads are shards. Its path names rooms, as in `/here+there`.
struct Relay;

impl Handler for Relay {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        IS_SHARD.set(true);
        let rooms = request.room.as_deref().unwrap_or_default();
        rooms.split('+').for_each(|room| assert!(session.join(room)));
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        session.broadcast(message);
    }
}

/// Whom a message goes to in a measurement.
struct Crowd {
    shards: usize,
    members: usize,
    senders: usize,
    rooms: &'static str,
}

const PAYLOAD: &[u8] = b"what everyone is told";
const FRAME_BYTES: usize = 2 + PAYLOAD.len();
const ROUNDS: usize = 200;
const WARM_UP: usize = 20;

/// What the shards of a server allocate for each message of a crowd's senders.
fn allocations_per_message(crowd: &Crowd) -> f64 {
    let server = Embedded::start(crowd.shards, |builder| {
        builder.route("/{room}", Relay).bind().expect("it starts")
    });
    let path = format!("/{}", crowd.rooms);
    let mut clients: Vec<_> =
        (0..crowd.members).map(|_| Client::connect(server.address, &path).stream).collect();
    // Who is in several rooms with the sender hears it in each.
    let copies = crowd.rooms.split('+').count();
    let mut buffer = vec![0; crowd.senders * copies * FRAME_BYTES];
    let mut before = (0, Instant::now());
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            before = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
        }
        exchange(&mut clients, crowd.senders, copies, &mut buffer);
    }
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before.0;
    // Each shard hands copies of its counters to the telemetry four times a second.
    let reports = (before.1.elapsed().as_millis() / 250 + 1) as usize * crowd.shards;
    let allocated = allocated.saturating_sub(reports * 2);
    allocated as f64 / (ROUNDS * crowd.senders) as f64
}

/// Each of the first so many clients sends a message, and everyone gets so many copies of those not their own.
fn exchange(clients: &mut [TcpStream], senders: usize, copies: usize, buffer: &mut [u8]) {
    let message = frame(0x81, PAYLOAD);
    for sender in &mut clients[..senders] {
        sender.write_all(&message).expect("the server reads");
    }
    for (name, client) in clients.iter_mut().enumerate() {
        let messages = (senders - usize::from(name < senders)) * copies;
        let owed = &mut buffer[..messages * FRAME_BYTES];
        client.read_exact(owed).expect("the server writes");
        assert!(owed.chunks(FRAME_BYTES).all(|frame| frame[2..] == *PAYLOAD));
    }
}

/// Checks that a message to so many members costs less than `bound` allocations, for a small and a large crowd.
fn check(what: &str, crowd: &Crowd, bound: f64) {
    for members in [100, 500] {
        let allocations = allocations_per_message(&Crowd { members, ..*crowd });
        println!("{what}, {members} members: {allocations:.3} allocations a message");
        assert!(allocations < bound, "{what}, {members} members: {allocations} a message");
    }
}

/// One test, so that nobody else's shards are counted.
#[test]
fn a_delivery_allocates_nothing() {
    let crowd = Crowd { shards: 1, members: 0, senders: 1, rooms: "room" };
    check("one sender", &crowd, 0.1);
    check("sixteen senders", &Crowd { senders: 16, ..crowd }, 0.1);
    check("members of three rooms", &Crowd { rooms: "one+two+three", ..crowd }, 0.1);
    // A batch for each other shard: its bytes and its list of parts.
    check("one sender, four shards", &Crowd { shards: 4, ..crowd }, 3.0 * 2.0 + 1.0);
    // Shards that all send have each other's batches to use again.
    check("sixteen senders, four shards", &Crowd { shards: 4, senders: 16, ..crowd }, 3.0);
}
