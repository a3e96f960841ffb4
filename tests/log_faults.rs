//! The real server on a disk that fails: nothing is acknowledged that is not stored, it stays up, serves what it can, and
//! goes on by itself; and what it says when it cannot start at all.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::chat::{ChatClient, client_id};
use support::data_dir::{DataDir, VARIABLE};
use support::server::Server;
use support::wait_for;

/// The database in a data directory.
const FILE: &str = "uproar.db";

/// A small file system in memory, of which only the server knows.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=8m none "$1" && exec "$2""#;

/// Nothing but its files: too long a file is an error, and no signal.
const NO_SIGNAL: &str = r#"trap "" XFSZ && exec "$2""#;

/// A server's data directory that is empty, and as the first thing nobody has written to.
const READ_ONLY: &str = r#"mount -t tmpfs -o ro none "$1" && exec "$2""#;

/// The server, started by a script that may mount what it likes: nobody else sees it. Not everywhere is that allowed;
/// then its words are in the failure.
fn command(script: &str, directory: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    command.arg(directory).arg(env!("CARGO_BIN_EXE_uproar"));
    for variable in ["UPROAR_SERVER__LISTEN", "UPROAR_SERVER__ADMIN_LISTEN"] {
        command.env(variable, "127.0.0.1:0");
    }
    command.env(VARIABLE, directory);
    command
}

fn start(script: &str, data: &DataDir) -> Server {
    Server::spawn(command(script, data.path()))
}

/// Sends a message, with the id of an earlier try or a new one; the answer.
fn send(session: &mut ChatClient, room: &str, id: &str, body: &Value) -> Value {
    session.send(&json!({"type": "send", "room": room, "client_id": id, "body": body, "ref": id}));
    session.await_message(|message| message["ref"] == id)
}

fn bodies(history: &Value) -> Vec<Value> {
    let messages = history["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["body"].clone()).collect()
}

fn history(session: &mut ChatClient, room: &str) -> Vec<Value> {
    session.send(&json!({"type": "history", "room": room, "limit": 100}));
    bodies(&session.await_type("history"))
}

/// Has something said before `fail`, sees that nothing can be said then but read, and that all is well after `mend`.
fn survives(server: &Server, fail: impl FnOnce(), mend: impl FnOnce()) {
    let mut ada = ChatClient::connect(server.address, "Ada");
    let mut bob = ChatClient::connect(server.address, "Bob");
    ada.join("a");
    bob.join("a");
    for n in 0..3 {
        let answer = send(&mut ada, "a", &client_id(), &json!(n));
        assert_eq!((&answer["type"], &answer["stored"]), (&json!("ack"), &json!(true)));
    }
    ada.join("b");
    send(&mut ada, "b", &client_id(), &json!("quiet"));
    fail();
    // Larger than what a page of the disk may have left.
    let body = json!("x".repeat(20_000));
    let id = client_id();
    for _ in 0..3 {
        let answer = send(&mut ada, "a", &id, &body);
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("unavailable")));
        assert_eq!(answer["client_id"], id.as_str());
        assert!(answer["retry_after_ms"].is_u64(), "{answer}");
    }
    // What was said can be read, also of a room that nobody has asked for yet.
    assert_eq!(history(&mut bob, "a"), [0, 1, 2].map(|n| json!(n)));
    let joined = bob.join("b");
    assert_eq!(bodies(&joined), [json!("quiet")]);
    mend();
    let answer = wait_for("the log can be written again", || {
        Some(send(&mut ada, "a", &id, &body)).filter(|answer| answer["type"] == "ack")
    });
    assert_eq!(answer["stored"], true);
    let heard = bob.await_message(|message| message["client_id"] == id.as_str());
    assert_eq!((&heard["type"], &heard["seq"]), (&json!("message"), &answer["seq"]));
    assert_eq!(history(&mut bob, "a"), [json!(0), json!(1), json!(2), body], "once");
    assert_eq!(server.admin("/readyz").0, 200);
}

/// The server's data directory as the server sees it.
fn inside(server: &Server, data: &DataDir) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    root.join(data.path().strip_prefix("/").expect("an absolute path"))
}

#[test]
fn a_disk_that_is_full() {
    let data = DataDir::new();
    let server = start(SMALL_DISK, &data);
    let filler = inside(&server, &data).join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler).expect("a file can be made");
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    };
    survives(&server, fill, || fs::remove_file(&filler).expect("it is there"));
}

#[test]
fn a_disk_that_does_not_take_what_is_written() {
    let data = DataDir::new();
    let server = start(NO_SIGNAL, &data);
    let limit = |bytes: &str| {
        let pid = server.pid().to_string();
        let limit = format!("--fsize={bytes}:unlimited");
        let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(done.expect("prlimit runs").success());
    };
    survives(&server, || limit("4096"), || limit("unlimited"));
}

#[test]
fn a_file_that_somebody_else_has_locked() {
    let data = DataDir::new();
    let server = start(NO_SIGNAL, &data);
    let other = Connection::open(data.path().join(FILE)).expect("it opens");
    let run = |sql| other.execute_batch(sql).expect("it can be locked");
    survives(&server, || run("BEGIN IMMEDIATE"), || run("ROLLBACK"));
}

/// What a server says that cannot start.
fn refused(script: &str, data: &DataDir) -> String {
    let mut command = command(script, data.path());
    let Output { status, stderr, .. } =
        command.stdin(Stdio::null()).output().expect("the binary runs");
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).expect("text")
}

/// What a server says that finds what `spoil` has left of a log.
fn refused_after(spoil: impl FnOnce(&Path)) -> String {
    let data = DataDir::new();
    let mut server = start(NO_SIGNAL, &data);
    let mut ada = ChatClient::connect(server.address, "Ada");
    ada.join("a");
    for n in 0..20 {
        send(&mut ada, "a", &client_id(), &json!([n, "x".repeat(1000)]));
    }
    server.signal("TERM");
    assert!(server.wait().success());
    let path = data.path().join(FILE);
    spoil(&path);
    let said = refused(NO_SIGNAL, &data);
    assert!(said.contains(path.to_str().expect("text")), "{said}");
    said
}

#[test]
fn a_damaged_file_ends_the_start() {
    let said = refused_after(|path| {
        let mut bytes = fs::read(path).expect("it is there");
        bytes[4096..].fill(0xa5);
        fs::write(path, bytes).expect("written");
    });
    assert!(said.contains("damaged") && said.contains("restore a backup"), "{said}");
}

#[test]
fn a_file_of_a_newer_version_ends_the_start() {
    let said = refused_after(|path| {
        let file = Connection::open(path).expect("it opens");
        file.execute_batch("PRAGMA user_version = 99").expect("set");
    });
    assert!(said.contains("newer version") && said.contains("version 99"), "{said}");
    assert!(said.contains("Start that version"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_written_ends_the_start() {
    let data = DataDir::new();
    let said = refused(READ_ONLY, &data);
    let path = data.path().to_str().expect("text");
    assert!(said.contains(path) && said.contains("server.data_dir"), "{said}");
}
