//! What those who are in get: every message once and in order, whatever cipher, size and speed.

use std::io::ErrorKind;
use std::net::TcpStream;

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::chat::client_id;
use crate::support::client::{close_frame, frame};
use crate::support::tls::{Files, TlsClient};
use crate::support::wait_for;

#[test]
fn every_cipher_carries_every_message() {
    const MESSAGES: usize = 300;
    let files = Files::new();
    let server = files.start(&["--shards", "2"], &[]);
    for suite in ring::ALL_CIPHER_SUITES {
        let provider = CryptoProvider { cipher_suites: vec![*suite], ..ring::default_provider() };
        let is_new = suite.tls13().is_some();
        // The key of the test's certificate is one for elliptic curves.
        if !is_new && !format!("{suite:?}").contains("ECDSA") {
            continue;
        }
        let versions = if is_new { [&TLS13] } else { [&TLS12] };
        let trust = files.trust_with(provider, &versions);
        let mut speaker = TlsClient::connect(server.address, &trust, "/relay/suites");
        let mut hearer = TlsClient::connect(server.address, &trust, "/relay/suites");
        assert_eq!(hearer.stream.conn.negotiated_cipher_suite(), Some(*suite));
        for number in 0..MESSAGES {
            if is_new && number % 50 == 7 {
                speaker.stream.conn.refresh_traffic_keys().expect("TLS 1.3 can");
                hearer.stream.conn.refresh_traffic_keys().expect("TLS 1.3 can");
            }
            speaker.send(&format!("{number} {}", "x".repeat(number * 7)));
        }
        for number in 0..MESSAGES {
            let text = hearer.next().payload;
            assert!(text.starts_with(format!("{number} ").as_bytes()), "{suite:?}, {number}");
        }
        hearer.send("and back");
        assert_eq!(speaker.next().payload, b"and back", "its own messages are not for it");
    }
}

#[test]
fn a_message_may_lie_in_many_records_and_a_record_hold_many_messages() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let trust = files.trust();
    let mut speaker = TlsClient::connect(server.address, &trust, "/relay/pieces");
    let mut hearer = TlsClient::connect(server.address, &trust, "/relay/pieces");
    // In two fragments, and each byte of them in a record of its own.
    let first = frame(0x01, b"one message ");
    let last = frame(0x80, b"in many records");
    for byte in first.iter().chain(&last) {
        speaker.write(&[*byte]);
    }
    assert_eq!(hearer.next().payload, b"one message in many records");
    let many: Vec<u8> = (0..3000).flat_map(|n| frame(0x81, format!("{n}").as_bytes())).collect();
    speaker.write(&many);
    for number in 0..3000 {
        assert_eq!(hearer.next().payload, format!("{number}").as_bytes());
    }
}

#[test]
fn the_largest_message_passes() {
    const BYTES: usize = 16 << 20;
    let files = Files::new();
    let limit = BYTES.to_string();
    let settings = [
        ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", limit.as_str()),
        ("UPROAR_LIMITS__OUTBOX_BYTES_MAX", "67108864"),
    ];
    let server = files.start(&["--shards", "2"], &settings);
    let trust = files.trust();
    let mut speaker = TlsClient::connect(server.address, &trust, "/relay/large");
    let mut hearers: Vec<_> =
        (0..3).map(|_| TlsClient::connect(server.address, &trust, "/relay/large")).collect();
    let payload: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
    let message = frame(0x82, &payload);
    let sending = std::thread::spawn(move || {
        speaker.write(&message);
        speaker.send("behind it");
        speaker
    });
    for hearer in &mut hearers {
        assert!(hearer.next().payload == payload, "it is not the same");
        assert_eq!(hearer.next().payload, b"behind it");
    }
    drop(sending.join().expect("no panic"));
}

/// With so small a receive buffer that what is not read soon stays with the server.
fn narrow(address: std::net::SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a buffer's size can be set");
    socket.connect(&address.into()).expect("the server accepts");
    socket.into()
}

#[test]
fn a_slow_reader_gets_everything_in_order_and_holds_nobody_up() {
    const MESSAGES: usize = 400;
    const BYTES: usize = 20_000;
    let files = Files::new();
    let server = files.start(&["--shards", "1"], &[]);
    let trust = files.trust();
    let mut speaker = TlsClient::connect(server.address, &trust, "/relay/slow");
    let mut quick = TlsClient::connect(server.address, &trust, "/relay/slow");
    let slow = TlsClient::over(narrow(server.address), &trust).expect("a handshake");
    let mut slow = slow.upgrade("/relay/slow");
    let text = |number: usize| format!("{number} {}", "y".repeat(BYTES));
    for number in 0..MESSAGES {
        speaker.send(&text(number));
        assert!(quick.next().payload == text(number).as_bytes(), "{number}");
        // Control frames go between messages, with the keys of their turn.
        slow.write(&frame(0x89, format!("{number}").as_bytes()));
    }
    server.wait_for_metric("uproar_outbox_bytes", &[], |queued| queued > 1e6);
    let (mut messages, mut pongs) = (0, 0);
    while messages < MESSAGES || pongs < MESSAGES {
        let frame = slow.next();
        if frame.opcode() == 1 {
            assert!(frame.payload == text(messages).as_bytes(), "{messages}");
            messages += 1;
        } else {
            assert_eq!(frame.payload, format!("{pongs}").as_bytes());
            pongs += 1;
        }
    }
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
}

