//! What time does to a session: pings, peers that do not answer, messages that never end, and who may take long.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use support::client::{Client, Frame, close_frame, frame};
use support::server::Server;
use support::{PATIENCE, pause, wait_for};

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A server that pings after a second and gives up after three.
fn server(outbox_bytes_max: &str) -> Server {
    let settings = [
        ("UPROAR_LIMITS__HEARTBEAT_SECS", "1"),
        ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "3"),
        ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "1048576"),
        ("UPROAR_LIMITS__OUTBOX_BYTES_MAX", outbox_bytes_max),
    ];
    Server::start_with(&["--echo"], &settings)
}

/// A server that pings nobody within a test.
fn calm_server(message_timeout_secs: &str) -> Server {
    let settings = [
        ("UPROAR_LIMITS__HEARTBEAT_SECS", "3000"),
        ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "6000"),
        ("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", message_timeout_secs),
    ];
    Server::start_with(&["--echo", "--shards", "1"], &settings)
}

fn closed(reason: &str) -> String {
    format!("reason=\"{reason}\"")
}

#[test]
fn a_quiet_peer_that_answers_its_pings_lives() {
    let server = server("4194304");
    let mut client = Client::connect(server.address, "/echo");
    // A second apart, so that many take longer than the timeout.
    for _ in 0..5 {
        assert_eq!(client.next(), Frame { head: PING, payload: Vec::new() });
        client.write(&frame(PONG, b""));
    }
    client.send("still here");
    assert_eq!(client.next().text(), "still here");
}

#[test]
fn a_peer_that_answers_nothing_is_given_up() {
    let server = server("4194304");
    let mut client = Client::connect(server.address, "/echo");
    assert_eq!(client.next(), Frame { head: PING, payload: Vec::new() });
    assert_eq!(client.next().close_code(), 4408);
    assert_eq!(client.read().expect("no reset"), None);
    let reason = closed("heartbeat_timeout");
    server.wait_for_metric("uproar_sessions_closed_total", &[&reason], |ends| ends == 1.0);
}

/// It sends nothing at all, not even a pong, but what it is sent gets through.
#[test]
fn a_silent_peer_that_reads_slowly_lives() {
    const MESSAGES: usize = 6;
    const BYTES: usize = 1 << 20;
    let server = server("16777216");
    let mut reader = Client::connect_narrow(server.address, "/");
    let mut sender = Client::connect(server.address, "/");
    for number in 0..MESSAGES {
        sender.write(&frame(0x82, &vec![number as u8; BYTES]));
    }
    sender.write(&close_frame(1000));
    sender.rest();
    // At most 640 KiB a second, so that it takes thrice the timeout.
    let began = Instant::now();
    let mut stream = Vec::new();
    while count(&stream, 0x82) < MESSAGES {
        let mut piece = [0; 32 * 1024];
        let bytes = reader.stream.read(&mut piece).expect("no reset");
        assert!(bytes > 0, "given up after {} bytes", stream.len());
        stream.extend_from_slice(&piece[..bytes]);
        pause(Duration::from_millis(50));
    }
    assert!(began.elapsed() > Duration::from_secs(6), "it was slow");
    assert!(count(&stream, PING) > 0, "it was asked meanwhile");
    let mut other = Client::connect(server.address, "/");
    reader.send("still here");
    assert_eq!(other.next().text(), "still here");
}

/// How many whole frames with that first byte a stream holds.
fn count(stream: &[u8], head: u8) -> usize {
    let (mut rest, mut frames) = (stream, 0);
    while let &[first, length, ..] = rest {
        let (start, length) = match length {
            127 => (
                10,
                rest.get(2..10).map(|length| u64::from_be_bytes(length.try_into().expect("8"))),
            ),
            short => (2, Some(u64::from(short))),
        };
        let Some(next) = length.and_then(|length| rest.get(start + length as usize..)) else {
            break;
        };
        frames += usize::from(first == head);
        rest = next;
    }
    frames
}

