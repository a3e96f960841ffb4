//! The connect callback: the application lets in whom it knows, and whatever it does instead of answering, nobody comes
//! in that it has not let in.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::io::Read;
use std::net::SocketAddr;

use serde_json::{Value, json};
use support::backend::{Asked, Backend, Reply, SECRET};
use support::chat::ChatClient;
use support::client::Client;
use support::server::Server;
use support::token::{keys, token};

/// A server that asks that backend, with those settings beside.
fn server(backend: &Backend, settings: &[(&str, &str)]) -> Server {
    let url = backend.url();
    let mut all = vec![
        ("UPROAR_AUTH__MODES", "[\"callback\"]"),
        ("UPROAR_CALLBACKS__CONNECT_URL", &*url),
        ("UPROAR_CALLBACKS__SECRET", SECRET),
        ("UPROAR_CALLBACKS__CONNECT_HEADERS", "[\"authorization\", \"x-team\"]"),
        ("UPROAR_CALLBACKS__CONNECT_COOKIES", "[\"sid\"]"),
        ("UPROAR_TELEMETRY__LOG_LEVEL", "trace"),
    ];
    all.extend_from_slice(settings);
    Server::start_with(&["--echo"], &all)
}

/// The status of a handshake, and the connection.
fn ask(server: &Server, path: &str, fields: &[&str]) -> (u16, Client) {
    ask_at(server.address, path, fields)
}

fn ask_at(address: SocketAddr, path: &str, fields: &[&str]) -> (u16, Client) {
    let mut client = Client::raw(address);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.write(
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
        )
        .as_bytes(),
    );
    let head = client.read_head();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    if status == 503 {
        assert!(head.contains("retry-after: "), "{head}");
    }
    (status, client)
}

#[track_caller]
fn check(server: &Server, path: &str, status: u16) {
    assert_eq!(ask(server, path, &[]).0, status, "{path}");
}

fn everything() -> Value {
    json!({ "user": "alice", "name": "Alice", "rooms": { "*": ["join", "send", "history"] } })
}

fn allow() -> Reply {
    Reply::Status(200, everything().to_string())
}

fn answers(server: &Server, result: &str) -> f64 {
    server.metric("uproar_connect_callbacks_total", &[&format!("result=\"{result}\"")])
}

fn requests(server: &Server, result: &str) -> f64 {
    server.metric("uproar_outbound_requests_total", &[&format!("result=\"{result}\"")])
}

#[test]
fn the_backend_is_told_what_is_allowed_and_nothing_more() {
    let backend = Backend::start(|_| allow());
    let server = server(&backend, &[("UPROAR_AUTH__QUERY_PARAMETER", "token")]);
    let fields = [
        "Authorization: Bearer of-the-application",
        "X-Team: red",
        "X-Team: blue",
        "X-Secret: hidden",
        "Cookie: sid=abc; other=hidden",
        "Sec-WebSocket-Protocol: uproar.token.hidden, mqtt",
        "X-Callback: http://127.0.0.1:1/",
    ];
    let (status, _) = ask(&server, "/relay/caf%C3%A9?a=1&token=hidden", &fields);
    // Two tokens, whichever of them is meant.
    assert_eq!(status, 400);
    let (status, _) = ask(&server, "/relay/caf%C3%A9?a=1", &fields[1..5]);
    assert_eq!(status, 101);
    let asked = backend.next();
    assert!(asked.head.starts_with("POST /uproar?app=1 HTTP/1.1\n"), "{}", asked.head);
    assert!(asked.is_signed(SECRET) && !asked.is_signed("another secret"), "{asked:?}");
    assert_eq!(asked.field("content-type"), Some("application/json"));
    assert_eq!(
        asked.json(),
        json!({
            "event": "connect",
            "path": "/relay/caf%C3%A9",
            "query": "a=1",
            "address": "127.0.0.1",
            "subprotocols": [],
            "headers": { "x-team": "red, blue" },
            "cookies": { "sid": "abc" },
        })
    );
    assert!(!format!("{}{}", asked.head, asked.json()).contains("hidden"));
}

#[test]
fn a_credential_that_is_no_token_of_ours_reaches_the_backend_if_it_may() {
    let backend = Backend::start(|_| allow());
    let server = server(&backend, &[]);
    let (status, _) = ask(&server, "/relay/a", &["Authorization: Bearer of-the-application"]);
    assert_eq!(status, 101);
    let told = &backend.next().json()["headers"];
    assert_eq!(told, &json!({ "authorization": "Bearer of-the-application" }));
}

