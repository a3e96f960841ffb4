//! What is asked, and what the three answers lead to.

use serde_json::json;
use uproar::config::KeyHash;

use super::support::backend::{Backend, Reply, SECRET};
use super::support::chat::{ChatClient, client_id};
use super::support::client::{Client, request};
use super::support::server::Server;
use super::support::token::{keys, now, token};
use super::{allow, answer, bodies, deny, member, replace, results, said, say, server};

#[test]
fn the_application_is_asked_who_says_what_where() {
    let backend = Backend::start(|_| allow());
    let (name, keys) = keys();
    let server = server(&backend, &[("UPROAR_AUTH__MODES", "[\"token\"]"), (name, &keys)]);
    let mut alice = user(&server, "alice");
    let mut bob = user(&server, "bob");
    alice.join("hall");
    let body = json!({ "text": "h\u{e9}llo", "n": [1.50, null] });
    let ack = say(&mut alice, "hall", &body);
    assert_eq!((&ack["type"], &ack["stored"]), (&json!("ack"), &json!(true)));
    let asked = backend.next();
    assert!(asked.head.starts_with("POST /uproar?app=1 HTTP/1.1\n"), "{}", asked.head);
    assert!(asked.is_signed(SECRET), "{asked:?}");
    let mut question = asked.json();
    let time = question["time"].take().as_u64().expect("a time");
    assert!((time / 1000).abs_diff(now()) < 120);
    assert_eq!(
        question,
        json!({
            "event": "publish", "from": { "user": "alice", "name": "alice" }, "room": "hall",
            "client_id": ack["client_id"], "time": null, "body": body,
        })
    );
    assert_eq!(bodies_of(&mut alice, "hall"), [body]);
    let id = client_id();
    alice.send(&json!({"type": "send", "with": "bob", "client_id": id, "body": 1, "ref": "r"}));
    assert_eq!(answer(&mut alice, &id)["with"], "bob");
    assert_eq!(bob.await_type("message")["with"], "alice");
    let question = backend.next().json();
    assert_eq!((&question["with"], &question["room"]), (&json!("bob"), &json!(null)));
}

#[test]
fn what_is_denied_is_not_stored_and_the_sender_is_told_why() {
    let backend = Backend::start(|asked| match said(asked).as_str() {
        Some("rude") => deny("Be kind, \u{fc}nless \"asked\"."),
        Some("long") => deny(&"x".repeat(201)),
        Some("evil") => deny("a\u{1b}[2J\u{202e}b"),
        Some("mute") => Reply::Status(403, "<script>alert(1)</script>".into()),
        _ => allow(),
    });
    let server = server(&backend, &[]);
    let mut alice = member(&server, "hall", "Alice");
    let mut bob = member(&server, "hall", "Bob");
    let error = say(&mut alice, "hall", &json!("rude"));
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("denied")));
    assert_eq!(error["message"], "Be kind, \u{fc}nless \"asked\".");
    assert_eq!((&error["room"], &error["retry_after_ms"]), (&json!("hall"), &json!(null)));
    for body in ["long", "evil", "mute"] {
        let error = say(&mut alice, "hall", &json!(body));
        assert_eq!(error["code"], "denied");
        assert_eq!(error["message"], "this message is not wanted here");
    }
    assert_eq!(say(&mut alice, "hall", &json!("kind"))["type"], "ack");
    assert_eq!(bob.await_type("message")["body"], "kind");
    assert_eq!(bodies(&server, "hall"), ["kind"]);
    assert_eq!((results(&server, "denied"), results(&server, "allowed")), (4.0, 1.0));
    let denied = ["result=\"denied\""];
    server.wait_for_metric("uproar_log_messages_total", &denied, |count| count == 4.0);
    // However often somebody is told so, it costs them nothing else.
    (0..100).for_each(|_| drop(alice.say("hall", &json!("mute"))));
    (0..100).for_each(|_| drop(alice.await_type("error")));
    assert_eq!(say(&mut alice, "hall", &json!("still here"))["type"], "ack");
}

