//! Removing what was said: whoever is there is told in order, on every shard, and it is nowhere any more.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::caller::{KEY, Request, ask, enter, get, keys, server};
use crate::support::backend::{self, Backend, Reply};
use crate::support::chat::{ChatClient, client_id};
use crate::support::client::Client;
use crate::support::data_dir::DataDir;
use crate::support::server::Server;
use crate::support::token;

const SECRET: &str = "what nobody is to read again";

fn removed(server: &Server, method: &str, path: &str, body: Option<Value>) -> u64 {
    ask(server, method, path, body, 200)["removed"].as_u64().expect("a number")
}

fn redact(server: &Server, room: &str, seqs: &[u64]) -> u64 {
    removed(server, "POST", &format!("/rooms/{room}/redact"), Some(json!({"seqs": seqs})))
}

/// Several in a room, on both shards.
fn audience(server: &Server, room: &str) -> Vec<ChatClient> {
    let mut all = Vec::new();
    let is_on =
        |shard: usize| server.metric("uproar_sessions", &[&format!("shard=\"{shard}\"")]) > 0.0;
    while all.len() < 4 || !(is_on(0) && is_on(1)) {
        let mut client = enter(server, &format!("listener-{}", all.len()));
        client.join(room);
        all.push(client);
    }
    all
}

/// Says something in a room and waits until it is stored; the position.
fn say(client: &mut ChatClient, room: &str, body: &Value) -> u64 {
    client.say(room, body);
    client.await_type("ack")["seq"].as_u64().expect("a position")
}

/// The positions of the messages up to the next event, and that.
fn until_event(client: &mut ChatClient) -> (Vec<u64>, Value) {
    let mut seen = Vec::new();
    loop {
        let message = client.await_type("message");
        if message["kind"] != "text" {
            return (seen, message);
        }
        seen.push(message["seq"].as_u64().expect("a position"));
    }
}

/// What a room's history has: positions and kinds.
fn history(server: &Server, room: &str) -> Vec<(u64, String)> {
    let page = get(server, &format!("/rooms/{room}/history"));
    assert!(!page.to_string().contains(SECRET), "{page}");
    let messages = page["messages"].as_array().expect("a list").iter();
    messages
        .map(|message| {
            let kind = message["kind"].as_str().expect("a kind").to_owned();
            (message["seq"].as_u64().expect("a position"), kind)
        })
        .collect()
}

fn kinds(server: &Server, room: &str) -> Vec<String> {
    history(server, room).into_iter().map(|(_, kind)| kind).collect()
}

#[test]
fn redacted_messages_are_gone_for_everybody_in_one_order() {
    let server = server(&[]);
    let mut ann = enter(&server, "ann");
    let joined = ann.join("a");
    let mut crowd = audience(&server, "a");
    let bodies = [json!("good"), json!(SECRET), json!(SECRET), json!("fine")];
    let seqs: Vec<_> = bodies.iter().map(|body| say(&mut ann, "a", body)).collect();
    assert_eq!(redact(&server, "a", &[seqs[1], seqs[2], 1_000_000]), 2);
    let last = say(&mut ann, "a", &json!("go on"));
    let mut events = Vec::new();
    for listener in &mut crowd {
        let (seen, event) = until_event(listener);
        assert_eq!(seen, seqs);
        assert_eq!(event["body"], json!({"seqs": [seqs[1], seqs[2]]}));
        assert_eq!((&event["kind"], &event["from"]["user"]), (&json!("redact"), &json!("")));
        assert_eq!(listener.await_type("message")["seq"], last);
        events.push(event);
    }
    events.dedup();
    assert_eq!(events.len(), 1, "everybody is told the same");
    let event = events[0]["seq"].as_u64().expect("a position");

    let kept = [seqs[0], seqs[3], event, last];
    let found = history(&server, "a");
    assert_eq!(found.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), kept);
    let mut late = enter(&server, "late");
    let shown = late.join("a");
    assert!(!shown.to_string().contains(SECRET), "{shown}");
    // Who comes back behind a message that is gone is told what is gone, and misses nothing.
    let mut back = enter(&server, "back");
    back.resume("a", &joined["epoch"], seqs[1]);
    let came: Vec<_> = (0..3).map(|_| back.await_type("message")["seq"].as_u64()).collect();
    assert_eq!(came, [seqs[3], event, last].map(Some));
    // Once more is nothing.
    assert_eq!(redact(&server, "a", &seqs[1..3]), 0);
    assert_eq!(history(&server, "a"), found);
    server.wait_for_metric("uproar_log_redacted_total", &[], |count| count == 2.0);
}

