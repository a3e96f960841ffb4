//! What a server holds on the heap, block by block: nothing for an idle session but its entry in the shard's slab and
//! in its room, and nothing of rooms, connections and handshakes that are gone.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(unsafe_code, reason = "a global allocator that counts has to be one")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use uproar::{Context, Handler, Message, Request};

use support::client::{Client, frame};
use support::embedded::Embedded;
use support::{storm, wait_for};

/// Counts what this process holds: shards, control plane and, for what little they have, the clients.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: as above; `pointer` came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What is on the heap at a moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    blocks: usize,
    bytes: usize,
}

impl Held {
    fn now() -> Self {
        Self { blocks: BLOCKS.load(Ordering::Relaxed), bytes: BYTES.load(Ordering::Relaxed) }
    }

    /// What there is more than there was; nothing if it is less.
    fn since(before: Self) -> Self {
        let now = Self::now();
        Self {
            blocks: now.blocks.saturating_sub(before.blocks),
            bytes: now.bytes.saturating_sub(before.bytes),
        }
    }
}

/// One test at a time: what this process holds is counted for all of them together.
#[allow(clippy::disallowed_types, reason = "tests may wait for one another")]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Blocks that come and go whatever sessions do: counters on their way to the telemetry, a scrape that is answered,
/// sockets that the runtime has closed and not let go of yet.
const BLOCKS_AT_WORK: usize = 64;

/// And their bytes.
const BYTES_AT_WORK: usize = 256 * 1024;

/// Waits until everything that came and went is gone: as many sessions as said, and no handshake.
fn settle(server: &Embedded, sessions: usize) {
    server.wait_for_metric("uproar_sessions", |count| count == sessions as f64);
    server.wait_for_metric("uproar_handshakes_pending", |pending| pending == 0.0);
    server.wait_for_metric("uproar_outbox_bytes", |bytes| bytes == 0.0);
}

/// Everybody is in one room and gets as many bytes as they ask for.
struct Giver;

const GIFT_BYTES: usize = 50_000;

impl Handler for Giver {
    fn open(&self, session: &mut Context<'_>, _request: &Request) {
        assert!(session.join("room"));
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        let Message::Text(text) = message else { return };
        for _ in 0..text.parse().expect("a number") {
            session.send(&[0; GIFT_BYTES][..]);
        }
    }
}

/// Has each connection do what needs buffers: ask in two pieces, and get more than its socket takes.
fn trouble(streams: &[TcpStream], gifts: usize) {
    let wish = frame(0x81, gifts.to_string().as_bytes());
    let (start, end) = wish.split_at(3);
    streams.iter().for_each(|mut stream| stream.write_all(start).expect("the server reads"));
    streams.iter().for_each(|mut stream| stream.write_all(end).expect("the server reads"));
    let mut gift = vec![0; GIFT_BYTES + 4];
    for mut stream in streams {
        for _ in 0..gifts {
            stream.read_exact(&mut gift).expect("the server writes");
        }
    }
}

fn giver() -> Embedded {
    Embedded::start(2, |builder| builder.route("/", Giver).bind().expect("it starts"))
}

#[test]
fn an_idle_session_is_no_block() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const FEW: usize = 1000;
    const MORE: usize = 4000;
    /// An entry of the slab and one of the room, where both have just doubled.
    const BYTES_MAX: usize = 2 * (64 + 4);
    storm::need_descriptors(2 * (FEW + MORE));
    let server = giver();
    let connect = |connections: usize| {
        let streams = storm::open(server.address, "/", connections);
        trouble(&streams, 1);
        trouble(&streams[..100], 100);
        streams
    };
    let few = connect(FEW);
    settle(&server, FEW);
    let before = Held::now();
    let more = connect(MORE);
    settle(&server, FEW + MORE);
    // The test's own: a list of the sockets.
    let own = Held { blocks: 1, bytes: more.capacity() * size_of::<TcpStream>() };
    let held = wait_for("blocks come back", || {
        let held = Held::since(before);
        (held.blocks <= own.blocks + BLOCKS_AT_WORK).then_some(held)
    });
    let bytes = held.bytes - own.bytes;
    println!("{MORE} sessions: {} blocks, {} bytes each", held.blocks, bytes / MORE);
    assert!(bytes <= MORE * BYTES_MAX + BYTES_AT_WORK, "{bytes} bytes");
    drop((few, more));
}

