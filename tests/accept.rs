//! Accepting's promise: however few descriptors there are and whoever takes them, the listener lives, nothing spins,
//! and who really wants in gets in.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::client::{Client, request};
use support::server::Server;
use support::wait_for;

/// A server of one shard that may open `files` files.
fn with_files(files: u32, settings: &[(&str, &str)]) -> Server {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_uproar"), "--shards", "1"]);
    shell.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    shell.envs(settings.iter().copied());
    Server::spawn(shell)
}

/// Far above what turns that have something to do come to, far below what turns that spin do.
const TURNS_PER_SEC_MAX: f64 = 500.0;

#[track_caller]
fn assert_calm(server: &Server, since: Instant, turns_before: f64) {
    let turns = server.metric("uproar_turns_total", &[]) - turns_before;
    let turns_max = 1000.0 + TURNS_PER_SEC_MAX * since.elapsed().as_secs_f64();
    assert!(turns < turns_max, "{turns} turns where {turns_max} are plenty");
}

#[test]
fn a_crowd_cannot_take_the_descriptors_of_the_operator() {
    let server = with_files(100, &[]);
    let since = Instant::now();
    // More than there are descriptors for: those above wait in the kernel's queue.
    let crowd: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(server.address).expect("the kernel's queue has room"))
        .collect();
    server
        .wait_for_metric("uproar_connections_refused_total", &["evicted"], |evicted| evicted > 0.0);
    assert_eq!(server.admin("/healthz").0, 200);
    assert_eq!(server.metric("uproar_accept_errors_total", &[]), 0.0);
    assert!(server.metric("process_open_fds", &[]) <= 100.0);
    let mut client = Client::connect(server.address, "/");
    client.write(&support::client::frame(0x89, b"alive"));
    assert_eq!(client.next().payload, b"alive");
    assert_calm(&server, since, 0.0);
    drop(crowd);
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
}

#[test]
fn a_full_server_says_so_with_the_last_descriptors() {
    let server = with_files(100, &[]);
    // 64 are the process's own, 3 are the shard's, 5 are for handshakes.
    let sessions: Vec<_> = (0..28).map(|_| Client::connect(server.address, "/")).collect();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).expect("the server accepts");
        stream.set_read_timeout(Some(support::PATIENCE)).expect("a timeout can be set");
        stream.write_all(request("/").as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("no reset");
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("server is full"),
            "{answer}"
        );
    }
    assert_eq!(server.metric("uproar_accept_errors_total", &[]), 0.0);
    drop(sessions);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
    Client::connect(server.address, "/");
}

#[test]
fn accepts_that_fail_are_counted_and_tried_again() {
    let server = Server::start(&["--shards", "1"]);
    let mut before = Client::connect(server.address, "/");
    let turns = server.metric("uproar_turns_total", &[]);
    let pid = Pid::from_raw(server.pid().cast_signed());
    let normal = rustix::process::getrlimit(Resource::Nofile);
    // What is open stays open; nothing else can be opened.
    let none = Rlimit { current: Some(3), maximum: normal.maximum };
    let normal = prlimit(pid, Resource::Nofile, none).expect("the limit can be lowered");
    let since = Instant::now();
    let mut waiting = TcpStream::connect(server.address).expect("the kernel's queue has room");
    waiting.write_all(request("/").as_bytes()).expect("the kernel takes it");
    let line = server.log_line(|line| line["level"] == "WARN");
    assert!(
        line["error"].as_str().is_some_and(|error| error.contains("Too many open files")),
        "{line}"
    );
    // Sessions do not notice.
    before.write(&support::client::frame(0x89, b"alive"));
    assert_eq!(before.next().payload, b"alive");
    waiting.set_nonblocking(true).expect("it can be made so");
    let answer = waiting.read(&mut [0; 64]).expect_err("nobody can have answered");
    assert_eq!(answer.kind(), std::io::ErrorKind::WouldBlock);
    // Several attempts' time.
    wait_for("time", || (since.elapsed().as_millis() > 1000).then_some(()));

    prlimit(pid, Resource::Nofile, normal).expect("the limit can be raised again");
    waiting.set_nonblocking(false).expect("it can be made so");
    waiting.set_read_timeout(Some(support::PATIENCE)).expect("a timeout can be set");
    let mut answer = [0; 12];
    waiting.read_exact(&mut answer).expect("who waited is served");
    assert_eq!(&answer, b"HTTP/1.1 101");
    let failed = server.metric("uproar_accept_errors_total", &["reason=\"descriptors\""]);
    let failed_max = since.elapsed().as_millis() as f64 / 100.0 + 1.0;
    assert!((1.0..=failed_max).contains(&failed), "{failed} failures");
    assert_calm(&server, since, turns);
    Client::connect(server.address, "/");
}

#[test]
fn the_silent_make_room() {
    let server =
        Server::start_with(&["--shards", "1"], &[("UPROAR_LIMITS__PENDING_HANDSHAKES_MAX", "4")]);
    let since = Instant::now();
    let silent: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(server.address).expect("the kernel's queue has room"))
        .collect();
    let clients: Vec<_> = (0..10).map(|_| Client::connect(server.address, "/")).collect();
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 10.0);
    let evicted = "reason=\"evicted\"";
    server.wait_for_metric("uproar_connections_refused_total", &[evicted], |count| count >= 46.0);
    assert!(server.metric("uproar_handshakes_pending", &[]) <= 4.0);
    assert_calm(&server, since, 0.0);
    drop((silent, clients));
}