#[test]
fn a_reader_that_is_too_slow_is_told_so() {
    let files = Files::new();
    let server = files.start(&["--shards", "1"], &[("UPROAR_LIMITS__OUTBOX_BYTES_MAX", "1000000")]);
    let trust = files.trust();
    let mut speaker = TlsClient::connect(server.address, &trust, "/relay/too-slow");
    let slow = TlsClient::over(narrow(server.address), &trust).expect("a handshake");
    let mut slow = slow.upgrade("/relay/too-slow");
    let label = ["reason=\"slow_reader\""];
    wait_for("the slow one is given up", || {
        speaker.send(&"z".repeat(60_000));
        (server.metric("uproar_sessions_closed_total", &label) == 1.0).then_some(())
    });
    let last = std::iter::from_fn(|| slow.read().expect("a proper end")).last().expect("frames");
    assert_eq!((last.opcode(), &last.payload[..2]), (8, &1013_u16.to_be_bytes()[..]));
}

#[test]
fn the_end_is_announced_on_both_sides() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let trust = files.trust();
    for versions in [[&TLS12], [&TLS13]] {
        let trust = files.trust_with(ring::default_provider(), &versions);
        let mut client = TlsClient::connect(server.address, &trust, "/");
        client.write(&close_frame(1000));
        assert_eq!(client.next().opcode(), 8);
        // An end of the stream that was not announced would be an error.
        assert!(client.read().expect("an announced end").is_none());
    }
    let lost = ["reason=\"lost\""];
    assert_eq!(server.metric("uproar_sessions_closed_total", &lost), 0.0);
    // Who cuts the stream is lost, whether it says that it goes or not.
    drop(TlsClient::connect(server.address, &trust, "/").stream.sock);
    server.wait_for_metric("uproar_sessions_closed_total", &lost, |count| count == 1.0);
    let mut client = TlsClient::connect(server.address, &trust, "/");
    client.stream.conn.send_close_notify();
    client.stream.conn.complete_io(&mut client.stream.sock).expect("the server reads");
    server.wait_for_metric("uproar_sessions_closed_total", &lost, |count| count == 2.0);
    server.wait_for_metric("uproar_tls_sessions", &[], |count| count == 0.0);
}

#[test]
fn a_server_that_stops_says_so() {
    let files = Files::new();
    let mut server = files.start(&["--shards", "2"], &[]);
    let trust = files.trust();
    let mut clients: Vec<_> =
        (0..20).map(|_| TlsClient::connect(server.address, &trust, "/")).collect();
    server.signal("TERM");
    for client in &mut clients {
        let close = client.next();
        assert_eq!((close.opcode(), &close.payload[..2]), (8, &1001_u16.to_be_bytes()[..]));
        client.write(&close_frame(1001));
        match client.read() {
            Ok(end) => assert!(end.is_none()),
            Err(error) => assert_ne!(error.kind(), ErrorKind::UnexpectedEof, "{error}"),
        }
    }
    drop(clients);
    assert!(server.wait().success());
}

fn heard(client: &mut TlsClient, kind: &str) -> Value {
    loop {
        let message: Value = serde_json::from_slice(&client.next().payload).expect("JSON");
        assert_ne!(message["type"], "error", "{message}");
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn the_chat_keeps_its_promises() {
    const MESSAGES: usize = 100;
    let files = Files::new();
    let server = files.start(&["--shards", "2"], &[]);
    let trust = files.trust();
    let mut people: Vec<_> =
        (0..4).map(|_| TlsClient::connect(server.address, &trust, "/chat")).collect();
    for client in &mut people {
        client.send(&json!({"type": "hello", "guest": null}).to_string());
        heard(client, "welcome");
        client.send(&json!({"type": "join", "room": "hall"}).to_string());
        heard(client, "joined");
    }
    for number in 0..MESSAGES {
        let message =
            json!({"type": "send", "room": "hall", "client_id": client_id(), "body": number});
        people[number % 4].send(&message.to_string());
    }
    let mut orders = Vec::new();
    for client in &mut people {
        let order: Vec<_> = (0..MESSAGES)
            .map(|_| {
                let message = heard(client, "message");
                (message["seq"].as_u64().expect("a position"), message["body"].clone())
            })
            .collect();
        assert!(order.windows(2).all(|pair| pair[0].0 < pair[1].0), "{order:?}");
        orders.push(order);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "everybody hears the same");
}
