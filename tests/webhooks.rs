//! Webhooks: the application is told every stored message at least once, in order, whatever becomes of the server and of
//! the receiver in the meantime; and who comes and goes.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::backend::{Asked, Backend, Reply, SECRET};
use support::chat::ChatClient;
use support::client::Client;
use support::data_dir::DataDir;
use support::server::Server;
use support::token::{keys, token};
use support::wait_for;

const ALL: &str = "[\"message\", \"room\", \"member\", \"user\"]";

fn server(backend: &Backend, settings: &[(&str, &str)]) -> Server {
    let url = backend.url();
    let mut all = vec![
        ("UPROAR_WEBHOOKS__URL", &*url),
        ("UPROAR_WEBHOOKS__SECRET", SECRET),
        ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true"),
        ("UPROAR_WEBHOOKS__RETRY_SECS_MAX", "1"),
        ("UPROAR_LOG__SYNCHRONOUS", "normal"),
    ];
    all.extend_from_slice(settings);
    Server::start_with(&[], &all)
}

fn taken() -> Reply {
    Reply::Status(200, String::new())
}

fn events(asked: &Asked) -> Vec<Value> {
    assert!(asked.is_signed(SECRET), "{asked:?}");
    asked.json()["events"].as_array().expect("a list").clone()
}

/// Events of a backend that takes them all, until there are so many.
fn collect(backend: &Backend, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(events(&backend.next()));
    }
    all
}

fn told(server: &Server, result: &str) -> f64 {
    server.metric("uproar_webhook_events_total", &[&format!("result=\"{result}\"")])
}

#[test]
fn stored_messages_are_told_as_they_are() {
    let backend = Backend::start(|_| taken());
    let server = server(&backend, &[]);
    let mut alice = ChatClient::connect(server.address, "Alice");
    alice.join("hall");
    let id = alice.say("hall", &json!({ "text": "h\u{e9}llo", "n": [1.50, null] }));
    let ack = alice.await_type("ack");
    let event = &collect(&backend, 1)[0];
    assert_eq!(
        (&event["event"], &event["room"], &event["client_id"], &event["seq"], &event["time"]),
        (&json!("message"), &json!("hall"), &json!(id), &ack["seq"], &ack["time"])
    );
    assert_eq!(event["from"], json!({ "user": alice.user(), "name": "Alice" }));
    assert_eq!(event["body"], json!({ "text": "h\u{e9}llo", "n": [1.50, null] }));
    assert_eq!((&event["stored"], &event["prev"]), (&json!(true), &json!(0)));
    assert!(event["id"].as_str().expect("an id").ends_with(&format!("-{}", ack["seq"])));
    server.wait_for_metric("uproar_webhook_events_total", &["delivered"], |count| count == 1.0);
    assert_eq!((told(&server, "dropped"), told(&server, "dead")), (0.0, 0.0));
}

#[test]
fn a_receiver_that_fails_gets_everything_in_order_all_the_same() {
    let count = AtomicUsize::new(0);
    let failures: [fn() -> Reply; 4] = [
        || Reply::Status(500, String::new()),
        || Reply::Raw(b"HTTP/1.1 302 Away\r\nlocation: http://127.0.0.1:1/\r\n\r\n".into()),
        || Reply::Raw(b"what?".into()),
        || Reply::Status(404, String::new()),
    ];
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let backend = Backend::start(move |_| {
        let at = count.fetch_add(1, Ordering::SeqCst);
        if well.load(Ordering::SeqCst) { taken() } else { failures[at % 4]() }
    });
    let server = server(&backend, &[("UPROAR_WEBHOOKS__BATCH_EVENTS_MAX", "7")]);
    let mut alice = ChatClient::connect(server.address, "Alice");
    alice.join("one");
    alice.join("two");
    for n in 0..50 {
        alice.say(if n % 2 == 0 { "one" } else { "two" }, &json!(n));
    }
    // A receiver that does not take anything slows nobody.
    (0..50).for_each(|_| drop(alice.await_type("ack")));
    server.wait_for_metric("uproar_webhook_retries_total", &[], |retries| retries >= 5.0);
    assert_eq!(told(&server, "delivered"), 0.0);
    is_well.store(true, Ordering::SeqCst);
    server.wait_for_metric("uproar_webhook_events_total", &["delivered"], |count| count == 50.0);
    let mut by_delivery: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut order, mut last) = (Vec::new(), None);
    while let Ok(asked) = backend.asked.try_recv() {
        let events = events(&asked);
        assert!(events.len() <= 7);
        let delivery = asked.field("uproar-delivery").expect("an id").to_owned();
        // A try again is the same again.
        let body = by_delivery.entry(delivery.clone()).or_insert_with(|| asked.body.clone());
        assert_eq!(*body, asked.body);
        if last.replace(delivery.clone()) != Some(delivery) {
            order.extend(events.iter().map(|event| event["body"].as_u64().expect("a number")));
        }
    }
    assert_eq!(order, (0..50).collect::<Vec<_>>());
    server.wait_for_metric("uproar_webhook_lag_positions", &[], |lag| lag == 0.0);
}