#[test]
fn what_the_backend_says_is_what_holds() {
    let backend = Backend::start(|asked: &Asked| match asked.json()["query"].as_str() {
        Some("no") => Reply::Status(401, "hidden".into()),
        Some("never") => Reply::Status(403, "hidden".into()),
        Some("stranger") => Reply::Status(204, String::new()),
        Some("nothing") => Reply::Status(200, json!({ "user": "bob" }).to_string()),
        _ => Reply::Status(
            200,
            json!({ "user": "alice", "name": "Alice", "rooms": { "team-*": ["join"] },
                    "direct": true, "expires_at": 9_999_999_999_999_u64 })
            .to_string(),
        ),
    });
    let server = server(&backend, &[]);
    check(&server, "/relay/team-a", 101);
    check(&server, "/relay/other", 403);
    check(&server, "/", 403);
    check(&server, "/relay/team-a?nothing", 403);
    check(&server, "/relay/team-a?no", 401);
    check(&server, "/relay/team-a?never", 403);
    // Not known, and nothing else is asked.
    check(&server, "/relay/team-a?stranger", 401);
    let counts = ["allowed", "unauthorized", "forbidden", "unknown", "invalid", "failed"]
        .map(|result| answers(&server, result));
    assert_eq!(counts, [4.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let (_, client) = ask(&server, "/chat", &[]);
    let chat = ChatClient::hello(client, &json!({ "type": "hello" }));
    assert_eq!((chat.user(), &chat.welcome["name"]), ("alice", &json!("Alice")));
}

#[test]
fn modes_are_asked_in_their_order() {
    let backend = Backend::start(|asked: &Asked| match asked.json()["query"].as_str() {
        Some("known") => allow(),
        Some("no") => Reply::Status(401, String::new()),
        _ => Reply::Status(204, String::new()),
    });
    let (name, keys) = keys();
    let modes = |modes| [(name, &*keys), ("UPROAR_AUTH__MODES", modes)];
    let right = format!("Authorization: Bearer {}", token("bob", &everything()));
    let last_open = server(&backend, &modes("[\"token\", \"callback\", \"open\"]"));
    assert_eq!(ask(&last_open, "/relay/a", &[&right]).0, 101);
    assert_eq!(ask(&last_open, "/relay/a?known", &["Authorization: Bearer x"]).0, 401);
    assert_eq!(answers(&last_open, "allowed"), 0.0, "a token comes first");
    check(&last_open, "/relay/a?known", 101);
    check(&last_open, "/relay/a?stranger", 101);
    check(&last_open, "/relay/a?no", 401);
    let first = server(&backend, &modes("[\"callback\", \"token\"]"));
    assert_eq!(ask(&first, "/relay/a", &[&right]).0, 101);
    assert_eq!(ask(&first, "/relay/a?no", &[&right]).0, 401);
    assert_eq!((answers(&first, "unknown"), answers(&first, "unauthorized")), (1.0, 1.0));
    check(&first, "/relay/a?stranger", 401);
}

#[test]
fn a_backend_that_lies_lets_nobody_in() {
    let bodies = [
        "".to_owned(),
        "<html>welcome</html>".to_owned(),
        "[]".to_owned(),
        "{\"user\": 1}".to_owned(),
        json!({ "name": "nobody" }).to_string(),
        json!({ "user": "guest-1" }).to_string(),
        json!({ "user": "a\u{0}b" }).to_string(),
        json!({ "user": "a", "name": "a\u{202e}b" }).to_string(),
        json!({ "user": "a", "rooms": { "*": ["fly"] } }).to_string(),
        json!({ "user": "a", "expires": 1 }).to_string(),
        json!({ "user": "a", "expires_at": 1 }).to_string(),
        format!("{{\"user\": \"a\", \"user\": \"b\"{}}}", ""),
        "{".repeat(60_000),
    ];
    let count = bodies.len();
    let backend = Backend::start(move |asked: &Asked| {
        let at = asked.json()["query"].as_str().and_then(|query| query.parse::<usize>().ok());
        match at {
            Some(at) if at < bodies.len() => Reply::Status(200, bodies[at].clone()),
            Some(at) => Reply::Status([201, 400, 404, 418, 500][at - bodies.len()], "{}".into()),
            None => allow(),
        }
    });
    let server = server(&backend, &[("UPROAR_CALLBACKS__FAILURES_MAX", "2")]);
    for at in 0..count + 5 {
        check(&server, &format!("/relay/a?{at}"), 503);
    }
    assert_eq!(answers(&server, "invalid"), (count + 5) as f64);
    // None of it says that the backend is down, so that one visitor cannot keep the others out.
    check(&server, "/relay/a", 101);
    assert_eq!(server.metric("uproar_outbound_breaker_open", &[]), 0.0);
}

#[test]
fn redirects_are_not_followed_and_giants_not_read() {
    let elsewhere = Backend::start(|_| allow());
    let target = elsewhere.url();
    let backend = Backend::start(move |asked: &Asked| match asked.json()["query"].as_str() {
        Some("away") => {
            let head =
                format!("HTTP/1.1 307 Away\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
            Reply::Raw(head.into_bytes())
        }
        Some("head") => {
            let field = format!("x: {}\r\n", "x".repeat(100));
            Reply::Raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", field.repeat(10_000)).into_bytes())
        }
        Some("announced") => {
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}".into())
        }
        Some("short") => Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}".into()),
        Some("noise") => Reply::Raw(b"\x16\x03\x01 not HTTP at all".into()),
        Some("endless") => Reply::Endless,
        _ => allow(),
    });
    let server = server(&backend, &[("UPROAR_CALLBACKS__FAILURES_MAX", "100")]);
    for path in ["away", "head", "announced", "short", "noise", "endless"] {
        check(&server, &format!("/relay/a?{path}"), 503);
    }
    assert_eq!((requests(&server, "redirect"), elsewhere.connections()), (1.0, 0));
    assert!(requests(&server, "too_large") >= 1.0 && requests(&server, "lost") >= 2.0);
    assert_eq!(answers(&server, "failed"), 6.0);
    check(&server, "/relay/a", 101);
}

#[test]
fn a_hanging_backend_is_not_waited_for_and_bothers_nobody_else() {
    let backend =
        Backend::start(
            |asked: &Asked| {
                if asked.json()["query"] == "hang" { Reply::Hang } else { allow() }
            },
        );
    let settings = [
        ("UPROAR_CALLBACKS__CONNECT_TIMEOUT_MS", "1000"),
        ("UPROAR_CALLBACKS__CONNECT_REQUESTS_MAX", "2"),
        ("UPROAR_CALLBACKS__FAILURES_MAX", "100"),
    ];
    let server = server(&backend, &settings);
    let mut inside = Client::connect(server.address, "/relay/a");
    let mut other = Client::connect(server.address, "/relay/a");
    let address = server.address;
    std::thread::scope(|scope| {
        let hanging: Vec<_> =
            (0..6).map(|_| scope.spawn(move || ask_at(address, "/relay/a?hang", &[]).0)).collect();
        // Whoever is in does not notice.
        inside.send("still here");
        assert_eq!(other.next().text(), "still here");
        for asking in hanging {
            assert_eq!(asking.join().expect("no panic"), 503);
        }
    });
    let (timeouts, busy) = (requests(&server, "timeout"), requests(&server, "busy"));
    assert!(timeouts >= 2.0, "{timeouts}");
    assert_eq!(timeouts + busy, 6.0);
    assert_eq!(server.metric("uproar_outbound_pending", &[]), 0.0);
    check(&server, "/relay/a", 101);
}

#[test]
fn connections_are_kept() {
    let backend = Backend::start(|_| allow());
    let server = server(&backend, &[]);
    (0..20).for_each(|_| check(&server, "/relay/a", 101));
    assert_eq!(backend.connections(), 1);
}

#[test]
fn the_breaker_opens_and_recovers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("http://{address}/");
    let nobody = Backend::start(|_| allow());
    let settings = [
        ("UPROAR_CALLBACKS__CONNECT_URL", &*url),
        ("UPROAR_CALLBACKS__FAILURES_MAX", "3"),
        ("UPROAR_CALLBACKS__RETRY_AFTER_MS", "200"),
    ];
    let server = server(&nobody, &settings);
    while requests(&server, "breaker_open") == 0.0 {
        check(&server, "/relay/a", 503);
    }
    assert!(requests(&server, "connect") >= 3.0);
    assert_eq!(server.metric("uproar_outbound_breaker_open", &["purpose=\"connect\""]), 1.0);
    server.log_line(|line| line["message"] == "the backend fails; it is asked less for now");
    let listener = std::net::TcpListener::bind(address).expect("the port is free again");
    let backend = Backend::on(listener, |_| allow());
    support::wait_for("the breaker closes", || {
        (ask(&server, "/relay/a", &[]).0 == 101).then_some(())
    });
    assert_eq!(server.metric("uproar_outbound_breaker_open", &[]), 0.0);
    assert!(backend.connections() >= 1 && nobody.connections() == 0);
}

