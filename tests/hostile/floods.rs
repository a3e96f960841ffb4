//! More of something than anybody needs: fragments, empty messages, pings, pongs, and senders that never read.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::arena::{Arena, closed};
use crate::support::PATIENCE;
use crate::support::chat::ChatClient;
use crate::support::client::{Client, close_frame, frame};
use crate::support::server::Server;

const MIB: usize = 1 << 20;

/// Who never reads is held up before this much of what it sends was taken, the kernel's buffers at both ends included.
const TAKEN_BYTES_MAX: usize = 48 * MIB;

/// Sends the same until the server closes; at most for a long while.
fn send_until_closed(client: &mut Client, bytes: &[u8]) {
    let begin = Instant::now();
    while client.stream.write_all(bytes).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "it is never closed");
    }
}

/// Connects on `path`, sends the same without ever reading, and requires that it is held up. Gives the connection, still
/// open.
fn send_until_held_up(mut client: Client, bytes: &[u8]) -> Client {
    let wait = Duration::from_secs(1);
    client.stream.set_write_timeout(Some(wait)).expect("a timeout can be set");
    let mut taken = 0;
    loop {
        match client.stream.write(bytes) {
            Ok(length) => taken += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return client,
            Err(error) => panic!("closed after {taken} bytes: {error}"),
        }
        assert!(taken < TAKEN_BYTES_MAX, "{taken} bytes were taken of one that never reads");
    }
}

/// Has all of them do that at once.
fn all_held_up(clients: Vec<Client>, bytes: &[u8]) -> Vec<Client> {
    std::thread::scope(|scope| {
        let attack = |client| scope.spawn(move || send_until_held_up(client, bytes));
        let attacks: Vec<_> = clients.into_iter().map(attack).collect();
        attacks.into_iter().map(|attack| attack.join().expect("it is held up")).collect()
    })
}

/// The session lives: a ping is answered. What comes before the answer is of no matter.
fn is_alive(client: &mut Client) {
    client.write(&frame(0x89, b"alive?"));
    while client.next().payload != b"alive?" {}
}

fn narrow(server: &Server, path: &str, peers: usize) -> Vec<Client> {
    (0..peers).map(|_| Client::connect_narrow(server.address, path)).collect()
}

#[test]
fn fragments_without_end() {
    let mut arena = Arena::new(&[("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", "2")]);
    arena.case("of one byte each", &[closed("too_big", 4)], |server| {
        for _ in 0..4 {
            let mut client = Client::connect(server.address, "/echo");
            client.write(&frame(0x02, b""));
            let fragments = frame(0x00, b"x").repeat(70_000);
            let _ = client.stream.write_all(&fragments);
            assert_eq!(client.next().close_code(), 1009);
        }
    });
    arena.case("of nothing", &[closed("message_timeout", 2)], |server| {
        let attack = |_| {
            let mut client = Client::connect(server.address, "/echo");
            std::thread::spawn(move || {
                client.write(&frame(0x01, b""));
                send_until_closed(&mut client, &frame(0x00, b"").repeat(1000));
            })
        };
        let threads: Vec<_> = (0..2).map(attack).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    arena.case("with pings between them", &[closed("message_timeout", 2)], |server| {
        let attack = |_| {
            let mut client = Client::connect(server.address, "/echo");
            let mut reader = Client::of(client.stream.try_clone().expect("a second handle"));
            let reading = std::thread::spawn(move || {
                // Up to the end, however that comes.
                while let Ok(Some(_)) = reader.read() {}
            });
            std::thread::spawn(move || {
                client.write(&frame(0x01, b""));
                let pair = [frame(0x00, b""), frame(0x89, b"?")].concat();
                send_until_closed(&mut client, &pair.repeat(100));
                reading.join().expect("no panic");
            })
        };
        let threads: Vec<_> = (0..2).map(attack).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
}

#[test]
fn messages_of_nothing() {
    const MESSAGES: usize = 100_000;
    let mut arena = Arena::new(&[]);
    for (what, path, bytes) in [
        ("to an empty room", "/relay/empty", frame(0x81, b"")),
        ("binary, to an empty room", "/relay/empty", frame(0x82, b"")),
        ("pongs", "/echo", frame(0x8a, b"")),
        ("long pongs", "/echo", frame(0x8a, &[0; 125])),
    ] {
        arena.case(what, &[closed("peer", 2)], |server| {
            let flood = bytes.repeat(MESSAGES);
            for _ in 0..2 {
                let mut client = Client::connect(server.address, path);
                client.write(&flood);
                is_alive(&mut client);
                client.write(&close_frame(1000));
                assert_eq!(client.next().close_code(), 1000);
            }
        });
    }
}

#[test]
fn senders_that_never_read() {
    const PEERS: usize = 2;
    let mut arena = Arena::new(&[]);
    for (what, path, bytes) in [
        ("pings", "/echo", frame(0x89, &[b'?'; 125]).repeat(100)),
        ("pings without a payload", "/echo", frame(0x89, b"").repeat(2000)),
        ("messages to the echo", "/echo", frame(0x82, &[b'.'; 60_000])),
        ("empty messages to the echo", "/echo", frame(0x81, b"").repeat(2000)),
    ] {
        arena.case(what, &[closed("lost", PEERS)], |server| {
            all_held_up(narrow(server, path, PEERS), &bytes)
        });
    }
    arena.case("pings of the chat", &[closed("lost", PEERS)], |server| {
        let hello = serde_json::json!({"type": "hello"});
        let ping = format!(r#"{{"type":"ping","ref":"{}"}}"#, "r".repeat(60));
        let pings = frame(0x81, ping.as_bytes()).repeat(100);
        let clients = narrow(server, "/chat", PEERS).into_iter();
        all_held_up(
            clients.map(|client| ChatClient::hello(client, &hello).client).collect(),
            &pings,
        )
    });
    arena.case("errors of the chat", &[closed("handler", PEERS)], |server| {
        for mut client in narrow(server, "/chat", PEERS) {
            send_until_closed(&mut client, &frame(0x81, b"{").repeat(100));
        }
    });
}