#[test]
fn nothing_is_missed_when_the_server_is_killed() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let backend = Backend::start(move |_| {
        if well.load(Ordering::SeqCst) { taken() } else { Reply::Status(503, String::new()) }
    });
    let data = DataDir::new();
    let path = data.path().to_str().expect("a path").to_owned();
    let settings =
        [("UPROAR_SERVER__DATA_DIR", &*path), ("UPROAR_WEBHOOKS__BATCH_EVENTS_MAX", "3")];
    let say = |server: &Server, from: u64| {
        let mut alice = ChatClient::connect(server.address, "Alice");
        alice.join("hall");
        (from..from + 20).for_each(|n| drop(alice.say("hall", &json!(n))));
        (0..20).for_each(|_| drop(alice.await_type("ack")));
    };
    // What was said before anybody was to be told is history.
    let before = Server::start_with(&[], &settings[..1]);
    say(&before, 1000);
    before.kill();
    let first = server(&backend, &settings);
    let place = data.path().join("webhook-place.json");
    wait_for("the place is kept", || place.exists().then_some(()));
    say(&first, 0);
    backend.next();
    first.kill();
    let second = server(&backend, &settings);
    say(&second, 20);
    is_well.store(true, Ordering::SeqCst);
    wait_for("some are told", || (told(&second, "delivered") >= 10.0).then_some(()));
    second.kill();
    let third = server(&backend, &settings);
    say(&third, 40);
    let mut told: Vec<u64> = Vec::new();
    while told.last() != Some(&59) {
        for event in events(&backend.next()) {
            told.push(event["body"].as_u64().expect("a number"));
        }
    }
    let mut seen = told.clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..60).collect::<Vec<_>>(), "each at least once, and nothing of before");
}

/// A session of a user who shows a token.
fn authenticated(server: &Server, user: &str) -> ChatClient {
    let bearer = token(user, &json!({ "rooms": { "*": ["join", "send", "members"] } }));
    let mut client = Client::raw(server.address);
    client.write(
        format!(
            "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Authorization: Bearer {bearer}\r\n\r\n"
        )
        .as_bytes(),
    );
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    ChatClient::hello(client, &json!({ "type": "hello" }))
}

/// Bob says something in the hall, a guest comes and goes, somebody is in the yard, and all leave; the guest.
fn come_and_go(server: &Server) -> String {
    let mut bob = authenticated(server, "bob");
    bob.join("hall");
    bob.say("hall", &json!("here"));
    bob.await_type("ack");
    let mut alice = ChatClient::connect(server.address, "Alice");
    let guest = alice.user().to_owned();
    alice.join("hall");
    bob.await_message(|message| message["type"] == "presence" && message["user"] == guest.as_str());
    drop(alice);
    bob.await_message(|message| message["type"] == "presence" && message["event"] == "leave");
    let relay = Client::connect(server.address, "/relay/yard");
    drop((bob, relay));
    guest
}

/// Everything that a backend is told until there is one of each of these.
fn collect_until(backend: &Backend, last: &[(&str, &str, &str)]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let is = |event: &Value, (kind, key, value): &(&str, &str, &str)| {
        event["event"] == *kind && event[key] == *value
    };
    while !last.iter().all(|wanted| all.iter().any(|event| is(event, wanted))) {
        let Ok(asked) = backend.asked.recv_timeout(support::PATIENCE) else {
            panic!("not all is told: {all:#?}");
        };
        all.extend(events(&asked));
    }
    all
}

