//! Bounds on what one address, one user, one session and one room may take: each holds, is counted, hurts nobody else,
//! and what was taken comes back.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod support;

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::{Value, json};
use support::chat::ChatClient;
use support::client::{Client, frame};
use support::door::{ask, connect_from, handshake, refused, source, status};
use support::embedded::Embedded;
use support::server::Server;
use support::token::{keys, token};
use support::wait_for;
use uproar::Identity;

const LIMITED: &str = "uproar_rate_limited_total";
const JOINS_REFUSED: &str = "uproar_joins_refused_total";

/// A server that makes no exception for this machine's own programs.
fn server(settings: &[(&str, &str)]) -> Server {
    let strict = ("UPROAR_LIMITS__LOOPBACK_EXEMPT", "false");
    let all: Vec<_> = [strict].into_iter().chain(settings.iter().copied()).collect();
    Server::start_with(&["--shards", "2"], &all)
}

/// A session of that address, or the answer that it got instead.
fn open(server: SocketAddr, source: IpAddr) -> (TcpStream, String) {
    let stream = connect_from(source, server);
    let head = ask(&stream, handshake("/relay/a", &[]));
    (stream, head)
}

/// A chat client of that address.
fn chat(server: &Server, source: IpAddr) -> ChatClient {
    let client = Client::over(connect_from(source, server.address), "/chat");
    ChatClient::hello(client, &json!({"type": "hello", "name": "Ann"}))
}

#[test]
fn connections_of_one_address() {
    let server = server(&[("UPROAR_LIMITS__CONNECTIONS_PER_ADDRESS_MAX", "2")]);
    let from = |last| open(server.address, source(last));
    let (first, second) = (from(2), from(2));
    assert_eq!(status(&first.1), 101);
    let (_, head) = from(2);
    assert_eq!(status(&head), 429, "{head}");
    assert!(head.to_lowercase().contains("retry-after: "), "{head}");
    assert_eq!(refused(&server, "address_connections"), 1.0);
    let other = from(3);
    assert_eq!(status(&other.1), 101, "another address is another matter");
    drop(first);
    wait_for("the place comes back", || (status(&from(2).1) == 101).then_some(()));
    drop(other);
    drop(second);
    server.wait_for_metric("uproar_addresses", &[], |addresses| addresses == 0.0);
}

#[test]
fn connections_of_one_address_that_are_no_sessions_yet() {
    let server = server(&[("UPROAR_LIMITS__PENDING_HANDSHAKES_PER_ADDRESS_MAX", "2")]);
    let _silent = [2, 2].map(|last| connect_from(source(last), server.address));
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 2.0);
    let mut third = connect_from(source(2), server.address);
    assert!(matches!(third.read(&mut [0]), Ok(0) | Err(_)), "closed without a word");
    assert_eq!(refused(&server, "address_pending"), 1.0);
    assert_eq!(status(&open(server.address, source(3)).1), 101);
}

#[test]
fn handshakes_of_one_address() {
    let server = server(&[
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_PER_SEC", "1"),
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_BURST", "200"),
    ]);
    let (_, head) = (0..10_000)
        .map(|_| open(server.address, source(2)))
        .find(|(_, head)| status(head) != 101)
        .expect("at some time it is too many");
    assert_eq!(status(&head), 429, "{head}");
    assert!(refused(&server, "address_handshakes") >= 1.0);
    server.wait_for_metric("uproar_sessions_opened_total", &[], |opened| opened >= 200.0);
    assert_eq!(status(&open(server.address, source(3)).1), 101);
}

#[test]
fn this_machines_own_programs_are_exempt_where_nobody_else_was_let_in() {
    let tight = [
        ("UPROAR_LIMITS__CONNECTIONS_PER_ADDRESS_MAX", "1"),
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_BURST", "1"),
        ("UPROAR_LIMITS__MESSAGES_PER_SEC", "1"),
        ("UPROAR_LIMITS__MESSAGES_BURST", "1"),
    ];
    let server = Server::start_with(&[], &tight);
    let mut clients = [2, 2, 2].map(|last| chat(&server, source(last)));
    for reference in 0..100 {
        clients[0].send(&json!({"type": "ping", "ref": reference}));
        assert_eq!(clients[0].await_type("pong")["ref"], reference);
    }
    let opened = [("UPROAR_AUTH__OPEN_TO_NETWORK", "true")];
    let server = Server::start_with(&[], &[&tight[..], &opened].concat());
    let (_first, head) = open(server.address, source(2));
    assert_eq!(status(&head), 101);
    assert_eq!(status(&open(server.address, source(2)).1), 429);
}

