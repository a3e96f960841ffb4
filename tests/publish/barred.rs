//! Who is banned or muted while the application thinks about what they said: nothing of it is heard any more.

use std::sync::Arc;

use serde_json::{Value, json};
use uproar::config::KeyHash;

use super::answers::user;
use super::order::{Gate, gated};
use super::support::backend::Backend;
use super::support::chat::{ChatClient, client_id};
use super::support::server::Server;
use super::support::token::keys;
use super::{answer, ask_api, bodies, request_api, results, said, say};

const KEY: &str = "a key of the application, which nobody else has";

/// A server with an application that takes its time for what begins with "slow", and with users and guests.
fn start() -> (Backend, Arc<Gate>, Server) {
    let (backend, gate) = gated();
    let (name, secret) = keys();
    let api = format!("[\"shop:users,moderate:{}\"]", KeyHash::of(KEY));
    let settings = [
        ("UPROAR_AUTH__MODES", "[\"token\", \"open\"]"),
        (name, &*secret),
        ("UPROAR_API__KEYS", &*api),
        ("UPROAR_CALLBACKS__PUBLISH_TIMEOUT_MS", "30000"),
    ];
    let server = super::server(&backend, &settings);
    (backend, gate, server)
}

fn inhabitant(server: &Server, name: &str) -> ChatClient {
    let mut user = user(server, name);
    user.join("hall");
    user
}

/// Until the application has been asked about each of these.
fn await_questions(backend: &Backend, count: usize) {
    for _ in 0..count {
        assert!(said(&backend.next()).as_str().is_some_and(|said| said.starts_with("slow")));
    }
}

/// The bodies of the messages that came so far.
fn heard(listener: &mut ChatClient) -> Vec<Value> {
    let told = listener.drain().into_iter().filter(|told| told["type"] == "message");
    told.map(|mut message| message["body"].take()).collect()
}

#[test]
fn who_is_banned_and_erased_is_not_heard_afterwards() {
    let (backend, gate, server) = start();
    let mut bob = inhabitant(&server, "bob");
    let mut ann = inhabitant(&server, "ann");
    assert_eq!(say(&mut ann, "hall", &json!("before"))["type"], "ack");
    while said(&backend.next()) != json!("before") {}
    (0..3).for_each(|n| drop(ann.say("hall", &json!(format!("slow {n}")))));
    let direct =
        json!({"type": "send", "with": "bob", "client_id": client_id(), "body": "slow direct"});
    ann.send(&direct);
    await_questions(&backend, 4);
    // One that was answered, and waits behind one that was not.
    ann.say("hall", &json!("quick"));
    while said(&backend.next()) != json!("quick") {}

    ask_api(&server, KEY, "/users/ann/ban", &json!({}));
    request_api(&server, KEY, ("DELETE", "/users/ann/messages"), "");
    gate.open();
    // In the room this comes behind all of hers.
    assert_eq!(say(&mut bob, "hall", &json!("after"))["type"], "ack");
    server.wait_for_metric("uproar_publish_callbacks_total", &["barred"], |count| count == 5.0);
    server.wait_for_metric("uproar_publish_waiting_messages", &[], |waiting| waiting == 0.0);
    let left: Vec<_> = bodies(&server, "hall").into_iter().filter(Value::is_string).collect();
    assert_eq!(left, ["after"]);
    bob.send(&json!({"type": "history", "with": "ann", "after": 0}));
    let page = bob.await_message(|told| told["type"] == "history");
    assert_eq!(page["messages"], json!([]));
    assert!(heard(&mut bob).iter().all(|body| !body.to_string().contains("slow")));

    // Once the ban is over she is heard, and what was refused may be sent again.
    request_api(&server, KEY, ("DELETE", "/users/ann/ban"), "");
    let mut ann = inhabitant(&server, "ann");
    ann.send(&direct);
    assert_eq!(bob.await_message(|told| told["body"] == "slow direct")["from"]["user"], "ann");
    assert_eq!(results(&server, "barred"), 5.0);
}

#[test]
fn who_is_muted_meanwhile_is_told_so() {
    let (backend, gate, server) = start();
    let mut ann = inhabitant(&server, "ann");
    let id = ann.say("hall", &json!("slow"));
    await_questions(&backend, 1);
    ask_api(&server, KEY, "/users/ann/mute", &json!({}));
    gate.open();
    let refused = answer(&mut ann, &id);
    assert_eq!(refused["code"], "denied", "{refused}");
    assert_eq!(refused["message"], "this user may say nothing for now");
    assert!(bodies(&server, "hall").is_empty());
    assert_eq!((results(&server, "allowed"), results(&server, "barred")), (1.0, 1.0));
}

#[test]
fn who_was_only_disconnected_is_heard() {
    let (backend, gate, server) = start();
    let mut bob = inhabitant(&server, "bob");
    let mut ann = inhabitant(&server, "ann");
    ann.say("hall", &json!("slow"));
    await_questions(&backend, 1);
    ask_api(&server, KEY, "/users/ann/disconnect", &json!({}));
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 1.0);
    gate.open();
    assert_eq!(bob.await_type("message")["body"], "slow");
    assert_eq!(results(&server, "barred"), 0.0);
}