#[test]
fn rooms_members_and_users_are_told_in_order() {
    let backend = Backend::start(|_| taken());
    let (name, keys) = keys();
    let settings = [
        (name, &*keys),
        ("UPROAR_AUTH__MODES", "[\"token\", \"open\"]"),
        ("UPROAR_WEBHOOKS__EVENTS", ALL),
        ("UPROAR_SERVER__SHARDS", "3"),
        ("UPROAR_CHAT__ROOMS", "[{pattern = \"*\", engine = \"memory\", retention_messages = 10}]"),
    ];
    let server = server(&backend, &settings);
    let guest = come_and_go(&server);
    let last = [
        ("user_offline", "user", "bob"),
        ("room_vacated", "room", "yard"),
        ("room_vacated", "room", "hall"),
        ("user_left", "user", "bob"),
    ];
    let all = collect_until(&backend, &last);
    let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<&str> {
        let wanted = all.iter().filter(|event| wanted(event));
        wanted.map(|event| event["event"].as_str().expect("a text")).collect()
    };
    let users = of(&|event| event["user"] == "bob" && event["room"].is_null());
    assert_eq!(users, ["user_online", "user_offline"]);
    let bob = of(&|event| event["user"] == "bob" && event["room"] == "hall");
    assert_eq!(bob, ["user_joined", "user_left"]);
    let alice = of(&|event| event["user"] == guest.as_str());
    assert_eq!(alice, ["user_joined", "user_left"], "guests are members, but nobody's users");
    let yard = of(&|event| event["room"] == "yard" && event["protocol"] == "relay");
    assert_eq!(yard, ["room_occupied", "room_vacated"]);
    let hall = of(&|event| event["room"] == "hall" && event["user"].is_null());
    assert_eq!(hall, ["room_occupied", "message", "room_vacated"]);
    let since_2023 =
        |event: &Value| event["time"].as_u64().is_some_and(|time| time > 1_700_000_000_000);
    assert!(all.iter().all(since_2023), "{all:#?}");
    let message = all.iter().find(|event| event["event"] == "message").expect("it is told");
    assert_eq!((&message["stored"], &message["body"]), (&json!(false), &json!("here")));
    assert_eq!(told(&server, "dropped"), 0.0);
}

#[test]
fn a_full_queue_drops_and_a_lost_cause_is_given_up() {
    let backend = Backend::start(|_| Reply::Status(500, String::new()));
    let settings = [
        ("UPROAR_WEBHOOKS__EVENTS", "[\"message\", \"room\"]"),
        ("UPROAR_WEBHOOKS__QUEUE_EVENTS_MAX", "5"),
        ("UPROAR_WEBHOOKS__GIVE_UP_SECS", "0"),
    ];
    let server = server(&backend, &settings);
    let mut alice = ChatClient::connect(server.address, "Alice");
    alice.join("hall");
    alice.say("hall", &json!(1));
    alice.await_type("ack");
    server.wait_for_metric("uproar_webhook_events_total", &["dead"], |dead| dead >= 2.0);
    let hanging = Backend::start(|_| Reply::Hang);
    let other = self::server(&hanging, &settings[..2]);
    let sessions: Vec<_> =
        (0..20).map(|n| Client::connect(other.address, &format!("/relay/{n}"))).collect();
    other.wait_for_metric("uproar_webhook_events_total", &["dropped"], |dropped| dropped >= 10.0);
    drop(sessions);
}

#[test]
fn private_addresses_are_refused_at_the_start_or_when_they_are_met() {
    let backend = Backend::start(|_| taken());
    let port = backend.address.port();
    let data = DataDir::new();
    let check = |url: &str| {
        let file = data.path().join("uproar.toml");
        let text = format!("[webhooks]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n");
        std::fs::write(&file, text).expect("a file can be written");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_uproar"));
        let command = command.arg("check").arg(file).output().expect("the binary runs");
        String::from_utf8(command.stderr).expect("text")
    };
    assert!(check("https://www.example.org/uproar").is_empty());
    for host in ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "192.168.1.1:80"] {
        let errors = check(&format!("http://{host}/"));
        assert!(errors.contains("webhooks.url") && errors.contains("private address"), "{errors}");
        assert!(!errors.contains(SECRET), "{errors}");
    }
    let url = format!("http://localhost:{port}/");
    let settings =
        [("UPROAR_WEBHOOKS__URL", &*url), ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "false")];
    let server = server(&backend, &settings);
    let mut alice = ChatClient::connect(server.address, "Alice");
    alice.join("hall");
    alice.say("hall", &json!(1));
    alice.await_type("ack");
    let labels = ["purpose=\"webhooks\"", "result=\"forbidden_address\""];
    server.wait_for_metric("uproar_outbound_requests_total", &labels, |count| count >= 1.0);
    assert_eq!(backend.connections(), 0);
}
