//! What connections cost the program in resident memory, and that they give it back: idle sessions hold no buffer,
//! connections that are gone leave nothing behind, however many there were at once or have been in all.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use support::client::{Client, frame};
use support::memory::resident_bytes;
use support::server::Server;
use support::storm;

/// One test at a time: together they would hold more connections than there are descriptors.
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

/// So much a session may take, everything counted.
const IDLE_BYTES_MAX: usize = 256;

/// What waves of connections may leave behind, however large: code that had not run before, tables that are not given
/// back below a few thousand entries, and for each thread the allocator's pages that are used in part. It is some 3 MiB;
/// a single KiB kept for each connection of a wave would be 10.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// What looks like growth and is not: pages that the allocator has back or not at the moment of the look.
const NOISE_BYTES: usize = 1 << 20;

/// Waits until a server has so many sessions and no handshake is left, and says what it takes.
fn settle(server: &Server, sessions: usize) -> usize {
    server.wait_for_metric("uproar_sessions", &[], |count| count == sessions as f64);
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
    resident_bytes(server.pid())
}

#[test]
fn an_idle_session_costs_next_to_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const FEW: usize = 2_000;
    const MANY: usize = 9_500;
    storm::need_descriptors(MANY);
    for shards in ["1", "4"] {
        let server = Server::start(&["--shards", shards]);
        // What handshakes need once is not what sessions need; other tests here hold it to a bound.
        storm::reset(storm::open(server.address, "/", FEW));
        settle(&server, 0);
        let few = storm::open(server.address, "/", FEW);
        let before = settle(&server, FEW);
        let more = storm::open(server.address, "/", MANY - FEW);
        let after = settle(&server, MANY);
        let slope = after.saturating_sub(before) / (MANY - FEW);
        println!("{shards} shards: {slope} bytes for each session of {FEW} to {MANY}");
        assert!(slope <= IDLE_BYTES_MAX, "{slope} bytes for each session");
        storm::reset(few);
        storm::reset(more);
    }
}

/// 20,000 connections, half of them at a time. The first wave may leave something, the second nothing more.
#[test]
fn a_peak_gives_its_memory_back() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const WAVE: usize = 10_000;
    storm::need_descriptors(WAVE);
    let server = Server::start(&["--shards", "2"]);
    let before = settle(&server, 0);
    let mut kept = Vec::new();
    for wave in 1..=2 {
        let open = storm::open(server.address, "/", WAVE);
        let peak = settle(&server, WAVE);
        storm::reset(open);
        let after = settle(&server, 0);
        println!("wave {wave}: {before} bytes before, {peak} with {WAVE} sessions, {after} after");
        assert!(after <= before + KEPT_BYTES_MAX, "{before} bytes before and {after} after");
        kept.push(after);
    }
    assert!(kept[1] <= kept[0] + NOISE_BYTES, "{kept:?} bytes after one wave and after two");
}

/// How many connections come and go in [`cycles_leave_nothing_behind`], if `CYCLES` in the environment does not say
/// otherwise.
const CYCLES: usize = 50_000;

#[test]
fn cycles_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    const WAVES: usize = 10;
    const AT_ONCE: usize = 500;
    let cycles = std::env::var("CYCLES").map_or(CYCLES, |text| text.parse().expect("a number"));
    storm::need_descriptors(AT_ONCE);
    let server = Server::start(&["--shards", "2"]);
    let mut resident = Vec::new();
    for wave in 1..=WAVES {
        let storms = (cycles / WAVES).div_ceil(AT_ONCE);
        for _ in 0..storms {
            storm::reset(storm::open(server.address, "/", AT_ONCE));
        }
        // The number of sessions was also zero between two storms, on a page made before the last one.
        let opened = (wave * storms * AT_ONCE) as f64;
        server.wait_for_metric("uproar_sessions_opened_total", &[], |count| count == opened);
        resident.push(settle(&server, 0));
    }
    println!("{resident:?} bytes after each tenth of {cycles} connections");
    let growth = resident[WAVES - 1].saturating_sub(resident[0]);
    assert!(growth < NOISE_BYTES, "{growth} bytes more: {resident:?}");
}
