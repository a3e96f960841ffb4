//! The operator's endpoints: they answer whatever the shards do, and only those who may ask.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "shared with the tests of the client")]
mod client {
    pub(crate) mod far;
}

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crossbeam_channel::{Receiver, Sender, bounded};
use support::client::{Client, request};
use support::data_dir::DataDir;
use support::server::{Server, get};
use uproar::{Context, Handler, Message, Request};

/// Blocks its shard at every message until the test lets go.
struct Blocker {
    blocked: Sender<std::thread::ThreadId>,
    release: Receiver<()>,
}

impl Handler for Blocker {
    fn open(&self, _: &mut Context<'_>, _: &Request) {}

    fn message(&self, _: &mut Context<'_>, _: Message<'_>) {
        self.blocked.send(std::thread::current().id()).ok();
        // An error is what it waits for: the other end is gone.
        self.release.recv().ok();
    }
}

#[test]
fn they_answer_while_every_shard_is_busy() {
    const SHARDS: usize = 2;
    let (blocked, blocks) = bounded(1000);
    let (release, released) = bounded(1);
    let data = DataDir::new();
    let mut config = data.config();
    config.server.shards = SHARDS;
    let blocker = Blocker { blocked, release: released };
    let server =
        uproar::Server::builder(config).route("/block", blocker).bind().expect("it starts");
    let (address, admin, stopper) = (server.address(), server.admin_address(), server.stopper());
    let running = std::thread::spawn(|| server.run());

    // Each goes to a shard that is not blocked yet, or waits for one that is: a new one, until all are.
    let (mut busy, mut streams) = (HashSet::new(), Vec::new());
    while busy.len() < SHARDS {
        let mut stream = TcpStream::connect(address).expect("the kernel accepts");
        stream.write_all(request("/block").as_bytes()).expect("the kernel takes it");
        stream.write_all(&support::client::frame(0x81, b"block")).expect("the kernel takes it");
        streams.push(stream);
        busy.extend(blocks.recv_timeout(std::time::Duration::from_millis(20)));
    }
    for _ in 0..3 {
        assert_eq!(get(admin, "/healthz"), (200, "ok\n".into()));
        assert_eq!(get(admin, "/readyz"), (200, "ok\n".into()));
        let (status, metrics) = get(admin, "/metrics");
        assert!(status == 200 && metrics.contains("uproar_turns_total"), "{metrics}");
    }
    stopper.stop();
    assert_eq!(get(admin, "/readyz"), (503, "draining\n".into()));
    drop((release, streams));
    running.join().expect("no panic").expect("it was stopped");
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the address answers");
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

#[test]
fn statuses() {
    let server = Server::start(&[]);
    #[track_caller]
    fn check(address: SocketAddr, line: &str, fields: &str, expected: &str) {
        let answer = ask(address, &format!("{line}\r\n{fields}Connection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{line} {fields}: {answer}");
    }
    let here = "Host: localhost\r\n";
    for path in ["/metrics", "/healthz", "/readyz", "/healthz?verbose"] {
        check(server.admin, &format!("GET {path} HTTP/1.1"), here, "200 OK");
        check(server.admin, &format!("HEAD {path} HTTP/1.1"), here, "200 OK");
        check(server.admin, &format!("POST {path} HTTP/1.1"), here, "405 ");
        check(server.admin, &format!("GET {path} HTTP/1.1"), "Host: evil.example\r\n", "403 ");
        let foreign = "Host: localhost\r\nOrigin: https://evil.example\r\n";
        check(server.admin, &format!("GET {path} HTTP/1.1"), foreign, "403 ");
        check(server.admin, &format!("GET {path} HTTP/1.1"), "", "400 ");
        // Never on the public address.
        check(server.address, &format!("GET {path} HTTP/1.1"), here, "404 ");
    }
    for path in ["/", "/metrics/", "/../metrics", "/relay/a"] {
        check(server.admin, &format!("GET {path} HTTP/1.1"), here, "404 ");
    }
    for host in ["127.0.0.1:8081", "[::1]:8081", "LOCALHOST"] {
        check(server.admin, "GET /readyz HTTP/1.1", &format!("Host: {host}\r\n"), "200 OK");
    }
}

#[test]
fn loopback_in_the_clothes_of_ipv6_is_loopback() {
    let server = Server::start(&[
        "--listen",
        "[::ffff:127.0.0.1]:0",
        "--admin-listen",
        "[::ffff:127.0.0.1]:0",
    ]);
    for (address, path) in [(server.admin, "/metrics"), (server.address, "/")] {
        let get = |host: &str| {
            ask(
                address,
                &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            )
        };
        assert!(get("localhost").starts_with("HTTP/1.1 200 "));
        assert!(get("evil.example").starts_with("HTTP/1.1 403 "));
    }
}

/// An address of the inside that is not loopback.
const ELSEWHERE: [u8; 4] = [10, 77, 0, 9];

#[test]
#[cfg(target_os = "linux")]
fn from_elsewhere_a_key_is_needed() {
    if !client::far::is_inside() {
        client::far::run_inside("from_elsewhere_a_key_is_needed");
        return;
    }
    let run = |arguments: &str| {
        let status = Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.expect("this test needs `ip` (package iproute2)").success(), "{arguments}");
    };
    run("link set lo up");
    run("addr add 10.77.0.9/32 dev lo");
    let (old, new) = (key("old", "metrics"), key("new", "health"));
    let settings = [
        ("UPROAR_SERVER__ADMIN_LISTEN", "0.0.0.0:0"),
        ("UPROAR_SERVER__ADMIN_KEYS", &*format!("[{}, {}]", old.1, new.1)),
    ];
    let server = Server::start_with(&[], &settings);
    let port = server.admin.port();
    let (here, there) =
        (SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((ELSEWHERE, port)));
    let get = |address, path: &str, host: &str, more: &str| {
        let line = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        let answer = ask(address, &format!("{line}{more}\r\n"));
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    };
    let shows = |key: &str| format!("Authorization: Bearer {key}\r\n");
    for path in ["/metrics", "/healthz", "/readyz", "/nothing"] {
        assert_eq!(get(there, path, "node1.internal", ""), 401, "{path}");
        assert_eq!(get(there, path, "localhost", ""), 401, "{path}");
        assert_eq!(get(there, path, "localhost", &shows("wrong")), 401, "{path}");
    }
    assert_eq!(get(there, "/metrics", "node1.internal", &shows(&old.0)), 200);
    assert_eq!(get(there, "/healthz", "node1.internal", &shows(&old.0)), 403);
    assert_eq!(get(there, "/healthz", "node1.internal", &shows(&new.0)), 200);
    assert_eq!(get(there, "/metrics", "node1.internal", &shows(&new.0)), 403);
    // Programs of this machine need none, under a name of this machine; a proxy's visitors are none of them.
    assert_eq!(get(here, "/metrics", "localhost", ""), 200);
    assert_eq!(get(here, "/metrics", "rebound.example", ""), 403);
    for field in ["X-Forwarded-For: 1.2.3.4", "X-Real-IP: 1.2.3.4", "Via: 1.1 proxy"] {
        assert_eq!(get(here, "/metrics", "localhost", &format!("{field}\r\n")), 401, "{field}");
    }
    assert_eq!(get(here, "/metrics", "rebound.example", &shows(&old.0)), 200);
    Client::connect(server.address, "/");
}

/// A key with that scope, and its entry in a configuration, as the program makes them.
fn key(name: &str, scope: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_uproar"))
        .args(["key", "--name", name, "--scope", scope])
        .output()
        .expect("the binary runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    (lines[1].to_owned(), lines[3].to_owned())
}
