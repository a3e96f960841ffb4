//! Who the client is: whom a configured proxy names counts as the client, and nobody else can name anybody.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod support;

use std::io::Write;
use std::net::TcpStream;

use support::door::{ask, connect_from, handshake, refused, source, status};
use support::server::Server;

/// The proxy of these tests, and somebody who only says so.
const PROXY: u8 = 9;
const STRANGER: u8 = 8;

/// A server with room for one session of each address, and these settings.
fn server(settings: &[(&str, &str)]) -> Server {
    let strict = [
        ("UPROAR_LIMITS__LOOPBACK_EXEMPT", "false"),
        ("UPROAR_LIMITS__CONNECTIONS_PER_ADDRESS_MAX", "1"),
        ("UPROAR_TELEMETRY__LOG_LEVEL", "debug"),
    ];
    Server::start_with(&[], &[&strict[..], settings].concat())
}

/// The peer that the log names for the next session.
fn peer(server: &Server) -> String {
    let line = server.log_line(|line| line["message"] == "session opened");
    line["peer"].as_str().expect("a peer").to_owned()
}

/// Opens a session over `stream`, behind whatever was written to it, and keeps it.
#[track_caller]
fn enters(server: &Server, stream: TcpStream, lines: &[&str], client: &str) -> TcpStream {
    let head = ask(&stream, handshake("/relay/a", lines));
    assert_eq!(status(&head), 101, "{lines:?}: {head}");
    assert_eq!(peer(server), client, "{lines:?}");
    stream
}

#[track_caller]
fn is_refused(
    server: &Server,
    connect: impl FnOnce() -> TcpStream,
    lines: &[&str],
    expected: u16,
    reason: &str,
) {
    let before = refused(server, reason);
    let head = ask(&connect(), handshake("/relay/a", lines));
    assert_eq!(status(&head), expected, "{lines:?}: {head}");
    assert_eq!(refused(server, reason), before + 1.0);
}