#[test]
fn another_body_is_what_everybody_gets() {
    let backend = Backend::start(|asked| match said(asked).as_str() {
        Some("damn") => Reply::Status(200, "{\"body\": {\"t\":\"d***\", \"n\" : [1.50]}}".into()),
        Some("nothing") => replace(&json!(null)),
        _ => allow(),
    });
    let server = server(&backend, &[]);
    let mut alice = member(&server, "hall", "Alice");
    let mut bob = member(&server, "hall", "Bob");
    for said in ["damn", "nothing", "well"] {
        assert_eq!(say(&mut alice, "hall", &json!(said))["stored"], true);
    }
    let expected = [json!({ "t": "d***", "n": [1.50] }), json!(null), json!("well")];
    for body in &expected {
        assert_eq!(
            (&alice.await_type("message")["body"], &bob.await_type("message")["body"]),
            (body, body)
        );
    }
    assert_eq!(bodies(&server, "hall"), expected);
    assert_eq!((results(&server, "replaced"), results(&server, "allowed")), (2.0, 1.0));
}

#[test]
fn only_what_is_configured_is_asked_about_and_never_what_the_application_says_itself() {
    let backend = Backend::start(|_| deny(""));
    let (name, keys) = keys();
    let settings = [
        ("UPROAR_AUTH__MODES", "[\"token\"]"),
        (name, &*keys),
        ("UPROAR_CALLBACKS__PUBLISH_ROOMS", "[\"team-*\", \"hall\"]"),
        ("UPROAR_CALLBACKS__PUBLISH_DIRECT", "false"),
    ];
    let server = server(&backend, &settings);
    let mut alice = user(&server, "alice");
    for (room, kind) in [("team-a", "error"), ("hall", "error"), ("hall-2", "ack"), ("tea", "ack")]
    {
        alice.join(room);
        assert_eq!(say(&mut alice, room, &json!(1))["type"], kind, "{room}");
    }
    let id = client_id();
    alice.send(&json!({"type": "send", "with": "bob", "client_id": id, "body": 1}));
    assert_eq!(answer(&mut alice, &id)["type"], "ack");
    // Nothing of a relay room is stored, and nobody is asked.
    let (mut one, mut other) = (relay(&server), relay(&server));
    one.send("said");
    assert_eq!(other.next().text(), "said");
    assert_eq!(results(&server, "denied"), 2.0);
    assert_eq!(requests_of(&backend), 2);
}

#[test]
fn what_the_application_publishes_is_not_asked_about() {
    let backend = Backend::start(|_| deny(""));
    let key = "a key of the application, which nobody else has";
    let keys = format!("[\"shop:publish:{}\"]", KeyHash::of(key));
    let settings = [("UPROAR_API__KEYS", &*keys)];
    let server = server(&backend, &settings);
    let mut alice = member(&server, "hall", "Alice");
    assert_eq!(say(&mut alice, "hall", &json!("mine"))["code"], "denied");
    let body = json!({ "rooms": ["hall"], "from": { "user": "shop" }, "body": "ours" });
    super::ask_api(&server, key, "/publish", &body);
    assert_eq!(alice.await_type("message")["body"], "ours");
    assert_eq!(bodies(&server, "hall"), ["ours"]);
    assert_eq!(requests_of(&backend), 1);
}

fn requests_of(backend: &Backend) -> usize {
    backend.asked.try_iter().count()
}

fn relay(server: &Server) -> Client {
    let mut client = Client::raw(server.address);
    let field = format!("Authorization: Bearer {}\r\n\r\n", token("carol", &rights()));
    let request = request("/relay/team-a");
    let head = request.strip_suffix("\r\n").expect("its end");
    client.write(format!("{head}{field}").as_bytes());
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

fn rights() -> serde_json::Value {
    json!({ "rooms": { "*": ["join", "send", "history"] }, "direct": true })
}

pub(super) fn user(server: &Server, name: &str) -> ChatClient {
    let hello = json!({ "type": "hello", "token": token(name, &rights()) });
    ChatClient::hello(Client::connect(server.address, "/chat"), &hello)
}

fn bodies_of(reader: &mut ChatClient, room: &str) -> Vec<serde_json::Value> {
    reader.send(&json!({"type": "history", "room": room, "after": 0}));
    let page = reader.await_type("history");
    let messages = page["messages"].as_array().expect("a list");
    messages.iter().map(|message| message["body"].clone()).collect()
}
