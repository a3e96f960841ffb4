//! The log in an operator's hands: `uproar log check`, `export`, `import` and `prune`.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::chat::{ChatClient, client_id, client_id_at};
use support::client::Client;
use support::data_dir::DataDir;
use support::memory::peak_bytes;
use support::server::Server;

/// When the messages of made exports were said.
const THEN: u64 = 1_750_000_000_000;

fn tool(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
    command.arg("log").args(arguments).arg("--data-dir").arg(data);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    tool(data, arguments).output().expect("the binary runs")
}

/// Everything that it printed.
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs it, which must succeed; its standard output.
#[track_caller]
fn succeed(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs it, which must fail with every one of those phrases; all that it printed.
#[track_caller]
fn fail(data: &Path, arguments: &[&str], phrases: &[&str]) -> String {
    let output = run(data, arguments);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    phrases.iter().for_each(|phrase| assert!(text.contains(phrase), "{phrase:?}: {text}"));
    text
}

/// The lines of an export, parsed.
fn export(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let text = succeed(data, &[&["export"], arguments].concat());
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// The same lines with the same epoch.
fn without_epoch(mut lines: Vec<Value>) -> Vec<Value> {
    lines[0]["epoch"] = Value::Null;
    lines
}

/// A message of a made export.
fn said(seq: u64, prev: u64, body: &Value) -> Value {
    json!({
        "type": "message", "room": "a", "seq": seq, "prev": prev, "time": THEN + seq, "user": "ann",
        "name": "Ann", "client_id": client_id_at(THEN + seq, seq), "body": body,
    })
}

/// A made export around these lines.
fn made(lines: &[Value]) -> String {
    let head = json!({"type": "log", "format": 1, "epoch": "x", "last_seq": 0, "last_time": 0});
    let count = |kind| lines.iter().filter(|line| line["type"] == kind).count();
    let end =
        json!({"type": "end", "messages": count("message"), "keys": count("key"), "skipped": 0});
    let all = [&[head], lines, &[end]].concat();
    all.iter().map(|line| format!("{line}\n")).collect()
}

/// Imports a text.
fn import(data: &Path, text: &str, arguments: &[&str]) -> Output {
    let mut command = tool(data, &[&["import", "-"], arguments].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("it is piped");
    // It ends before it has read everything where it does not like what it reads.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn imported(data: &Path, text: &str) {
    let output = import(data, text, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", self::text(&output));
}

/// A log with `count` messages in room `a`, at the positions from 1.
fn filled(count: u64) -> DataDir {
    let data = DataDir::new();
    let lines: Vec<_> = (1..=count).map(|seq| said(seq, seq - 1, &json!(seq))).collect();
    imported(data.path(), &made(&lines));
    data
}

fn database(data: &Path) -> PathBuf {
    data.join("uproar.db")
}

fn execute(data: &Path, sql: &str) {
    Connection::open(database(data)).expect("it opens").execute_batch(sql).expect("done");
}

fn serve(data: &Path) -> Server {
    Server::start(&["--shards", "1", "--data-dir", data.to_str().expect("text")])
}

fn stop(mut server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

/// Connects the guest whose token that is.
fn again(server: &Server, guest: &Value) -> ChatClient {
    let hello = json!({"type": "hello", "guest": guest});
    ChatClient::hello(Client::connect(server.address, "/chat"), &hello)
}

fn send(client: &mut ChatClient, room: &str, body: &Value) -> (Value, Value) {
    let send = json!({"type": "send", "room": room, "client_id": client_id(), "body": body});
    client.send(&send);
    let ack = client.await_type("ack");
    (send, ack)
}

#[test]
fn a_log_moves_with_everything_but_its_epoch() {
    let (old, new) = (DataDir::new(), DataDir::new());
    let server = serve(old.path());
    let mut ann = ChatClient::connect(server.address, "Ann \"\\\u{2028}é");
    let epoch = ann.join("a")["epoch"].clone();
    let (first, first_ack) = send(&mut ann, "a", &json!({"n": [1, 2.50, "\u{7f}</script>"]}));
    ann.join("b");
    send(&mut ann, "b", &json!("elsewhere"));
    // Whatever is between its parts, the body is kept as it was sent.
    let id = client_id();
    let odd =
        format!(r#"{{"type":"send","room":"a","client_id":"{id}","body":{{ "a" :{}1.0}}}}"#, "\n");
    ann.client.send(&odd);
    let odd_ack = ann.await_type("ack");
    let guest = ann.welcome["guest"].clone();
    stop(server);

    let lines = export(old.path(), &[]);
    assert_eq!(lines[0]["epoch"], epoch);
    assert_eq!(of_type(&lines, "message").len(), 3);
    let file = new.path().join("log.jsonl");
    let path = file.to_str().expect("text");
    succeed(old.path(), &["export", path]);
    succeed(new.path(), &["import", path]);
    let moved = export(new.path(), &[]);
    assert_ne!(moved[0]["epoch"], epoch);
    assert_eq!(without_epoch(moved.clone()), without_epoch(lines));
    succeed(new.path(), &["check"]);

    fs::copy(old.path().join("guest.key"), new.path().join("guest.key")).expect("copied");
    let server = serve(new.path());
    let mut ann = again(&server, &guest);
    let joined = ann.resume("a", &epoch, first_ack["seq"].as_u64().expect("a position"));
    assert_eq!((&joined["epoch"], joined.get("gap")), (&moved[0]["epoch"], None));
    assert_eq!(joined["messages"].as_array().map(Vec::len), Some(2), "{joined}");
    ann.send(&first);
    assert_eq!(ann.await_type("ack"), first_ack);
    ann.client.send(&odd);
    assert_eq!(ann.await_type("ack"), odd_ack, "the same bytes are the same message");
    let (_, ack) = send(&mut ann, "a", &json!("more"));
    assert_eq!(ack["seq"], 4);
    assert_eq!(ann.await_type("message")["prev"], odd_ack["seq"]);
}

#[test]
fn a_log_is_checked_and_exported_beside_its_server_and_not_changed() {
    let data = DataDir::new();
    let server = serve(data.path());
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("a");
    send(&mut ann, "a", &json!("first"));
    let checked = succeed(data.path(), &["check"]);
    assert!(checked.contains("ok") && checked.contains("messages              1"), "{checked}");
    assert_eq!(of_type(&export(data.path(), &[]), "message").len(), 1);
    for command in [&["prune", "--keep", "0"][..], &["import", "-"]] {
        fail(data.path(), command, &["in use by a running server"]);
    }
    send(&mut ann, "a", &json!("second"));
    assert_eq!(of_type(&export(data.path(), &[]), "message").len(), 2);
}

#[test]
fn one_room_can_be_taken_back_from_a_backup() {
    let data = DataDir::new();
    let other = |seq, prev| {
        let mut line = said(seq, prev, &json!(seq));
        line["room"] = "b".into();
        line
    };
    let direct = |seq| {
        let mut line = said(seq, 0, &json!(seq));
        line.as_object_mut().expect("an object").remove("room");
        line["users"] = json!(["ann", "bob"]);
        line
    };
    let lines = [said(1, 0, &json!(1)), other(2, 0), said(5, 1, &json!(5)), direct(7), other(9, 2)];
    imported(data.path(), &made(&lines));
    let whole = export(data.path(), &[]);
    let room = succeed(data.path(), &["export", "--room", "b"]);
    let seqs: Vec<_> = room
        .lines()
        .skip(1)
        .take(2)
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].clone())
        .collect();
    assert_eq!(seqs, [2, 9]);
    fail(data.path(), &["export", "--room", "c"], &["no room \"c\""]);
    // It is there already; then it is gone, and comes back.
    let refused = import(data.path(), &room, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("line 2 is of the room \"b\", which the log has already"));
    succeed(data.path(), &["prune", "--room", "b", "--keep", "0"]);
    assert_eq!(of_type(&export(data.path(), &[]), "message").len(), 3);
    imported(data.path(), &room);
    succeed(data.path(), &["check"]);
    assert_eq!(without_epoch(export(data.path(), &[])), without_epoch(whole));
}

#[test]
fn an_import_that_is_wrong_changes_nothing() {
    let good = said(1, 0, &json!(1));
    let with = |key: &str, value: Value| {
        let mut line = said(3, 1, &json!(3));
        line[key] = value;
        made(&[good.clone(), line])
    };
    let raw = |line: &str| {
        made(std::slice::from_ref(&good)).replace("{\"keys\"", &format!("{line}\n{{\"keys\""))
    };
    let cases = [
        (with("seq", json!(1)), "line 3 has position 1, which is not above 1"),
        (with("prev", json!(3)), "line 3 has the position before, 3"),
        (with("time", json!(5)), "line 3 has a time before"),
        (with("seq", json!(1_u64 << 53)), "line 3 has a position or a time"),
        (with("room", json!("")), "line 3 is wrong: the room name is empty"),
        (with("user", json!("")), "line 3 is wrong: the user id is empty"),
        (with("name", json!("\u{202e}")), "line 3 is wrong: the name contains"),
        (with("users", json!(["a", "b"])), "line 3 has not exactly one of room and users"),
        (with("client_id", json!("1")), "line 3 has the client_id \"1\""),
        (with("client_id", good["client_id"].clone()), "line 3 has the client_id"),
        (with("body_text", json!("1")), "line 3 has not exactly one of body and body_text"),
        (with("colour", json!("red")), "line 3 is no line of an export: unknown field `colour`"),
        (with("type", json!("edit")), "line 3 has the unknown type \"edit\""),
        (raw("{\"type\":\"message\""), "line 3 is no line of an export: EOF"),
        (raw("\u{7f}"), "line 3 is no line of an export: expected value (column 1)"),
        (
            made(std::slice::from_ref(&good)).replace("\"format\":1", "\"format\":2"),
            "line 1 has format 2",
        ),
        (String::new(), "line 1 is missing"),
        (format!("{good}\n"), "line 1 is not the head of an export"),
        (made(std::slice::from_ref(&good)) + "{\"type\":\"end\"}\n", "line 4 comes after the end"),
        (
            made(std::slice::from_ref(&good)).replace("\"messages\":1", "\"messages\":2"),
            "--partial",
        ),
        (
            made(std::slice::from_ref(&good)).lines().take(2).collect::<Vec<_>>().join("\n"),
            "line 3 is missing",
        ),
    ];
    let (new, old) = (DataDir::new(), filled(0));
    let before = fs::read(database(old.path())).expect("it is there");
    for (text, phrase) in &cases {
        for data in [new.path(), old.path()] {
            let output = import(data, text, &[]);
            let said = self::text(&output);
            assert_eq!(output.status.code(), Some(1), "{phrase}: {said}");
            assert!(
                said.contains(phrase) && said.contains("Nothing was imported"),
                "{phrase}: {said}"
            );
        }
        assert!(!database(new.path()).exists(), "{phrase}");
        assert!(before == fs::read(database(old.path())).expect("it is there"), "{phrase}");
    }
    let (cut, _) = cases.last().expect("a case");
    let output = import(new.path(), cut, &["--partial"]);
    assert_eq!(output.status.code(), Some(0), "{}", self::text(&output));
    assert_eq!(of_type(&export(new.path(), &[]), "message").len(), 1);
}

#[test]
fn what_is_pruned_is_a_gap_and_still_not_taken_twice() {
    let data = DataDir::new();
    let server = serve(data.path());
    let mut ann = ChatClient::connect(server.address, "Ann");
    let epoch = ann.join("a")["epoch"].clone();
    let sent: Vec<_> = (0..10).map(|n| send(&mut ann, "a", &json!(n))).collect();
    let guest = ann.welcome["guest"].clone();
    stop(server);

    let backup = succeed(data.path(), &["export", "--room", "a"]);
    let all = &["prune", "--keep", "4", "--dry-run"];
    assert!(succeed(data.path(), all).contains("would remove 6 messages"));
    assert_eq!(of_type(&export(data.path(), &[]), "message").len(), 10);
    assert!(succeed(data.path(), &["prune", "--keep", "4", "--room", "b*"]).contains("removed 0 "));
    assert!(succeed(data.path(), &["prune", "--keep", "4", "--room", "a*"]).contains("removed 6 "));
    succeed(data.path(), &["check"]);
    let lines = export(data.path(), &[]);
    let (messages, keys) = (of_type(&lines, "message"), of_type(&lines, "key"));
    assert_eq!((messages.len(), keys.len()), (4, 6));
    assert_eq!(messages[0]["prev"], 6);
    // Keys move, too.
    let new = DataDir::new();
    imported(new.path(), &succeed(data.path(), &["export"]));
    assert_eq!(without_epoch(export(new.path(), &[])), without_epoch(lines));

    let server = serve(data.path());
    let mut ann = again(&server, &guest);
    let joined = ann.resume("a", &epoch, 2);
    assert_eq!(joined["gap"], json!({"from": 2, "to": 6}));
    assert_eq!(ann.await_type("message")["seq"], 7);
    for (send, ack) in &sent {
        ann.send(send);
        assert_eq!(&ann.await_type("ack"), ack);
    }
    assert_eq!(send(&mut ann, "a", &json!("new")).1["seq"], 11);
    stop(server);

    // The room comes back from before, and its keys are those of messages again; but for the one said since.
    assert!(succeed(data.path(), &["prune", "--keep", "0"]).contains("removed 5 "));
    assert_eq!(of_type(&export(data.path(), &[]), "key").len(), 11);
    imported(data.path(), &backup);
    succeed(data.path(), &["check"]);
    let lines = export(data.path(), &["--room", "a"]);
    let (messages, keys) = (of_type(&lines, "message"), of_type(&lines, "key"));
    assert_eq!((messages.len(), keys.len(), &keys[0]["seq"]), (10, 1, &json!(11)));
    let server = serve(data.path());
    let mut ann = again(&server, &guest);
    assert_eq!(ann.join("a")["messages"].as_array().map(Vec::len), Some(10));
    let (send, ack) = &sent[0];
    ann.send(send);
    assert_eq!(&ann.await_type("ack"), ack);
    assert_eq!(self::send(&mut ann, "a", &json!("newer")).1["seq"], 12);
    assert_eq!(ann.await_type("message")["prev"], 10);
}

#[test]
fn time_and_count_bound_what_is_kept() {
    let data = filled(10);
    let left = || -> Vec<Value> {
        let lines = export(data.path(), &[]);
        of_type(&lines, "message").into_iter().map(|line| line["seq"].clone()).collect()
    };
    // Position 3 is of 3 ms after this.
    let then = "2025-06-15T15:06:40.003Z";
    let rehearsed = succeed(data.path(), &["prune", "--before", then, "--dry-run"]);
    assert!(rehearsed.contains("would remove 2 messages"), "{rehearsed}");
    succeed(data.path(), &["prune", "--before", then]);
    assert_eq!(left(), [3, 4, 5, 6, 7, 8, 9, 10]);
    succeed(data.path(), &["prune", "--before", then, "--keep", "5"]);
    assert_eq!(left(), [6, 7, 8, 9, 10]);
    succeed(data.path(), &["prune", "--older-than", "36500days"]);
    assert_eq!(left().len(), 5);
    succeed(data.path(), &["prune", "--older-than", "1day"]);
    assert_eq!(left(), [0; 0]);
    // Keys of that age are no more of use.
    assert_eq!(of_type(&export(data.path(), &[]), "key").len(), 0);
    succeed(data.path(), &["check"]);
    let output = run(data.path(), &["prune"]);
    assert_eq!(output.status.code(), Some(2), "nothing says what is to go");
}

#[test]
fn pruning_gives_the_disk_back_what_it_took() {
    let data = DataDir::new();
    let body = json!("x".repeat(10_000));
    let lines: Vec<_> = (1..=300).map(|seq| said(seq, seq - 1, &body)).collect();
    imported(data.path(), &made(&lines));
    let size = || fs::metadata(database(data.path())).expect("it is there").len();
    let full = size();
    succeed(data.path(), &["prune", "--keep", "200", "--no-vacuum"]);
    assert_eq!(size(), full);
    succeed(data.path(), &["prune", "--keep", "1"]);
    assert!(size() < full / 10, "{} of {full}", size());
}

#[test]
fn planted_damage_is_found() {
    for (sql, phrase) in [
        ("DELETE FROM messages WHERE seq = 5", "6 names 5 as the message before it"),
        ("DELETE FROM messages WHERE seq = 1", "its first message, 2, names 1 before it"),
        ("DELETE FROM messages WHERE seq = 10", "its last message should be Some(10)"),
        ("DELETE FROM messages WHERE seq = 10", "it should have 10 messages and has 9"),
        ("UPDATE messages SET prev = 1 WHERE seq = 7", "7 names 1 as the message before it"),
        ("UPDATE messages SET time = 1 WHERE seq = 7", "7 has a time before"),
        ("UPDATE messages SET body = '{' WHERE seq = 7", "the body of 7 is no JSON"),
        ("UPDATE messages SET client_id = x'00' WHERE seq = 7", "is damaged"),
        ("UPDATE log SET last_seq = 9", "beyond its end at 9"),
        ("UPDATE conversations SET removed_to = 2", "those up to 2 should be gone"),
        ("UPDATE conversations SET oldest = 5", "its oldest message is of"),
        ("DELETE FROM conversations", "messages of a conversation without a row"),
        ("INSERT INTO directs VALUES ('a', 'b', 1)", "the list of \"a\" names"),
        (
            "UPDATE conversations SET key = CAST(x'00' || 'a' || x'00' || 'b' AS BLOB)",
            "in the list of \"a\"",
        ),
        (
            "INSERT INTO kept_keys VALUES (x'00', 'a', 7, 1, 1, x'00', 1)",
            "kept keys of a conversation without a row",
        ),
        ("DELETE FROM log", "its rows cannot be read"),
        ("PRAGMA user_version = 99", "it has version 99, and this program knows versions up to"),
        ("PRAGMA application_id = 99", "it is no log of Uproar's"),
        (
            "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'messages_by_key'",
            "never used",
        ),
    ] {
        let data = filled(10);
        succeed(data.path(), &["check"]);
        execute(data.path(), sql);
        fail(data.path(), &["check"], &[phrase, "damaged", "problem"]);
    }
    let nothing = DataDir::new();
    for command in [&["check"][..], &["export"], &["prune", "--keep", "1"]] {
        fail(nothing.path(), command, &["there is no log at", "uproar.db"]);
    }
    assert!(fs::read_dir(nothing.path()).expect("it is there").next().is_none());
}

/// Overwrites the pages of the database from `from` until `to`.
fn spoil(data: &Path, from: u64, to: u64) {
    let mut bytes = fs::read(database(data)).expect("it is there");
    bytes[from as usize * 4096..to as usize * 4096].fill(0xa5);
    fs::write(database(data), bytes).expect("written");
}

/// The leaf pages of the table of messages, in order, as pages from 0.
fn leaves(data: &Path) -> Vec<u64> {
    let bytes = fs::read(database(data)).expect("it is there");
    let connection = Connection::open(database(data)).expect("it opens");
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'messages'";
    let root: u32 = connection.query_row(root, [], |row| row.get(0)).expect("a table");
    let root = root as usize;
    let page = &bytes[(root - 1) * 4096..root * 4096];
    assert_eq!(page[0], 5, "the root of a tree of two levels");
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    (0..cells)
        .map(|cell| {
            let at = usize::from(u16::from_be_bytes([page[12 + 2 * cell], page[13 + 2 * cell]]));
            u64::from(u32::from_be_bytes(*page[at..].first_chunk().expect("a cell"))) - 1
        })
        .collect()
}

#[test]
fn what_can_be_read_of_a_damaged_log_is_exported() {
    const COUNT: usize = 2000;
    let data = filled(COUNT as u64);
    let pages = fs::metadata(database(data.path())).expect("it is there").len() / 4096;
    let leaves = leaves(data.path());
    assert!(leaves.len() > 20, "{leaves:?}");
    let (one, other) = (leaves[5], leaves[12]);
    spoil(data.path(), one, one + 1);
    spoil(data.path(), other, other + 1);
    fail(data.path(), &["check"], &["damaged"]);
    let output = run(data.path(), &["export"]);
    assert_eq!(output.status.code(), Some(1), "not everything is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("2 pieces of the log could not be read"), "{said}");
    assert_eq!(said.matches("uproar: skipped positions ").count(), 2, "{said}");
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let messages = of_type(&lines, "message");
    // All but those of two pages, each of which holds a few dozen.
    let missing = COUNT - messages.len();
    assert!(missing > 20 && missing < 2 * COUNT / (leaves.len() - 1) + 10, "{missing} are missing");
    assert_eq!(messages.last().expect("a message")["seq"], COUNT);
    let new = DataDir::new();
    imported(new.path(), &String::from_utf8_lossy(&output.stdout));
    succeed(new.path(), &["check"]);
    // One room of it, whose index may be whole or not.
    let of_room = run(data.path(), &["export", "--room", "a"]);
    assert_eq!(of_room.stdout.len(), output.stdout.len());

    // Cut off in the middle, there is something still.
    let cut = filled(COUNT as u64);
    let bytes = fs::read(database(cut.path())).expect("it is there");
    fs::write(database(cut.path()), &bytes[..(pages as usize * 4096) * 2 / 3]).expect("written");
    let output = run(cut.path(), &["export"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(lines > COUNT / 3, "{lines}: {}", String::from_utf8_lossy(&output.stderr));
    // Nothing but noise.
    spoil(cut.path(), 0, 2);
    fail(cut.path(), &["check"], &["damaged"]);
    fail(cut.path(), &["export"], &["damaged"]);
}

#[test]
fn a_newer_log_is_refused_in_clear_words() {
    let data = filled(1);
    execute(data.path(), "PRAGMA user_version = 99");
    for command in [&["export"][..], &["prune", "--keep", "1"]] {
        fail(data.path(), command, &["newer version", "version 99"]);
    }
    fail(data.path(), &["check"], &["use that version's own check"]);
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let data = filled(5000);
    let mut child = spawn(tool(data.path(), &["export"]));
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""));
    assert!(line.contains("\"format\":1"), "{line}");
}

#[test]
fn an_export_takes_the_place_of_the_last_one_only_when_it_is_whole() {
    let data = filled(3);
    let file = data.path().join("backup.jsonl");
    let path = file.to_str().expect("text");
    succeed(data.path(), &["export", path]);
    let first = fs::read_to_string(&file).expect("written");
    assert_eq!(first.lines().count(), 5);
    execute(data.path(), "PRAGMA user_version = 99");
    fail(data.path(), &["export", path], &["newer version"]);
    assert_eq!(fs::read_to_string(&file).expect("still there"), first);
    assert!(!data.path().join("backup.jsonl.part").exists());
}

#[test]
fn memory_does_not_grow_with_an_export() {
    const COUNT: u64 = 200_000;
    let data = DataDir::new();
    let file = data.path().join("in.jsonl");
    let mut lines = std::io::BufWriter::new(fs::File::create(&file).expect("made"));
    let around = made(&[]).replace("\"messages\":0", &format!("\"messages\":{COUNT}"));
    let (head, end) = around.split_once('\n').expect("two lines");
    writeln!(lines, "{head}").expect("written");
    for seq in 1..=COUNT {
        writeln!(lines, "{}", said(seq, seq - 1, &json!(seq))).expect("written");
    }
    lines.write_all(end.as_bytes()).expect("written");
    drop(lines);
    succeed(data.path(), &["import", file.to_str().expect("text")]);
    let mut child = spawn(tool(data.path(), &["export"]));
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    // What a pipe holds is far less than what is left then, so that the process is there to be asked.
    let mut peak_after = |lines: u64| {
        let mut line = String::new();
        for _ in 0..lines {
            line.clear();
            out.read_line(&mut line).expect("a line");
        }
        peak_bytes(child.id())
    };
    let early = peak_after(20_000);
    let late = peak_after(170_000);
    assert!(late - early < 4 << 20, "{early} and then {late} bytes");
    assert_eq!(BufRead::lines(out).count() as u64, COUNT + 2 - 190_000);
    assert!(child.wait().expect("it ends").success());
}