/// Those that become sessions and those that do not.
#[test]
fn a_handshake_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const WAVE: usize = 1000;
    storm::need_descriptors(2 * 2 * WAVE);
    let server = giver();
    let wave = || {
        let sessions = storm::open(server.address, "/", WAVE);
        let silent: Vec<_> = (0..WAVE / 10).map(|_| Client::raw(server.address)).collect();
        for request in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HT", "nonsense\r\n\r\n"]
        {
            for _ in 0..WAVE / 10 {
                Client::raw(server.address).write(request.as_bytes());
            }
        }
        drop(silent);
        storm::reset(sessions);
        settle(&server, 0);
    };
    wave();
    let before = Held::now();
    for number in 1..=5 {
        wave();
        wait_for("what a wave of handshakes took comes back", || {
            let held = Held::since(before);
            let is_back = held.blocks <= BLOCKS_AT_WORK && held.bytes <= BYTES_AT_WORK;
            is_back.then(|| println!("wave {number}: {held:?} more than after the first"))
        });
    }
}

/// Joins the rooms of a range, and leaves them.
struct Wanderer;

impl Handler for Wanderer {
    fn open(&self, _session: &mut Context<'_>, _request: &Request) {}

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        let Message::Text(text) = message else { return };
        let (what, range) = text.split_once(' ').expect("what and where");
        let (start, end) = range.split_once("..").expect("from and to");
        let numbers = start.parse::<usize>().expect("a number")..end.parse().expect("a number");
        for number in numbers {
            let room = format!("room number {number}");
            match what {
                "join" => assert!(session.join(&room)),
                _ => session.leave(&room),
            }
        }
        session.send("done");
    }
}

/// A million of them, at the same time; fewer where nothing is optimized.
#[test]
fn rooms_that_are_gone_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const ROOMS: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    const ROOMS_PER_SESSION: usize = 10_000;
    let server = Embedded::start_with(
        |config| {
            config.server.shards = 2;
            config.limits.rooms_per_session_max = ROOMS_PER_SESSION;
            // Who waits for the others to have joined is not to be pinged.
            config.limits.heartbeat_secs = 3600;
            config.limits.heartbeat_timeout_secs = 7200;
        },
        |builder| builder.route("/", Wanderer).bind().expect("it starts"),
    );
    let mut clients: Vec<_> =
        (0..ROOMS / ROOMS_PER_SESSION).map(|_| Client::connect(server.address, "/")).collect();
    let mut each = |what: &str| {
        for (client, first) in clients.iter_mut().zip((0..).step_by(ROOMS_PER_SESSION)) {
            client.send(&format!("{what} {first}..{}", first + ROOMS_PER_SESSION));
            assert_eq!(client.next().text(), "done");
        }
    };
    // Once round, so that what is only made once is there.
    each("join");
    each("leave");
    server.wait_for_metric("uproar_memberships", |memberships| memberships == 0.0);
    let before = Held::now().bytes;
    each("join");
    server.wait_for_metric("uproar_rooms", |rooms| rooms == ROOMS as f64);
    let full = Held::now().bytes - before;
    println!("{ROOMS} rooms: {} bytes each", full / ROOMS);
    assert!(full > ROOMS * 100, "rooms do cost memory");
    each("leave");
    server.wait_for_metric("uproar_rooms", |rooms| rooms == 0.0);
    // Maps shrink at the next tick of each shard.
    wait_for("the memory comes back", || {
        let kept = Held::now().bytes.saturating_sub(before);
        (kept < ROOMS * 2).then(|| println!("{kept} bytes kept"))
    });
}
