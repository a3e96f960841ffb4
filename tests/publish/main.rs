//! The publish callback: the application says what is stored, whatever it does instead of answering nothing is that it has
//! not allowed, and the order of a conversation is kept.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::disallowed_types, reason = "between the threads of a backend and the test")]

mod answers;
mod barred;
mod failures;
mod order;
mod resends;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::backend::{Asked, Backend, Reply, SECRET};
use support::chat::ChatClient;
use support::client::Client;
use support::server::Server;

/// A server whose messages that backend is asked about, with those settings beside.
fn server(backend: &Backend, settings: &[(&str, &str)]) -> Server {
    let url = backend.url();
    let mut all = vec![
        ("UPROAR_CALLBACKS__PUBLISH_URL", &*url),
        ("UPROAR_CALLBACKS__SECRET", SECRET),
        ("UPROAR_LOG__SYNCHRONOUS", "normal"),
        ("UPROAR_TELEMETRY__LOG_LEVEL", "debug"),
    ];
    all.extend_from_slice(settings);
    Server::start_with(&["--shards", "4"], &all)
}

/// A member of a room.
fn member(server: &Server, room: &str, name: &str) -> ChatClient {
    let mut member = ChatClient::connect(server.address, name);
    member.join(room);
    member
}

/// The answer to a message that is sent now: an `ack` or an `error`.
fn say(sender: &mut ChatClient, room: &str, body: &Value) -> Value {
    let id = sender.say(room, body);
    answer(sender, &id)
}

fn answer(sender: &mut ChatClient, id: &str) -> Value {
    sender.await_message(|message| {
        message["client_id"] == id && (message["type"] == "ack" || message["type"] == "error")
    })
}

/// The bodies of a room's log.
fn bodies(server: &Server, room: &str) -> Vec<Value> {
    let mut reader = ChatClient::connect(server.address, "reader");
    reader.join(room);
    let mut bodies = Vec::new();
    let mut after = json!(0);
    loop {
        reader.send(&json!({"type": "history", "room": room, "after": after, "limit": 100}));
        let page = reader.await_type("history");
        let messages = page["messages"].as_array().expect("a list");
        bodies.extend(messages.iter().map(|message| message["body"].clone()));
        if page["more"] == false {
            return bodies;
        }
        after = messages.last().expect("some")["seq"].clone();
    }
}

/// Has the API do something.
fn ask_api(server: &Server, key: &str, path: &str, body: &Value) {
    request_api(server, key, ("POST", path), &body.to_string());
}

fn request_api(server: &Server, key: &str, (method, path): (&str, &str), body: &str) {
    let mut client = Client::raw(server.address);
    client.write(
        format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 20"), "{head}");
}

fn results(server: &Server, result: &str) -> f64 {
    server.metric("uproar_publish_callbacks_total", &[&format!("result=\"{result}\"")])
}

fn requests(server: &Server, result: &str) -> f64 {
    let result = format!("result=\"{result}\"");
    server.metric("uproar_outbound_requests_total", &["purpose=\"publish\"", &result])
}

fn allow() -> Reply {
    Reply::Status(204, String::new())
}

fn deny(reason: &str) -> Reply {
    Reply::Status(403, json!({ "reason": reason }).to_string())
}

fn replace(body: &Value) -> Reply {
    Reply::Status(200, json!({ "body": body }).to_string())
}

/// What a message says that is asked about.
fn said(asked: &Asked) -> Value {
    asked.json()["body"].clone()
}

#[track_caller]
fn check_unavailable(error: &Value, room: &str) {
    assert_eq!(error["code"], "unavailable", "{error}");
    assert_eq!(error["room"], room);
    assert!(error["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{error}");
}
