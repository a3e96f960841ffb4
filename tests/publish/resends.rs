//! What is in the log is acknowledged as it was, whatever the application says when it is sent again.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use uproar::config::KeyHash;

use super::support::backend::{Backend, Reply};
use super::support::chat::{ChatClient, client_id};
use super::support::data_dir::DataDir;
use super::{allow, answer, bodies, deny, member, replace, server};

fn send(sender: &mut ChatClient, id: &str, body: &Value) -> Value {
    sender.send(&json!({"type": "send", "room": "hall", "client_id": id, "body": body}));
    answer(sender, id)
}

/// What is answered the first time, the second time and so on.
fn backend(answers: Vec<fn() -> Reply>) -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |_| answers[count.fetch_add(1, Ordering::SeqCst) % answers.len()]())
}

fn check(engine: &str) {
    let answers: Vec<fn() -> Reply> = vec![
        || replace(&json!("first")),
        || replace(&json!("second")),
        || deny("no more"),
        || Reply::Status(500, String::new()),
        allow,
        allow,
        allow,
    ];
    let backend = backend(answers);
    let rooms = format!("[{{pattern = \"*\", engine = \"{engine}\"}}]");
    let server = server(&backend, &[("UPROAR_CHAT__ROOMS", &rooms)]);
    let mut alice = member(&server, "hall", "Alice");
    let id = client_id();
    let ack = send(&mut alice, &id, &json!("said"));
    assert_eq!(ack["type"], "ack");
    for _ in 0..4 {
        assert_eq!(send(&mut alice, &id, &json!("said")), ack, "{engine}");
    }
    // It stands for what was sent, neither for something else nor for what was made of it.
    for other in ["other", "first"] {
        assert_eq!(send(&mut alice, &id, &json!(other))["code"], "id_conflict", "{engine}");
    }
    assert_eq!(bodies(&server, "hall"), ["first"]);
    let told = alice.drain();
    let messages = told.iter().filter(|message| message["type"] == "message");
    assert!(messages.count() <= 1, "it is delivered once");
}

#[test]
fn what_was_replaced_is_known_by_what_was_sent() {
    check("durable");
    check("memory");
}

#[test]
fn what_was_stored_as_it_was_stays_so() {
    let backend = backend(vec![allow, || replace(&json!("too late")), || deny("too late")]);
    let server = server(&backend, &[]);
    let mut alice = member(&server, "hall", "Alice");
    let id = client_id();
    let ack = send(&mut alice, &id, &json!("said"));
    assert_eq!(ack["type"], "ack");
    assert_eq!(send(&mut alice, &id, &json!("said")), ack);
    assert_eq!(send(&mut alice, &id, &json!("said")), ack);
    assert_eq!(bodies(&server, "hall"), ["said"]);
}

#[test]
fn what_was_denied_may_be_allowed_the_next_time() {
    let backend = backend(vec![|| deny("not yet"), || Reply::Status(500, String::new()), allow]);
    let server = server(&backend, &[]);
    let mut alice = member(&server, "hall", "Alice");
    let id = client_id();
    assert_eq!(send(&mut alice, &id, &json!("said"))["code"], "denied");
    assert_eq!(send(&mut alice, &id, &json!("said"))["code"], "unavailable");
    assert_eq!(send(&mut alice, &id, &json!("said"))["type"], "ack");
    assert_eq!(bodies(&server, "hall"), ["said"]);
}