#[test]
fn what_was_redacted_is_not_stored_again() {
    let server = server(&[]);
    let mut ann = enter(&server, "ann");
    ann.join("a");
    let id = client_id();
    let send = json!({"type": "send", "room": "a", "client_id": id, "body": SECRET});
    ann.send(&send);
    let ack = ann.await_type("ack");
    redact(&server, "a", &[ack["seq"].as_u64().expect("a position")]);
    ann.send(&send);
    assert_eq!(ann.await_type("ack")["seq"], ack["seq"]);
    assert_eq!(kinds(&server, "a"), ["redact"]);
}

#[test]
fn a_cleared_room_begins_anew_and_says_so() {
    for rules in ["[]", "[{pattern = \"*\", engine = \"memory\"}]"] {
        let server = server(&[("UPROAR_CHAT__ROOMS", rules)]);
        let mut ann = enter(&server, "ann");
        let joined = ann.join("a");
        let mut crowd = audience(&server, "a");
        let seqs: Vec<_> = (0..300).map(|n| say(&mut ann, "a", &json!([n, SECRET]))).collect();
        assert_eq!(removed(&server, "DELETE", "/rooms/a/log", None), 300);
        let last = say(&mut ann, "a", &json!("anew"));
        for listener in &mut crowd {
            let (seen, event) = until_event(listener);
            assert_eq!((seen, &event["kind"]), (seqs.clone(), &json!("clear")));
            assert_eq!(event["body"], json!({"to": seqs[299]}));
            assert_eq!(listener.await_type("message")["seq"], last);
        }
        assert_eq!(kinds(&server, "a"), ["clear", "text"]);
        let mut back = enter(&server, "back");
        let resumed = back.resume("a", &joined["epoch"], seqs[10]);
        assert_eq!(resumed["gap"], json!({"from": seqs[10], "to": seqs[299]}));
        assert_eq!(back.await_type("message")["kind"], "clear");
        // Nobody was ever here.
        assert_eq!(removed(&server, "DELETE", "/rooms/nobody/log", None), 0);
    }
}

