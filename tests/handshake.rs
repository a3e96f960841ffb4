//! The opening handshake against the real binary: that its settings reach the door, that what is behind the request
//! reaches the session, and that places are given back.
//!
//! The long tables of what is refused are beside the code that refuses.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use support::client::{Client, close_frame, frame, request};
use support::server::Server;
use support::{PATIENCE, wait_for};

const REFUSED: &str = "uproar_connections_refused_total";

fn connect(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(bytes.as_bytes()).expect("the server takes bytes");
    stream
}

/// All that the server answers, up to the end of the connection, which must not be a reset.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a proper end");
    answer
}

/// Requires that a request is refused with that status and counted by that reason.
#[track_caller]
fn check_refused(server: &Server, request: &str, status: u16, reason: &str) {
    let label = format!("reason=\"{reason}\"");
    let before = server.metric(REFUSED, &[&label]);
    let answer = rest(connect(server.address, request));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    assert_eq!(server.metric(REFUSED, &[&label]), before + 1.0, "{request:?}");
}

/// The request with one of its lines replaced.
fn altered(line: &str, by: &str) -> String {
    let request = request("/");
    assert!(request.contains(line), "{line}");
    request.replace(line, by)
}

#[test]
fn a_session_opens_and_what_is_wrong_is_refused_and_counted() {
    let server = Server::start(&[]);
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nHost: localhost";
    let mut stream = connect(server.address, &altered("Host: localhost", offer));
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    stream.write_all(&close_frame(1000)).expect("the server takes bytes");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a proper end");
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    assert!(!answer.contains("sec-websocket-extensions"), "none is served: {answer}");

    let plain =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    check_refused(&server, "nonsense\r\n\r\n", 400, "bad_request");
    check_refused(&server, &altered("dGhl", "short"), 400, "bad_request");
    check_refused(&server, &altered("Host: localhost", "Host: rebound.example"), 403, "host");
    let foreign = "Origin: https://evil.example\r\nHost: localhost";
    check_refused(&server, &altered("Host: localhost", foreign), 403, "origin");
    check_refused(&server, &request("/nowhere"), 404, "not_found");
    check_refused(&server, &request("/echo"), 404, "not_found");
    check_refused(&server, &altered("GET", "PUT"), 405, "method_not_allowed");
    check_refused(&server, &plain("/relay/a", "Content-Length: 9\r\n"), 413, "too_large");
    check_refused(&server, &altered("Version: 13", "Version: 12"), 426, "version");
    check_refused(&server, &plain("/relay/a", ""), 426, "upgrade_required");
    let long = format!("X: {}\r\n", "x".repeat(17_000));
    check_refused(&server, &plain("/", &long), 431, "header_too_large");
    server.wait_for_metric("uproar_sessions_opened_total", &[], |opened| opened == 1.0);
}

#[test]
fn the_tutorials_pages_are_let_in() {
    let server = Server::start(&[]);
    for origin in ["null", "http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173"] {
        let origin = format!("Origin: {origin}\r\nHost: localhost");
        let mut stream = connect(server.address, &altered("Host: localhost", &origin));
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 101", "{origin}");
    }
}

#[test]
fn a_public_server_asks_no_origin() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
    command.args(["--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0"]);
    command.env("UPROAR_AUTH__OPEN_TO_NETWORK", "true");
    let server = Server::spawn(command);
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let public = "Origin: https://chat.example\r\nHost: chat.example";
    let mut stream = connect(address, &altered("Host: localhost", public));
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
}