#[test]
fn x_forwarded_for_is_believed_of_proxies_alone() {
    let server = server(&[("UPROAR_SERVER__PROXIES", r#"["127.0.0.9", "10.0.0.0/8"]"#)]);
    let connect = |last| connect_from(source(last), server.address);
    let of = |client: &str| format!("X-Forwarded-For: {client}");
    let enter = |client: &str, found: &str| enters(&server, connect(PROXY), &[&of(client)], found);
    let _first = enter("198.51.100.7", "198.51.100.7:0");
    let _second = enter("198.51.100.8, 10.1.2.3", "198.51.100.8:0");
    let _third = enter("198.51.100.7, 198.51.100.9", "198.51.100.9:0");
    let _six = enter("2001:db8::1", "[2001:db8::1]:0");
    // One session for each address, and for each /64.
    for taken in ["198.51.100.7", "1.1.1.1, 198.51.100.7", "2001:db8::ffff"] {
        is_refused(&server, || connect(PROXY), &[&of(taken)], 429, "address_connections");
    }
    // Who is no proxy is whoever it is.
    let stranger = connect(STRANGER);
    let own = stranger.local_addr().expect("an address").to_string();
    let _stranger = enters(&server, stranger, &[&of("198.51.100.7")], &own);
    is_refused(&server, || connect(STRANGER), &[&of("1.2.3.4")], 429, "address_connections");
    // The other header is not looked at.
    let lines = [&*of("198.51.100.10"), "Forwarded: for=1.2.3.4"];
    let _tenth = enters(&server, connect(PROXY), &lines, "198.51.100.10:0");
}

#[test]
fn forwarded_is_believed_where_it_is_meant() {
    let server = server(&[
        ("UPROAR_SERVER__PROXIES", r#"["127.0.0.9"]"#),
        ("UPROAR_SERVER__PROXY_HEADER", "forwarded"),
    ]);
    let connect = |last| connect_from(source(last), server.address);
    let lines =
        ["X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.1.1.1, for=\"198.51.100.7:80\";proto=https"];
    let _first = enters(&server, connect(PROXY), &lines, "198.51.100.7:80");
    let silent = connect(PROXY);
    let own = silent.local_addr().expect("an address").to_string();
    let _silent = enters(&server, silent, &["Forwarded: for=unknown"], &own);
}

/// A header of version 2 for a connection over TCP and IPv4.
fn version_2(client: [u8; 4], port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client);
    header.extend([10, 0, 0, 1]);
    header.extend(port.to_be_bytes());
    header.extend(443_u16.to_be_bytes());
    header
}

#[test]
fn the_proxy_protocol_is_spoken_with_proxies_alone() {
    let server = server(&[
        ("UPROAR_SERVER__PROXIES", r#"["127.0.0.9"]"#),
        ("UPROAR_SERVER__PROXY_PROTOCOL", "true"),
    ]);
    let connect = |last, header: &[u8]| {
        let mut stream = connect_from(source(last), server.address);
        stream.write_all(header).expect("the server takes bytes");
        stream
    };
    let text = b"PROXY TCP4 198.51.100.7 10.0.0.1 1234 443\r\n";
    let _first = enters(&server, connect(PROXY, text), &[], "198.51.100.7:1234");
    let six = b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n";
    let _six = enters(&server, connect(PROXY, six), &[], "[2001:db8::1]:1234");
    let binary = version_2([198, 51, 100, 8], 77);
    let _second = enters(&server, connect(PROXY, &binary), &[], "198.51.100.8:77");
    is_refused(&server, || connect(PROXY, text), &[], 429, "address_connections");
    is_refused(&server, || connect(PROXY, &binary), &[], 429, "address_connections");
    // It speaks for itself.
    for own in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let stream = connect(PROXY, own);
        let address = stream.local_addr().expect("an address").to_string();
        drop(enters(&server, stream, &[], &address));
        server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 3.0);
    }
    // What is none is refused, and so is one of somebody who is no proxy.
    for bad in [
        &b""[..],
        b"PROXY TCP4 198.51.100.7\r\n",
        b"PROXY TCP4 198.51.100.256 10.0.0.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
    ] {
        is_refused(&server, || connect(PROXY, bad), &[], 400, "proxy_protocol");
    }
    is_refused(&server, || connect(STRANGER, text), &[], 400, "bad_request");
    // Who is none and says nothing of the kind is served as ever; a proxy may say who it connects for in two steps.
    let plain = connect(STRANGER, b"");
    let own = plain.local_addr().expect("an address").to_string();
    let _plain = enters(&server, plain, &[], &own);
    let mut slow = connect(PROXY, &binary[..14]);
    support::pause(std::time::Duration::from_millis(20));
    slow.write_all(&version_2([198, 51, 100, 9], 78)[14..]).expect("the server takes bytes");
    let _slow = enters(&server, slow, &[], "198.51.100.9:78");
}

#[test]
fn an_undeclared_proxy_is_told_of_once() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        let lines = ["X-Forwarded-For: 198.51.100.7"];
        let head = ask(&connect_from(source(1), server.address), handshake("/relay/a", &lines));
        assert_eq!(status(&head), 101);
    }
    let advice = |line: &serde_json::Value| {
        line["message"].as_str().is_some_and(|message| message.contains("server.proxies"))
    };
    let line = server.log_line(advice);
    assert_eq!(line["level"], "WARN");
    let mut server = server;
    server.signal("TERM");
    server.wait();
    let after = server.log_line(|line| advice(line) || line["message"] == "stopped");
    assert_eq!(after["message"], "stopped", "it is not said again");
}

#[test]
fn a_crowd_behind_one_address_is_told_of() {
    let settings = [("UPROAR_LIMITS__LOOPBACK_EXEMPT", "false")];
    let server = Server::start_with(&[], &settings);
    let _crowd: Vec<_> = (0..120)
        .map(|_| {
            let stream = connect_from(source(2), server.address);
            assert_eq!(status(&ask(&stream, handshake("/relay/a", &[]))), 101);
            stream
        })
        .collect();
    let line = server.log_line(|line| {
        line["message"].as_str().is_some_and(|message| message.contains("server.proxies"))
    });
    assert!(line["sessions"].as_u64().is_some_and(|sessions| sessions >= 100), "{line}");
}
