//! Who gets in: versions, ciphers, resumption, and those who speak something else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::openssl::{GET, s_client};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::tls::{Files, TlsClient};
use crate::support::wait_for;

fn handshakes(server: &Server, result: &str) -> f64 {
    server.metric("uproar_tls_handshakes_total", &[&format!("result=\"{result}\"")])
}

fn refused(server: &Server, reason: &str) -> f64 {
    server.metric("uproar_connections_refused_total", &[&format!("reason=\"{reason}\"")])
}

#[test]
fn both_versions_are_spoken_and_older_ones_are_not() {
    let files = Files::new();
    let server = files.start(&["--shards", "2"], &[]);
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(&files, server.address, &[flag, "-alpn", "http/1.1"]);
        for part in [version, "Verification: OK", "ALPN protocol: http/1.1", "HTTP/1.1 200 OK"] {
            assert!(said.contains(part), "{flag}, {part}: {said}");
        }
    }
    assert_eq!(handshakes(&server, "full"), 2.0);
    // The client itself speaks it only when told to forget about security.
    let said = s_client(&files, server.address, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(said.contains("Cipher is (NONE)") && !said.contains("HTTP/1.1 200"), "{said}");
    server.wait_for_metric("uproar_tls_handshakes_total", &["result=\"version\""], |n| n == 1.0);
    assert_eq!(refused(&server, "tls_handshake"), 1.0);
}

#[test]
fn the_oldest_version_can_be_chosen() {
    let files = Files::new();
    let server = files.start(&[], &[("UPROAR_TLS__VERSION_MIN", "1.3")]);
    assert!(s_client(&files, server.address, &["-tls1_3"]).contains("HTTP/1.1 200 OK"));
    let said = s_client(&files, server.address, &["-tls1_2"]);
    assert!(said.contains("alert protocol version"), "{said}");
    server.wait_for_metric("uproar_tls_handshakes_total", &["result=\"version\""], |n| n == 1.0);
}

#[test]
fn a_ticket_is_good_on_every_shard() {
    const TIMES: usize = 8;
    let files = Files::new();
    let server = files.start(&["--shards", "4"], &[]);
    for flag in ["-tls1_2", "-tls1_3"] {
        let before = handshakes(&server, "resumed");
        let ticket = files.path("ticket").to_string_lossy().into_owned();
        let first = s_client(&files, server.address, &[flag, "-sess_out", &ticket]);
        assert!(first.contains("New, TLS"), "{first}");
        for time in 0..TIMES {
            let said = s_client(&files, server.address, &[flag, "-sess_in", &ticket]);
            assert!(said.contains("Reused, TLS"), "{flag}, {time}: {said}");
            assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
        }
        assert_eq!(handshakes(&server, "resumed"), before + TIMES as f64);
    }
    let accepted = |shard: usize| {
        let shard = format!("shard=\"{shard}\"");
        server.metric("uproar_connections_accepted_total", &[&shard])
    };
    // The kernel gives them to all shards.
    wait_for("several shards have accepted some", || {
        let some = (0..4).filter(|shard| accepted(*shard) > 0.0).count();
        (some > 1).then_some(())
    });
}

#[test]
fn a_protocol_that_is_not_spoken_inside_is_refused() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let said = s_client(&files, server.address, &["-alpn", "h2"]);
    assert!(said.contains("no application protocol"), "{said}");
    server.wait_for_metric("uproar_tls_handshakes_total", &["result=\"alpn\""], |n| n == 1.0);
}

#[test]
fn a_client_that_does_not_trust_the_server_is_counted() {
    let (files, others) = (Files::new(), Files::new());
    let server = files.start(&[], &[]);
    assert!(TlsClient::raw(server.address, &others.trust()).is_err());
    let label = ["result=\"refused_by_peer\""];
    server.wait_for_metric("uproar_tls_handshakes_total", &label, |n| n == 1.0);
}

/// Everything that the server says to bytes that begin no handshake, up to a proper end.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(bytes).expect("the server reads");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("no reset");
    said
}

#[test]
fn plain_http_is_told_what_is_spoken() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let said = String::from_utf8(answer(&server, GET.as_bytes())).expect("text");
    assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
    assert!(said.contains("content-type: text/plain"), "{said}");
    assert!(said.ends_with("this port speaks TLS: use https:// or wss://\n"), "{said}");
    assert_eq!(refused(&server, "plain_http"), 1.0);
    assert_eq!(answer(&server, b"\x00\x01\x02"), b"");
    assert_eq!(refused(&server, "no_tls"), 1.0);
}

#[test]
fn tls_on_a_plain_port_ends_properly() {
    let server = Server::start(&[]);
    assert_eq!(answer(&server, &[22, 3, 1, 0, 50, 1, 0, 0, 46]), b"");
    server.wait_for_metric(
        "uproar_connections_refused_total",
        &["reason=\"tls_not_spoken\""],
        |n| n == 1.0,
    );
    let mut client = Client::connect(server.address, "/");
    client.write(&crate::support::client::frame(0x89, b"still there?"));
    assert_eq!(client.next().payload, b"still there?");
}

#[test]
fn a_handshake_has_a_deadline() {
    let files = Files::new();
    let server = files.start(&[], &[("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1")]);
    assert_eq!(answer(&server, &[22, 3, 1]), b"");
    assert_eq!(handshakes(&server, "timeout"), 1.0);
    // The same deadline holds for who has made the handshake and says nothing more.
    let mut client = TlsClient::raw(server.address, &files.trust()).expect("a handshake");
    let mut said = Vec::new();
    client.stream.read_to_end(&mut said).expect("a proper end");
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
}

/// The keys of a connection are changed by a client that asks the server to do the same.
#[test]
fn openssl_changes_its_keys() {
    let files = Files::new();
    let server = files.start(&[], &[]);
    let mut child = Command::new("openssl")
        .args(["s_client", "-tls1_3", "-connect", &server.address.to_string(), "-CAfile"])
        .arg(files.path("ca.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    // Not before the handshake is over does it take commands.
    server.wait_for_metric("uproar_tls_handshakes_total", &["result=\"full\""], |n| n == 1.0);
    for _ in 0..2 {
        stdin.write_all(b"K\n").expect("openssl reads");
        let mut said = Vec::new();
        while !said.ends_with(b"KEYUPDATE\n") {
            let mut byte = [0];
            stderr.read_exact(&mut byte).expect("openssl says what it does");
            said.push(byte[0]);
        }
    }
    stdin.write_all(GET.as_bytes()).expect("openssl reads");
    let mut said = String::new();
    child.stdout.take().expect("stdout is piped").read_to_string(&mut said).expect("text");
    assert!(said.contains("HTTP/1.1 200 OK") && said.contains("</html>"), "{said}");
    drop(stdin);
    child.wait().expect("openssl ends");
}