#[test]
fn private_addresses_are_refused_where_they_are_not_wanted() {
    let backend = Backend::start(|_| allow());
    // A name, so that the address is only known once it is resolved.
    let url = format!("http://localhost:{}/", backend.address.port());
    let settings = [
        ("UPROAR_CALLBACKS__CONNECT_URL", &*url),
        ("UPROAR_CALLBACKS__ALLOW_PRIVATE_NETWORKS", "false"),
    ];
    let closed = server(&backend, &settings);
    check(&closed, "/relay/a", 503);
    assert_eq!((requests(&closed, "forbidden_address"), backend.connections()), (1.0, 0));
    let open = server(&backend, &settings[..1]);
    check(&open, "/relay/a", 101);
}

#[test]
fn the_secret_is_nowhere_to_be_read() {
    let backend = Backend::start(|_| Reply::Status(500, "hidden".into()));
    let mut server = server(&backend, &[]);
    let (status, mut client) = ask(&server, "/relay/a", &["Cookie: sid=hidden"]);
    assert_eq!(status, 503);
    let mut body = String::new();
    client.stream.read_to_string(&mut body).expect("a proper end");
    server.signal("TERM");
    server.wait();
    let mut log = String::new();
    loop {
        let line = server.log_line(|_| true);
        log.push_str(&line.to_string());
        if line["message"] == "stopped" {
            break;
        }
    }
    for hidden in [SECRET, "hidden"] {
        assert!(!body.contains(hidden) && !log.contains(hidden), "{body} {log}");
    }
}