#[test]
fn sessions_of_one_user() {
    let server = Embedded::start_with(
        |config| config.limits.connections_per_user_max = 2,
        |builder| {
            let builder = builder.authenticate(|request| {
                let user = request.uri.query()?.strip_prefix("user=")?;
                Some(Identity { user: user.into(), name: user.into(), is_guest: false })
            });
            builder.bind().expect("it starts")
        },
    );
    let connect = |user| Client::connect(server.address, &format!("/chat?user={user}"));
    let first = ChatClient::hello(connect("ann"), &json!({"type": "hello"}));
    let _second = ChatClient::hello(connect("ann"), &json!({"type": "hello"}));
    let stream = connect_from(source(1), server.address);
    assert_eq!(status(&ask(&stream, handshake("/chat?user=ann", &[]))), 429);
    let _other = ChatClient::hello(connect("bob"), &json!({"type": "hello"}));
    let _guests = [0; 3].map(|_| {
        let client = Client::connect(server.address, "/chat");
        ChatClient::hello(client, &json!({"type": "hello"}))
    });
    server.wait_for_metric("uproar_users", |users| users == 2.0);
    drop(first);
    wait_for("the place comes back", || {
        let stream = connect_from(source(1), server.address);
        (status(&ask(&stream, handshake("/chat?user=ann", &[]))) == 101).then_some(())
    });
}

/// A server that takes tokens, which never makes an exception for this machine's own programs.
fn token_server(settings: &[(&str, &str)]) -> Server {
    let (name, keys) = keys();
    let all = [&[(name, &*keys), ("UPROAR_AUTH__MODES", "[\"token\"]")], settings].concat();
    Server::start_with(&["--shards", "2"], &all)
}

fn open_with(server: SocketAddr, source: IpAddr, token: &str) -> (TcpStream, String) {
    let stream = connect_from(source, server);
    let lines = [&*format!("Authorization: Bearer {token}")];
    let head = ask(&stream, handshake("/relay/a", &lines));
    (stream, head)
}

/// A token for whatever a relay session does.
fn everywhere(user: &str) -> String {
    token(user, &json!({ "rooms": { "*": ["join", "send"] } }))
}

#[test]
fn sessions_of_one_user_whose_token_the_handshake_shows() {
    let server = token_server(&[("UPROAR_LIMITS__CONNECTIONS_PER_USER_MAX", "2")]);
    let enter = |user: &str, last| open_with(server.address, source(last), &everywhere(user));
    let (first, _second) = (enter("ann", 2), enter("ann", 3));
    assert_eq!(status(&first.1), 101, "{}", first.1);
    assert_eq!(status(&enter("ann", 4).1), 429);
    assert_eq!(refused(&server, "user_connections"), 1.0);
    assert_eq!(status(&enter("bob", 4).1), 101);
    drop(first);
    wait_for("the place comes back", || (status(&enter("ann", 4).1) == 101).then_some(()));
}