#[test]
fn an_erased_user_is_gone_from_rooms_and_direct_conversations() {
    let rules = "[{pattern = \"memory-*\", engine = \"memory\"}]";
    let server = server(&[("UPROAR_CHAT__ROOMS", rules)]);
    let (mut eve, mut bob) = (enter(&server, "eve"), enter(&server, "bob"));
    for room in ["a", "b", "memory-c"] {
        eve.join(room);
        bob.join(room);
        say(&mut bob, room, &json!("good morning"));
        say(&mut eve, room, &json!(SECRET));
        say(&mut bob, room, &json!("good night"));
    }
    let direct = |client: &mut ChatClient, with: &str, body: &str| {
        client.send(&json!({"type": "send", "with": with, "client_id": client_id(), "body": body}));
        client.await_type("ack")["seq"].as_u64().expect("a position")
    };
    direct(&mut eve, "bob", SECRET);
    let answer = direct(&mut bob, "eve", "who are you?");
    assert_eq!(removed(&server, "DELETE", "/users/eve/messages", None), 4);
    for room in ["a", "b", "memory-c"] {
        assert_eq!(kinds(&server, room), ["text", "text", "redact"]);
    }
    for _ in 0..4 {
        let event = bob.await_message(|message| message["kind"] == "redact");
        assert!(!event["body"].to_string().contains("eve"), "{event}");
        assert_eq!(event["from"], json!({"user": "", "name": ""}));
    }
    bob.send(&json!({"type": "history", "with": "eve"}));
    let page = bob.await_type("history");
    assert!(!page.to_string().contains(SECRET), "{page}");
    assert_eq!(page["messages"][0]["seq"], answer);
    // The other end's message goes by its position.
    let body = json!({"with": "bob", "seqs": [answer]});
    assert_eq!(removed(&server, "POST", "/users/eve/redact", Some(body)), 1);
    eve.await_message(|message| message["body"]["seqs"] == json!([answer]));
    bob.send(&json!({"type": "history", "with": "eve"}));
    let page = bob.await_type("history");
    let kinds: Vec<_> = page["messages"].as_array().expect("a list").iter().collect();
    assert!(kinds.iter().all(|message| message["kind"] == "redact"), "{page}");
}

/// What an application hears that is told of messages.
#[test]
fn webhooks_tell_what_was_removed() {
    let backend = Backend::start(|_| Reply::Status(200, String::new()));
    let url = backend.url();
    let server = server(&[
        ("UPROAR_WEBHOOKS__URL", &*url),
        ("UPROAR_WEBHOOKS__SECRET", backend::SECRET),
        ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true"),
        ("UPROAR_CHAT__ROOMS", "[{pattern = \"memory\", engine = \"memory\"}]"),
    ]);
    let mut ann = enter(&server, "ann");
    for room in ["a", "memory"] {
        ann.join(room);
        let seq = say(&mut ann, room, &json!(SECRET));
        let mut told = Vec::new();
        while told.is_empty() {
            told.extend(backend.next().json()["events"].as_array().cloned().expect("a list"));
        }
        assert_eq!((&told[0]["kind"], &told[0]["seq"]), (&json!("text"), &json!(seq)));
        redact(&server, room, &[seq]);
        let told = backend.next().json()["events"][0].clone();
        assert_eq!((&told["event"], &told["kind"]), (&json!("message"), &json!("redact")));
        assert_eq!(told["body"], json!({"seqs": [seq]}));
        assert_eq!((&told["room"], &told["from"]["user"]), (&json!(room), &json!("")));
    }
}

