//! The operator's endpoints: they answer whatever the shards do, and only those who may ask.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

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

#[test]
fn an_inner_address_answers_every_host() {
    let settings = [
        ("UPROAR_SERVER__ADMIN_LISTEN", "0.0.0.0:0"),
        ("UPROAR_SERVER__ADMIN_OPEN_TO_NETWORK", "true"),
    ];
    let server = Server::start_with(&[], &settings);
    let admin = SocketAddr::from(([127, 0, 0, 1], server.admin.port()));
    let answer =
        ask(admin, "GET /readyz HTTP/1.1\r\nHost: node1.internal\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Client::connect(server.address, "/");
}