#[test]
fn sessions_of_one_user_who_shows_a_token_at_hello() {
    let server = token_server(&[
        ("UPROAR_LIMITS__CONNECTIONS_PER_USER_MAX", "1"),
        ("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "2"),
        ("UPROAR_LIMITS__AUTH_FAILURES_WINDOW_SECS", "86400"),
    ]);
    let connect = |last| Client::over(connect_from(source(last), server.address), "/chat");
    let hello = |token: &str| json!({ "type": "hello", "token": token });
    let first = ChatClient::hello(connect(2), &hello(&everywhere("ann")));
    let mut second = connect(2);
    second.send(&hello(&everywhere("ann")).to_string());
    let frames = second.rest();
    assert_eq!(frames.last().map(|frame| frame.close_code()), Some(4429), "{frames:?}");
    assert_eq!(refused(&server, "user_connections"), 1.0);
    drop(first);
    wait_for("the place comes back", || {
        let mut client = connect(2);
        client.send(&hello(&everywhere("ann")).to_string());
        client.next().text().contains("\"welcome\"").then_some(())
    });
    // Wrong tokens count wherever they are shown.
    for _ in 0..3 {
        let mut client = connect(3);
        client.send(&hello("wrong").to_string());
        assert_eq!(client.rest().last().map(|frame| frame.close_code()), Some(4401));
    }
    assert_eq!(status(&open_with(server.address, source(3), &everywhere("bob")).1), 429);
    let mut client = connect(4);
    client.send(&hello(&everywhere("bob")).to_string());
    client.next();
    for _ in 0..3 {
        client.send(&json!({"type": "refresh", "token": "wrong"}).to_string());
        assert!(client.next().text().contains("\"bad_token\""));
    }
    assert_eq!(status(&open_with(server.address, source(4), &everywhere("bob")).1), 429);
}

#[test]
fn failed_attempts_to_authenticate_of_one_address() {
    let server = token_server(&[
        ("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "3"),
        ("UPROAR_LIMITS__AUTH_FAILURES_WINDOW_SECS", "86400"),
    ]);
    let enter = |last, token: &str| open_with(server.address, source(last), token);
    let (inside, head) = enter(2, &everywhere("ann"));
    assert_eq!(status(&head), 101, "{head}");
    for _ in 0..4 {
        assert_eq!(status(&enter(2, "wrong").1), 401);
    }
    for token in ["wrong", &everywhere("ann")] {
        assert_eq!(status(&enter(2, token).1), 429, "whatever it shows");
    }
    assert_eq!(refused(&server, "address_failures"), 2.0);
    assert_eq!(status(&enter(3, &everywhere("bob")).1), 101);
    // Who is in stays in.
    let mut inside = Client::of(inside);
    inside.write(&frame(0x89, b"there?"));
    assert_eq!(inside.next().head, 0x8a);
}

/// A rate that no test waits for, and a burst.
fn rate(burst: &str) -> [(&'static str, &str); 2] {
    [("UPROAR_LIMITS__MESSAGES_PER_SEC", "1"), ("UPROAR_LIMITS__MESSAGES_BURST", burst)]
}

#[test]
fn a_chat_session_that_sends_too_fast_is_told_and_then_closed() {
    let server = server(&rate("50"));
    let mut quiet = chat(&server, source(1));
    quiet.join("hall");
    let mut loud = chat(&server, source(1));
    loud.join("hall");
    // A little more than the burst, and what time has added meanwhile.
    let limited = (0..1_000)
        .find_map(|reference| {
            loud.send(&json!({"type": "ping", "ref": reference}));
            let answer = loud.await_message(|message| message["ref"] == reference);
            (answer["type"] == "error").then_some(answer)
        })
        .expect("at some time it is too fast");
    assert_eq!(limited["code"], "rate_limited");
    let wait = limited["retry_after_ms"].as_u64().expect("it says when");
    assert!((1..=1000).contains(&wait), "{limited}");
    let id = loud.say("hall", &json!("too fast"));
    let error = loud.await_type("error");
    assert_eq!((&error["code"], &error["client_id"]), (&json!("rate_limited"), &json!(id)));
    // Who waits as long as it was told is heard again.
    support::pause(std::time::Duration::from_millis(2 * wait + 1000));
    loud.send(&json!({"type": "send", "room": "hall", "client_id": id, "body": "in time"}));
    assert_eq!(loud.await_type("ack")["client_id"], id.as_str());
    assert_eq!(quiet.await_type("message")["body"], "in time");
    // Who goes on is not.
    let flood: Vec<u8> = (0..1_000).flat_map(|_| frame(0x81, br#"{"type":"ping"}"#)).collect();
    loud.client.write(&flood);
    let frames = loud.client.rest();
    let close = frames.last().expect("a Close");
    assert_eq!(close.close_code(), 4429);
    let bye: Value = frames
        .iter()
        .filter(|frame| frame.opcode() == 1)
        .filter_map(|frame| serde_json::from_slice::<Value>(&frame.payload).ok())
        .find(|message| message["type"] == "bye")
        .expect("it is told why");
    assert_eq!(bye["code"], 4429);
    server.wait_for_metric("uproar_sessions_closed_total", &["rate_limited"], |n| n == 1.0);
    server.wait_for_metric(LIMITED, &["reason=\"messages\""], |n| n >= 50.0);
    quiet.send(&json!({"type": "ping", "ref": "still here"}));
    assert_eq!(quiet.await_type("pong")["ref"], "still here");
}

#[test]
fn a_chat_session_that_sends_too_much_is_told() {
    let server = server(&[
        ("UPROAR_LIMITS__BYTES_PER_SEC", "1000"),
        ("UPROAR_LIMITS__BYTES_BURST", "70000"),
    ]);
    let mut client = chat(&server, source(1));
    client.join("hall");
    let body = json!("x".repeat(30_000));
    let ids = [0; 3].map(|_| client.say("hall", &body));
    let error = client.await_type("error");
    assert_eq!((&error["code"], &error["client_id"]), (&json!("rate_limited"), &json!(ids[2])));
    server.wait_for_metric(LIMITED, &["reason=\"bytes\""], |n| n == 1.0);
}

#[test]
fn a_relay_session_that_sends_too_fast_is_held_up_and_nothing_is_lost() {
    let settings =
        [("UPROAR_LIMITS__MESSAGES_PER_SEC", "100"), ("UPROAR_LIMITS__MESSAGES_BURST", "20")];
    let server = server(&settings);
    let connect = || Client::over(connect_from(source(1), server.address), "/relay/a");
    let (mut listener, mut loud, mut calm) = (connect(), connect(), connect());
    let flood: Vec<u8> = (0..200).flat_map(|n| frame(0x81, format!("{n}").as_bytes())).collect();
    loud.write(&flood);
    calm.send("calm");
    let heard: Vec<String> = (0..201).map(|_| listener.next().text().to_owned()).collect();
    let loud_ones: Vec<_> = heard.iter().filter(|text| *text != "calm").cloned().collect();
    let expected: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(loud_ones, expected, "in order and whole");
    assert_ne!(heard[200], "calm", "nobody else is held up");
    server.wait_for_metric(LIMITED, &["reason=\"messages\""], |n| n >= 1.0);
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
    // Pings are no way around it.
    let before = server.metric(LIMITED, &[]);
    let pings: Vec<u8> = (0..100).flat_map(|_| frame(0x89, b"")).collect();
    loud.write(&pings);
    server.wait_for_metric(LIMITED, &[], |n| n > before);
}

#[test]
fn rooms_in_all_and_members_of_each() {
    let server = Server::start_with(
        &["--shards", "2"],
        &[("UPROAR_LIMITS__ROOMS_MAX", "2"), ("UPROAR_LIMITS__ROOM_MEMBERS_MAX", "2")],
    );
    let connect = |room: &str| Client::connect(server.address, &format!("/relay/{room}"));
    let (mut first, second) = (connect("a"), connect("a"));
    let refused = |mut client: Client| {
        let frames = client.rest();
        assert_eq!(frames.last().map(|frame| frame.close_code()), Some(4429), "{frames:?}");
    };
    refused(connect("a"));
    server.wait_for_metric(JOINS_REFUSED, &["reason=\"members\""], |n| n == 1.0);
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("hall");
    refused(connect("b"));
    server.wait_for_metric(JOINS_REFUSED, &["reason=\"rooms\""], |n| n == 1.0);
    ann.send(&json!({"type": "join", "room": "cellar"}));
    assert_eq!(ann.await_type("error")["code"], "server_full");
    let mut others = [0; 2].map(|_| ChatClient::connect(server.address, "Bob"));
    others[0].join("hall");
    others[1].send(&json!({"type": "join", "room": "hall"}));
    assert_eq!(others[1].await_type("error")["code"], "room_full");
    // Who was let in goes on, and places come back.
    drop(second);
    let mut third = wait_for("the place comes back", || {
        let mut client = connect("a");
        client.send("hello");
        client
            .stream
            .set_read_timeout(Some(std::time::Duration::from_millis(200)))
            .expect("a timeout");
        client.read().is_err().then_some(client)
    });
    assert!((0..100).any(|_| first.next().text() == "hello"));
    third.send("again");
    assert!((0..100).any(|_| first.next().text() == "again"));
}