#[test]
fn webhooks_do_not_tell_what_was_removed_while_it_waited() {
    let fails = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&fails);
    let backend = Backend::start(move |_| {
        let status = if is_failing.load(Ordering::SeqCst) { 503 } else { 200 };
        Reply::Status(status, String::new())
    });
    let url = backend.url();
    // One message is kept: what is not in its room any more may still wait.
    let rules = "[{pattern = \"*\", engine = \"memory\", retention_messages = 1}]";
    let server = server(&[
        ("UPROAR_WEBHOOKS__URL", &*url),
        ("UPROAR_WEBHOOKS__SECRET", backend::SECRET),
        ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true"),
        ("UPROAR_WEBHOOKS__RETRY_SECS_MAX", "1"),
        ("UPROAR_CHAT__ROOMS", rules),
    ]);
    let (mut ann, mut eve) = (enter(&server, "ann"), enter(&server, "eve"));
    for room in ["a", "b"] {
        ann.join(room);
        eve.join(room);
    }
    say(&mut ann, "a", &json!("first"));
    backend.next();
    // From now on everything waits behind the first.
    let seq = say(&mut ann, "a", &json!(SECRET));
    say(&mut eve, "a", &json!(SECRET));
    say(&mut ann, "b", &json!(SECRET));
    say(&mut ann, "a", &json!("stays"));
    redact(&server, "a", &[seq]);
    removed(&server, "DELETE", "/users/eve/messages", None);
    removed(&server, "DELETE", "/rooms/b/log", None);
    say(&mut ann, "b", &json!("last"));
    fails.store(false, Ordering::SeqCst);
    let mut bodies = Vec::new();
    while bodies.last() != Some(&json!("last")) {
        let told = backend.next().json();
        assert!(!told.to_string().contains(SECRET), "{told}");
        let events = told["events"].as_array().expect("a list");
        let texts = events.iter().filter(|event| event["kind"] == "text");
        bodies.extend(texts.map(|event| event["body"].clone()));
    }
    bodies.dedup();
    assert_eq!(bodies, ["first", "stays", "last"]);
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.env("UPROAR_API__KEYS", keys(&[("users", "publish,read,users", KEY)]));
    let other = Server::spawn(command);
    for (method, path, body) in [
        ("POST", "/rooms/a/redact", Some(json!({"seqs": [1]}))),
        ("POST", "/users/ann/redact", Some(json!({"with": "bob", "seqs": [1]}))),
        ("DELETE", "/rooms/a/log", None),
        ("DELETE", "/users/ann/messages", None),
    ] {
        assert_eq!(ask(&other, method, path, body, 403)["code"], "scope");
    }
    let server = server(&[]);
    let many: Vec<u64> = (1..=257).collect();
    for (path, body) in [
        ("/rooms/a/redact", json!({})),
        ("/rooms/a/redact", json!({"seqs": []})),
        ("/rooms/a/redact", json!({"seqs": [0]})),
        ("/rooms/a/redact", json!({"seqs": [-1]})),
        ("/rooms/a/redact", json!({"seqs": ["1"]})),
        ("/rooms/a/redact", json!({"seqs": [null]})),
        ("/rooms/a/redact", json!({"seqs": many})),
        ("/rooms/a/redact", json!({"seqs": [1], "why": "spam"})),
        ("/users/ann/redact", json!({"seqs": [1]})),
        ("/users/ann/redact", json!({"with": "", "seqs": [1]})),
        ("/users/ann/redact", json!({"with": "guest-x", "seqs": [1]})),
    ] {
        assert_eq!(
            ask(&server, "POST", path, Some(body.clone()), 422)["code"],
            "invalid",
            "{body}"
        );
    }
    let refused = Request::new("DELETE", "/rooms/a/log").text("{}").send(server.address);
    assert_eq!(refused.status, 400);
}

fn start(data: &DataDir) -> Server {
    let (name, secret) = token::keys();
    let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .env("UPROAR_API__KEYS", keys(&[("all", "publish,read,users,moderate", KEY)]))
        .env(name, secret)
        .env("UPROAR_AUTH__MODES", "[\"token\"]");
    Server::spawn(command)
}