#[test]
fn frames_behind_the_request_are_served_in_order() {
    let server = Server::start(&["--echo"]);
    for messages in [1, 10, 5_000] {
        let contents: Vec<_> = (0..messages).map(|number| format!("message {number}")).collect();
        let mut bytes = request("/echo").into_bytes();
        bytes.extend(contents.iter().flat_map(|content| frame(0x81, content.as_bytes())));
        bytes.extend(close_frame(1000));
        // What is left over when the request is read may end anywhere, in the middle of a frame for one.
        let mut client = Client::raw(server.address);
        client.write(&bytes);
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        let mut frames = client.rest();
        assert_eq!(frames.pop().expect("a close").close_code(), 1000);
        assert!(frames.iter().map(|frame| frame.text()).eq(contents.iter()), "{messages}");
    }
    let hello = frame(0x81, b"hello");
    for cut in 0..hello.len() {
        let mut client = Client::raw(server.address);
        client.write(&[request("/echo").as_bytes(), &hello[..cut]].concat());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        client.write(&hello[cut..]);
        assert_eq!(client.next().text(), "hello", "cut at {cut}");
    }
}

#[test]
fn the_limits_are_those_of_the_configuration() {
    let server = Server::start_with(
        &[],
        &[
            ("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1"),
            ("UPROAR_LIMITS__HEADER_BYTES_MAX", "8192"),
            ("UPROAR_LIMITS__HEADERS_MAX", "16"),
        ],
    );
    assert_eq!(rest(connect(server.address, "")), "", "nothing was asked");
    server.wait_for_metric(REFUSED, &["reason=\"silent\""], |refused| refused == 1.0);
    check_refused(&server, "GET / HTTP/1.1\r\nHost: loc", 408, "timeout");
    for (more, is_refused) in [("X: a\r\n".repeat(11), false), ("X: a\r\n".repeat(12), true)] {
        let request = altered("Host: localhost\r\n", &format!("Host: localhost\r\n{more}"));
        if is_refused {
            check_refused(&server, &request, 431, "header_too_large");
        } else {
            let mut client = Client::raw(server.address);
            client.write(request.as_bytes());
            assert!(client.read_head().starts_with("HTTP/1.1 101 "), "16 headers are taken");
        }
    }
    let long = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(8_200));
    check_refused(&server, &altered("Host: localhost\r\n", &long), 431, "header_too_large");
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
}

#[test]
fn a_full_server_says_so_until_somebody_leaves() {
    let server = Server::start_with(&[], &[("UPROAR_LIMITS__CONNECTIONS_MAX", "2")]);
    let mut first = Client::connect(server.address, "/");
    let second = Client::connect(server.address, "/");
    for _ in 0..2 {
        check_refused(&server, &request("/"), 503, "connections_max");
    }
    first.write(&close_frame(1000));
    first.rest();
    drop(first);
    drop(second);
    let mut open = || {
        let mut client = Client::raw(server.address);
        client.write(request("/").as_bytes());
        client.read_head().starts_with("HTTP/1.1 101 ").then_some(client)
    };
    let _third = wait_for("the first place to be free", &mut open);
    let _fourth = wait_for("the second place to be free", &mut open);
    check_refused(&server, &request("/"), 503, "connections_max");
}

#[test]
fn those_who_only_hold_a_place_at_the_door_do_not_keep_others_out() {
    let settings = [
        ("UPROAR_LIMITS__PENDING_HANDSHAKES_MAX", "4"),
        ("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1"),
    ];
    let server = Server::start_with(&["--shards", "1"], &settings);
    // The silent make room; those who have begun to speak keep their places until their time is over.
    let silent: Vec<_> = (0..20).map(|_| connect(server.address, "")).collect();
    let slow: Vec<_> = (0..8).map(|_| connect(server.address, "GET /")).collect();
    let mut client = Client::connect(server.address, "/");
    client.write(&close_frame(1000));
    assert_eq!(client.next().close_code(), 1000);
    for stream in silent {
        assert_eq!(rest(stream), "");
    }
    for stream in slow {
        assert!(rest(stream).starts_with("HTTP/1.1 408 "));
    }
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
    let refused = |reason: &str| server.metric(REFUSED, &[&format!("reason=\"{reason}\"")]);
    assert!(refused("evicted") > 0.0);
    assert_eq!(refused("evicted") + refused("silent"), 20.0);
    assert_eq!(refused("timeout"), 8.0);
}
