//! Who breaks TLS once inside is told so and gone; nobody else notices.

use std::io::{ErrorKind, Read, Write};

use crate::support::client::frame;
use crate::support::server::Server;
use crate::support::tls::{Files, TlsClient};

/// Sends `bytes` past the records of a session; what the client hears of it.
fn break_in(files: &Files, server: &Server, bytes: &[u8]) -> String {
    let mut client = TlsClient::connect(server.address, &files.trust(), "/relay/broken");
    client.stream.sock.write_all(bytes).expect("the server reads");
    let said = loop {
        match client.read() {
            Ok(Some(_)) => {}
            Ok(None) => break "end".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    // Behind the alert comes a proper end, no reset.
    let mut rest = Vec::new();
    let end = client.stream.sock.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::Interrupted));
    said
}

#[test]
fn garbage_ends_its_session_alone() {
    let files = Files::new();
    let server = files.start(&["--shards", "1"], &[]);
    let mut neighbour = TlsClient::connect(server.address, &files.trust(), "/relay/broken");
    let forged = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
    let long = [&[23, 3, 3, 0x60, 0][..], &[7; 100]].concat();
    let short = [23, 3, 3, 0, 3, 1, 2, 3];
    let cases: [(&[u8], &str); 5] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "DecodeError"),
        (&forged, "BadRecordMac"),
        (&long, "RecordOverflow"),
        (&short, "BadRecordMac"),
        // A change of ciphers in the middle of nowhere.
        (&[20, 3, 3, 0, 1, 1], "UnexpectedMessage"),
    ];
    for (count, (bytes, alert)) in (1..).zip(cases) {
        let said = break_in(&files, &server, bytes);
        assert!(said.contains(alert), "{alert}: {said}");
        let label = ["reason=\"tls\""];
        server.wait_for_metric("uproar_sessions_closed_total", &label, |n| n == f64::from(count));
        neighbour.write(&frame(0x89, b"all well?"));
        assert_eq!(neighbour.next().payload, b"all well?");
    }
    server.wait_for_metric("uproar_tls_sessions", &[], |count| count == 1.0);
}

#[test]
fn a_record_that_does_not_end_has_a_deadline() {
    let files = Files::new();
    let server = files.start(&[], &[("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", "1")]);
    let mut client = TlsClient::connect(server.address, &files.trust(), "/");
    client.stream.sock.write_all(&[23, 3, 3, 1, 0, 9, 9, 9]).expect("the server reads");
    let close = client.next();
    assert_eq!((close.opcode(), &close.payload[..2]), (8, &1008_u16.to_be_bytes()[..]));
}

#[test]
fn keys_are_not_changed_for_ever() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let mut client = TlsClient::connect(server.address, &files.trust(), "/");
    // As many as one likes with something between them.
    for _ in 0..100 {
        client.stream.conn.refresh_traffic_keys().expect("TLS 1.3 can");
        client.write(&frame(0x89, b"here"));
        assert_eq!(client.next().payload, b"here");
    }
    for _ in 0..100 {
        client.stream.conn.refresh_traffic_keys().expect("TLS 1.3 can");
    }
    // The server may have ended the session before it has read all of them.
    let _ = client.stream.flush();
    server.wait_for_metric("uproar_sessions_closed_total", &["reason=\"tls\""], |n| n == 1.0);
}