fn tool(data: &DataDir, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_uproar"))
        .arg("log")
        .args(arguments)
        .arg("--data-dir")
        .arg(data.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Whether some file in the data directory has the text.
fn holds(data: &DataDir, text: &str) -> bool {
    fs::read_dir(data.path()).expect("it is there").any(|entry| {
        let bytes = fs::read(entry.expect("an entry").path()).expect("it can be read");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Has an erasure of that user begun and kills the server as soon as anybody hears of it. How many messages were left
/// to another one.
fn interrupt(data: &DataDir, user: &str) -> (Server, u64) {
    let server = start(data);
    let mut listener = enter(&server, "listener");
    listener.join("room-7");
    for part in 0..54_u64 {
        let rooms: Vec<_> = (0..100).map(|room| format!("room-{}", (room + part) % 150)).collect();
        let body = json!({"rooms": rooms, "from": {"user": user}, "body": [part, SECRET]});
        ask(&server, "POST", "/publish", Some(body), 200);
    }
    let mut caller = Client::raw(server.address);
    let head = format!(
        "DELETE /api/v1/users/{user}/messages HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {KEY}\r\n\r\n"
    );
    caller.write(head.as_bytes());
    until_event(&mut listener);
    server.kill();
    let server = start(data);
    let left = removed(&server, "DELETE", &format!("/users/{user}/messages"), None);
    assert_eq!(removed(&server, "DELETE", &format!("/users/{user}/messages"), None), 0);
    (server, left)
}

/// The server is killed in the middle of an erasure; who asks again has the rest of it done.
#[test]
fn an_erasure_outlives_the_server() {
    let data = DataDir::new();
    let server = start(&data);
    for part in 0..6 {
        let rooms: Vec<_> = (0..100).map(|room| format!("room-{}", (room + part) % 150)).collect();
        let body = json!({"rooms": rooms, "from": {"user": "bob"}, "body": [part, "good morning"]});
        ask(&server, "POST", "/publish", Some(body), 200);
    }
    server.kill();
    // The erasure takes some twenty steps, and may yet be faster than the one who kills.
    let mut tries = (0..5).map(|number| interrupt(&data, &format!("eve-{number}")));
    let (server, _) = tries.find(|(_, left)| *left > 0).expect("one of them was in the middle");
    let mut bob = enter(&server, "bob");
    let mut texts = 0;
    for room in 0..150 {
        let room = format!("room-{room}");
        for message in bob.whole_log(&room) {
            assert!(message.user == "bob" || message.user.is_empty(), "{message:?}");
            texts += usize::from(message.user == "bob");
        }
        bob.send(&json!({"type": "leave", "room": room}));
    }
    assert_eq!(texts, 600);
    // With the end of the next pass of retention nothing of it is in the file, while the server goes on.
    crate::support::wait_for("the file is clean", || (!holds(&data, SECRET)).then_some(()));
    let export = tool(&data, &["export"]);
    assert!(!export.contains(SECRET) && export.contains("\"kind\":\"redact\""));
    assert!(tool(&data, &["check"]).contains(": ok"));
    server.signal("TERM");
    drop(server);
    // What is exported can be read in elsewhere, events and all.
    let other = DataDir::new();
    let file = other.path().join("export.jsonl");
    fs::write(&file, export.clone()).expect("written");
    tool(&other, &["import", file.to_str().expect("text")]);
    let again = tool(&other, &["export"]);
    let messages = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("\"message\"")).map(str::to_owned).collect()
    };
    assert_eq!(messages(&again), messages(&export));
    assert!(tool(&other, &["check"]).contains(": ok"));
}

/// Somebody else holds the database's lock: nothing is removed, that is said, and asking again does it.
#[test]
fn a_log_that_cannot_be_written_is_said_to_be_and_nothing_is_half_done() {
    let data = DataDir::new();
    let server = start(&data);
    let mut ann = enter(&server, "ann");
    ann.join("a");
    let seqs: Vec<_> = (0..3).map(|n| say(&mut ann, "a", &json!(n))).collect();
    let other = rusqlite::Connection::open(data.path().join("uproar.db")).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    let body = json!({"seqs": [seqs[0]]});
    let problem = ask(&server, "POST", "/rooms/a/redact", Some(body.clone()), 503);
    assert_eq!(problem["code"], "unavailable");
    ask(&server, "DELETE", "/rooms/a/log", None, 503);
    ask(&server, "DELETE", "/users/ann/messages", None, 503);
    other.execute_batch("ROLLBACK").expect("it began");
    assert_eq!(kinds(&server, "a"), ["text", "text", "text"]);
    assert_eq!(removed(&server, "POST", "/rooms/a/redact", Some(body)), 1);
    assert_eq!(removed(&server, "DELETE", "/users/ann/messages", None), 2);
    assert_eq!(kinds(&server, "a"), ["redact", "redact"]);
    let (_, event) = until_event(&mut ann);
    assert_eq!(event["body"], json!({"seqs": [seqs[0]]}));
}