#[test]
fn an_ack_means_stored_and_what_was_asked_about_when_the_server_was_killed_is_not() {
    let backend = Backend::start(|asked| match super::said(asked).as_str() {
        Some("hang") => Reply::Hang,
        Some(said) => replace(&json!(format!("not {said}"))),
        None => allow(),
    });
    let data = DataDir::new();
    let path = data.path().to_str().expect("text");
    let settings = [("UPROAR_SERVER__DATA_DIR", path)];
    let first = server(&backend, &settings);
    let mut alice = member(&first, "hall", "Alice");
    let guest = alice.welcome["guest"].clone();
    let id = client_id();
    let ack = send(&mut alice, &id, &json!("said"));
    let lost = alice.say("hall", &json!("hang"));
    first.wait_for_metric("uproar_publish_waiting_messages", &[], |waiting| waiting == 1.0);
    first.kill();
    let second = server(&backend, &settings);
    let hello = json!({ "type": "hello", "guest": guest });
    let connected = super::support::client::Client::connect(second.address, "/chat");
    let mut alice = ChatClient::hello(connected, &hello);
    alice.join("hall");
    assert_eq!(bodies(&second, "hall"), ["not said"]);
    let again = send(&mut alice, &id, &json!("said"));
    assert_eq!((&again["seq"], &again["time"]), (&ack["seq"], &ack["time"]));
    assert_eq!(send(&mut alice, &lost, &json!("found"))["type"], "ack");
    assert_eq!(bodies(&second, "hall"), ["not said", "not found"]);
}

#[test]
fn what_was_replaced_and_then_removed_is_known_and_does_not_come_again() {
    for engine in ["durable", "memory"] {
        let backend = Backend::start(|_| replace(&json!("first")));
        let key = "a key of the application, which nobody else has";
        let keys = format!("[\"shop:moderate:{}\"]", KeyHash::of(key));
        let rooms = format!("[{{pattern = \"*\", engine = \"{engine}\"}}]");
        let settings = [("UPROAR_API__KEYS", &*keys), ("UPROAR_CHAT__ROOMS", &rooms)];
        let server = server(&backend, &settings);
        let mut alice = member(&server, "hall", "Alice");
        let id = client_id();
        let ack = send(&mut alice, &id, &json!("said"));
        super::ask_api(&server, key, "/rooms/hall/redact", &json!({ "seqs": [ack["seq"]] }));
        let again = send(&mut alice, &id, &json!("said"));
        assert_eq!((&again["type"], &again["seq"]), (&json!("ack"), &ack["seq"]), "{engine}");
        assert_eq!(send(&mut alice, &id, &json!("first"))["code"], "id_conflict", "{engine}");
        let left = bodies(&server, "hall");
        assert!(left.iter().all(|body| body != "first" && body != "said"), "{engine}: {left:?}");
    }
}

#[test]
fn what_was_replaced_is_known_in_a_log_that_was_exported_and_imported() {
    let backend = Backend::start(|_| replace(&json!("first")));
    let (old, new) = (DataDir::new(), DataDir::new());
    let path = |data: &DataDir| data.path().to_str().expect("text").to_owned();
    let (from, to) = (path(&old), path(&new));
    let mut first = server(&backend, &[("UPROAR_SERVER__DATA_DIR", &from)]);
    let mut alice = member(&first, "hall", "Alice");
    let guest = alice.welcome["guest"].clone();
    let id = client_id();
    let ack = send(&mut alice, &id, &json!("said"));
    first.signal("TERM");
    drop(alice);
    assert!(first.wait().success());
    let exported = old.path().join("log.jsonl");
    let exported = exported.to_str().expect("text");
    tool(&from, &["check"]);
    tool(&from, &["export", exported]);
    tool(&to, &["import", exported]);
    tool(&to, &["check"]);
    // So that it knows her.
    std::fs::copy(old.path().join("guest.key"), new.path().join("guest.key")).expect("it is there");
    let second = server(&backend, &[("UPROAR_SERVER__DATA_DIR", &to)]);
    let connected = super::support::client::Client::connect(second.address, "/chat");
    let mut alice = ChatClient::hello(connected, &json!({ "type": "hello", "guest": guest }));
    alice.join("hall");
    let again = send(&mut alice, &id, &json!("said"));
    assert_eq!((&again["type"], &again["seq"]), (&json!("ack"), &ack["seq"]));
    assert_eq!(send(&mut alice, &id, &json!("first"))["code"], "id_conflict");
    assert_eq!(bodies(&second, "hall"), ["first"]);
}

fn tool(data: &str, arguments: &[&str]) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_uproar"));
    let output = command.arg("log").args(arguments).args(["--data-dir", data]).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}