/// Writes one piece every 50 ms until the server closes; gives the frames that came.
fn drip(client: &mut Client, mut pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Frame> {
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
    let (mut frames, began) = (Vec::new(), Instant::now());
    loop {
        assert!(began.elapsed() < PATIENCE, "never closed: {frames:?}");
        match client.read() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return frames,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                client.write(&pieces.next().expect("no end of pieces"));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_message_that_never_ends_is_not_waited_for() {
    let server = calm_server("1");
    let close = |frames: Vec<Frame>| {
        let (close, others) = frames.split_last().expect("a close");
        assert_eq!(close.close_code(), 1008);
        others.to_vec()
    };

    let long = frame(0x81, &[b'a'; 60_000]);
    let mut client = Client::connect(server.address, "/echo");
    let others = close(drip(&mut client, long.chunks(1).map(<[u8]>::to_vec)));
    assert_eq!(others, [], "a byte at a time");

    let pieces = std::iter::once(frame(0x01, b"a")).chain(std::iter::repeat_with(|| {
        [frame(0x00, b"a"), frame(PING, b"and meanwhile")].concat()
    }));
    let mut client = Client::connect(server.address, "/echo");
    let others = close(drip(&mut client, pieces));
    assert!(others.len() > 1, "pings were answered");
    assert!(others.iter().all(|frame| frame.head == PONG && frame.payload == b"and meanwhile"));

    let head = [0x82];
    let pieces = std::iter::once(head.to_vec()).chain(std::iter::repeat(Vec::new()));
    let mut client = Client::connect(server.address, "/echo");
    let others = close(drip(&mut client, pieces));
    assert_eq!(others, [], "a first byte and nothing more");

    let reason = closed("message_timeout");
    server.wait_for_metric("uproar_sessions_closed_total", &[&reason], |ends| ends == 3.0);
}

#[test]
fn each_message_has_its_own_time() {
    let server = calm_server("3");
    let mut client = Client::connect(server.address, "/echo");
    let began = Instant::now();
    let mut messages = 0;
    while began.elapsed() < Duration::from_secs(6) {
        client.write(&frame(0x01, b"to"));
        pause(Duration::from_millis(100));
        // The next one begins in the same bytes in which this one ends.
        client.write(&[frame(0x00, b"get"), frame(0x80, b"her"), frame(0x01, b"ne")].concat());
        assert_eq!(client.next().text(), "together");
        pause(Duration::from_millis(100));
        client.write(&frame(0x80, b"xt"));
        assert_eq!(client.next().text(), "next");
        messages += 2;
    }
    client.write(&close_frame(1000));
    assert_eq!(client.next().close_code(), 1000, "after {messages} messages");
}

/// The memory of a process that is not swapped out, in bytes.
fn resident_bytes(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// A peer that pings as fast as it can and never reads.
struct Flooder {
    client: Client,
    pings: Vec<u8>,
    sent: usize,
}

impl Flooder {
    fn new(server: &Server) -> Self {
        let client = Client::connect_narrow(server.address, "/echo");
        client.stream.set_nonblocking(true).expect("an option can be set");
        Self { client, pings: frame(PING, &[b'!'; 125]).repeat(100), sent: 0 }
    }

    /// Writes what the kernel takes, going on within the frame where it stopped; how much that was.
    fn flood(&mut self) -> usize {
        let rest = &self.pings[self.sent % self.pings.len()..];
        // Nothing is taken when the buffer is full, or once the server has closed.
        let written = self.client.stream.write(rest).unwrap_or(0);
        self.sent += written;
        written
    }
}

#[test]
fn a_flood_of_pings_by_peers_that_never_read_costs_little() {
    const FLOODERS: usize = 20;
    // Per flooder: what is queued before it is not read any more, what one read can add, what was read and waits.
    const BYTES_MAX: usize = 256 * 1024;
    let server = calm_server("30");
    let mut bystander = Client::connect(server.address, "/echo");
    bystander.send("before");
    assert_eq!(bystander.next().text(), "before");
    let before = resident_bytes(server.pid());

    let mut flooders: Vec<_> = (0..FLOODERS).map(|_| Flooder::new(&server)).collect();
    let paused = || server.metric("uproar_sessions_paused", &[]) == FLOODERS as f64;
    wait_for("the flood to be stopped", || {
        let written: usize = flooders.iter_mut().map(Flooder::flood).sum();
        (written == 0 && paused()).then_some(())
    });
    let sent: usize = flooders.iter().map(|flooder| flooder.sent).sum();
    assert!(sent > FLOODERS * BYTES_MAX, "{sent} bytes are no flood");

    let queued = server.metric("uproar_outbox_bytes", &[]);
    assert!(queued < (FLOODERS * BYTES_MAX) as f64, "{queued} bytes queued");
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < FLOODERS * BYTES_MAX, "{grown} bytes more");
    bystander.send("after");
    assert_eq!(bystander.next().text(), "after");
}

#[test]
fn a_flooder_that_never_reads_is_given_up_at_last() {
    let server = server("4194304");
    let mut flooder = Flooder::new(&server);
    let reason = closed("heartbeat_timeout");
    wait_for("it to be given up", || {
        flooder.flood();
        let ends = server.metric("uproar_sessions_closed_total", &[&reason]);
        (ends == 1.0).then_some(())
    });
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
}
