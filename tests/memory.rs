//! What connections and rooms cost in memory, and that they give it back: idle sessions hold no buffer, rooms and
//! connections that are gone leave nothing behind.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(unsafe_code, reason = "a global allocator that counts has to be one")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use uproar::{Context, Handler, Message, Request};

use support::client::{Client, frame};
use support::embedded::Embedded;
use support::memory::resident_bytes;
use support::server::Server;
use support::wait_for;

/// Counts what this process holds, servers within it included.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; `pointer` came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// One test at a time: what this process holds is counted for all of them together.
#[allow(clippy::disallowed_types, reason = "tests may wait for one another")]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

const PAYLOAD: [u8; 2000] = [b'.'; 2000];

/// Connects so many clients that all have done what needs a buffer: sent a message in two pieces, been sent messages,
/// been pinged for an answer.
fn connect_busy(server: &Server, connections: usize, room: &str) -> Vec<Client> {
    let message = frame(0x82, &PAYLOAD);
    let (start, end) = message.split_at(1000);
    let mut clients: Vec<_> = (0..connections)
        .map(|_| Client::connect(server.address, &format!("/relay/{room}")))
        .collect();
    let messages_before = server.metric("uproar_messages_total", &[]);
    clients.iter_mut().for_each(|client| client.write(start));
    for chunk in clients.chunks_mut(100) {
        for client in chunk {
            client.write(end);
            client.write(&frame(0x89, b"there?"));
            while client.next().payload != b"there?" {}
        }
    }
    let messages = messages_before + connections as f64;
    server.wait_for_metric("uproar_messages_total", &[], |count| count == messages);
    clients
}

/// Reads what is there of messages, so that no queue is left.
fn drain(server: &Server, clients: &mut [Client]) {
    for client in clients {
        client.write(&frame(0x89, b"last"));
        while client.next().payload != b"last" {}
    }
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
}

#[test]
fn an_idle_session_holds_no_buffer() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const FEW: usize = 500;
    const MORE: usize = 2000;
    const ROOM_MEMBERS: usize = 50;
    let server = Server::start(&["--shards", "2"]);
    let connect = |connections: usize| {
        let rooms = connections / ROOM_MEMBERS;
        let clients: Vec<_> = (0..rooms)
            .flat_map(|room| {
                let mut clients =
                    connect_busy(&server, ROOM_MEMBERS, &format!("{connections}-{room}"));
                drain(&server, &mut clients);
                clients
            })
            .collect();
        (clients, resident_bytes(server.pid()))
    };
    let (_few, before) = connect(FEW);
    let (_more, after) = connect(MORE);
    let slope = after.saturating_sub(before) / MORE;
    println!("{slope} bytes for each idle connection");
    // A buffer of any kind would be more: a message alone is 2,000 bytes.
    assert!(slope < 1024, "{slope} bytes for each idle connection");
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const CONNECTIONS: usize = 500;
    let server = Server::start(&["--shards", "2"]);
    let cycle = || {
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| Client::connect(server.address, "/")).collect();
        drop(clients);
        server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
    };
    (0..4).for_each(|_| cycle());
    let before = resident_bytes(server.pid());
    (0..8).for_each(|_| cycle());
    let growth = resident_bytes(server.pid()).saturating_sub(before);
    println!("{growth} bytes more after {} connections", 8 * CONNECTIONS);
    assert!(growth < 1 << 20, "{growth} bytes more after {} connections", 8 * CONNECTIONS);
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
    let before = LIVE.load(Ordering::Relaxed);
    each("join");
    server.wait_for_metric("uproar_rooms", |rooms| rooms == ROOMS as f64);
    let full = LIVE.load(Ordering::Relaxed) - before;
    println!("{ROOMS} rooms: {} bytes each", full / ROOMS);
    assert!(full > ROOMS * 100, "rooms do cost memory");
    each("leave");
    server.wait_for_metric("uproar_rooms", |rooms| rooms == 0.0);
    // Maps shrink at the next tick of each shard.
    wait_for("the memory comes back", || {
        let kept = LIVE.load(Ordering::Relaxed).saturating_sub(before);
        (kept < ROOMS * 2).then(|| println!("{kept} bytes kept"))
    });
}
