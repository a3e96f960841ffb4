//! Who does not read hurts only itself: the server's memory and the kernel's stay bounded, the others miss nothing,
//! and a peer that reads slowly is not given up.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::client::{Client, frame};
use support::memory::{peak_bytes, resident_bytes, socket_bytes};
use support::server::Server;
use support::wait_for;

/// Message `number` of a sender, of that size as a payload.
fn numbered(number: usize, bytes: usize) -> Vec<u8> {
    let mut payload = vec![b'.'; bytes];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

fn number(payload: &[u8]) -> usize {
    let number = payload.first_chunk().expect("a number");
    u64::from_be_bytes(*number) as usize
}

/// Has `sender` send so many messages to members that read them all. Never more than a few ahead of the slowest, so
/// that nobody of them is a slow reader just because there are more threads than cores.
fn send_to_readers(sender: &mut Client, readers: Vec<Client>, messages: usize, bytes: usize) {
    const AHEAD_MAX: usize = 8;
    let progress: Vec<_> = readers.iter().map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for (mut reader, progress) in readers.into_iter().zip(&progress) {
            scope.spawn(move || {
                for expected in 0..messages {
                    assert_eq!(number(&reader.next().payload), expected);
                    progress.store(expected + 1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..messages {
            wait_for("the readers follow", || {
                let slowest = progress.iter().map(|read| read.load(Ordering::Relaxed)).min();
                (number <= slowest.unwrap_or_default() + AHEAD_MAX).then_some(())
            });
            sender.write(&frame(0x82, &numbered(number, bytes)));
        }
    });
}

#[test]
fn a_crowd_that_never_reads_is_closed_and_costs_bounded_memory() {
    const SILENT: usize = 1000;
    const MESSAGES: usize = 500;
    const MESSAGE_BYTES: usize = 8 * 1024;
    let settings = [
        ("UPROAR_LIMITS__OUTBOX_BYTES_MAX", "262144"),
        // Long enough that the last of the crowd, too, finds its Close.
        ("UPROAR_LIMITS__CLOSE_TIMEOUT_SECS", "300"),
        ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "600"),
    ];
    let server = Server::start_with(&["--shards", "2"], &settings);
    let mut silent: Vec<_> =
        (0..SILENT).map(|_| Client::connect_narrow(server.address, "/")).collect();
    let fast: Vec<_> = (0..8).map(|_| Client::connect(server.address, "/")).collect();
    let mut sender = Client::connect(server.address, "/");
    let (resident, sockets) = (resident_bytes(server.pid()), socket_bytes());

    send_to_readers(&mut sender, fast, MESSAGES, MESSAGE_BYTES);
    let closed = |reason: &str, count: usize| {
        let labels = [format!("reason=\"{reason}\"")];
        let labels = labels.each_ref().map(String::as_str);
        server.wait_for_metric("uproar_sessions_closed_total", &labels, |n| n == count as f64);
    };
    closed("slow_reader", SILENT);

    let (resident, sockets) = (peak_bytes(server.pid()) - resident, socket_bytes() - sockets);
    println!("{SILENT} that never read: {resident} bytes resident, {sockets} in sockets");
    assert!(resident < 64 << 20, "{resident} bytes more than before");
    assert!(sockets < 512 << 20, "{sockets} bytes in the kernel");

    for client in silent.iter_mut().step_by(100) {
        let mut expected = 0;
        let close = loop {
            let frame = client.next();
            if frame.opcode() == 8 {
                break frame;
            }
            assert_eq!(number(&frame.payload), expected, "in order as far as it goes");
            expected += 1;
        };
        assert_eq!((close.close_code(), expected < MESSAGES), (1013, true));
        assert_eq!(client.read().expect("no reset"), None);
    }
    drop(silent);
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 1.0);
}

/// It reads, so it lives, although it says nothing, not even to a ping, for many times the heartbeat's timeout.
#[test]
fn a_peer_that_reads_slowly_gets_everything() {
    const MESSAGES: usize = 640;
    const MESSAGE_BYTES: usize = 16 * 1024;
    let settings =
        [("UPROAR_LIMITS__HEARTBEAT_SECS", "1"), ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "2")];
    let server = Server::start_with(&["--shards", "2"], &settings);
    let mut slow = Client::connect_narrow(server.address, "/");
    let fast: Vec<_> = (0..8).map(|_| Client::connect(server.address, "/")).collect();
    let mut sender = Client::connect(server.address, "/");
    let others_are_done = Arc::new(AtomicBool::new(false));
    let slow = {
        let others_are_done = Arc::clone(&others_are_done);
        thread::spawn(move || {
            let mut read_before = None;
            for expected in 0..MESSAGES {
                let frame = loop {
                    let frame = slow.next();
                    if frame.opcode() == 2 {
                        break frame;
                    }
                    assert_eq!(frame.opcode(), 9, "only messages and pings");
                };
                assert_eq!(number(&frame.payload), expected);
                // 1.6 MB/s, and a tenth of it until the others have got everything.
                let is_last = others_are_done.load(Ordering::Acquire);
                if is_last {
                    read_before.get_or_insert(expected);
                }
                thread::park_timeout(Duration::from_millis(if is_last { 10 } else { 100 }));
            }
            (slow, read_before)
        })
    };
    send_to_readers(&mut sender, fast, MESSAGES, MESSAGE_BYTES);
    // It would not answer a ping either.
    drop(sender);
    others_are_done.store(true, Ordering::Release);
    let (mut slow, read_before) = slow.join().expect("everything, in order");
    println!("the slow one had read {read_before:?} of {MESSAGES} when the others had all");
    assert!(read_before.is_some_and(|read| read < MESSAGES / 2), "nobody waits for the slow one");
    for reason in ["slow_reader", "heartbeat_timeout"] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(server.metric("uproar_sessions_closed_total", &[&label]), 0.0, "{reason}");
    }
    Client::connect(server.address, "/").send("still here?");
    while slow.next().text() != "still here?" {}
}
