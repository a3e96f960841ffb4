//! JSON that is meant to hurt its reader: deep, wide, huge, twice, halved. Each is answered with the error that it is,
//! the session goes on, and one that sends nothing else is closed.

use serde_json::json;

use crate::arena::{Arena, closed, errors};
use crate::support::chat::{ChatClient, client_id};
use crate::support::client::{Client, close_frame, frame};
use crate::support::server::Server;

/// Large enough for a bomb, and a log that keeps next to nothing of what is stored in memory.
const LARGE: [(&str, &str); 2] =
    [("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "4194304"), ("UPROAR_LOG__CACHE_BYTES_MAX", "65536")];
const MIB: usize = 1 << 20;

fn guest(server: &Server) -> ChatClient {
    let mut client = ChatClient::connect(server.address, "Mallory");
    client.join("attacked");
    client
}

/// Says goodbye, so that the end is counted as what it is.
fn leave(mut client: ChatClient) {
    client.client.write(&close_frame(1000));
    while client.client.next().opcode() != 8 {}
}

/// A message to the room with that body.
fn send(body: &str) -> String {
    let id = client_id();
    format!(r#"{{"type":"send","room":"attacked","client_id":"{id}","body":{body}}}"#)
}

/// Sends each text in a session of its own and requires that error, and that the session goes on.
#[track_caller]
fn check(arena: &mut Arena, code: &'static str, texts: &[(&str, String)]) {
    for (what, text) in texts {
        arena.case(what, &[errors(code, 1), closed("peer", 1)], |server| {
            let mut client = guest(server);
            client.client.send(text);
            let error = client.await_type("error");
            assert_eq!(error["code"], code, "{what}: {error}");
            let words = error["message"].as_str().expect("words");
            assert!(words.len() < 200, "{what}: the answer does not repeat it: {words}");
            client.drain();
            leave(client);
        });
    }
}

#[test]
fn depth_and_width() {
    let mut arena = Arena::new(&LARGE).with_peak_mib(48).with_kept_mib(24);
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    check(
        &mut arena,
        "bad_json",
        &[
            ("brackets that never close", "[".repeat(4 * MIB)),
            ("objects that never close", r#"{"a":"#.repeat(MIB / 2)),
            ("a list", deep(1000)),
            ("a string that never ends", format!(r#"{{"type":"{}"#, "x".repeat(4 * MIB - 100))),
        ],
    );
    check(
        &mut arena,
        "bad_message",
        &[
            ("a body 65 deep", send(&deep(65))),
            ("a body a million deep", send(&deep(MIB))),
            ("a body of 300,000 objects in one another", send(&objects(300_000))),
            (
                "a position that is deep",
                format!(r#"{{"type":"join","room":"r","after":{}}}"#, objects(100_000)),
            ),
            ("a type that is deep", format!(r#"{{"type":{}}}"#, deep(100_000))),
        ],
    );
    for (what, text) in [
        ("an unknown field, a million deep", format!(r#"{{"type":"ping","x":{}}}"#, deep(MIB))),
        ("400,000 unknown fields", format!(r#"{{{}"type":"ping"}}"#, r#""x":1,"#.repeat(400_000))),
        (
            "an unknown field's name of 3 MiB",
            format!(r#"{{"{}":1,"type":"ping"}}"#, "x".repeat(3 * MIB)),
        ),
    ] {
        arena.case(what, &[closed("peer", 1)], |server| {
            let mut client = guest(server);
            client.client.send(&text);
            client.await_type("pong");
            leave(client);
        });
    }
    arena.case("a body of a million elements", &[closed("peer", 1)], |server| {
        let mut client = guest(server);
        client.client.send(&send(&format!("[{}0]", "0,".repeat(MIB))));
        client.await_type("ack");
        leave(client);
    });
}

#[test]
fn numbers_that_are_too_large() {
    let mut arena = Arena::new(&LARGE);
    let history =
        |limit: &str| format!(r#"{{"type":"history","room":"attacked","limit":{limit}}}"#);
    check(
        &mut arena,
        "bad_message",
        &[
            ("a body beyond doubles", send("1e400")),
            ("a body of a million digits", send(&"9".repeat(MIB))),
            ("an exponent of a million digits", send(&format!("1e{}", "9".repeat(MIB)))),
            ("a limit beyond 64 bits", history("99999999999999999999")),
            ("a limit of a million digits", history(&"9".repeat(MIB))),
            ("a negative limit", history("-1")),
            ("a limit with a fraction", history("1.5")),
            ("a limit of zero", history("0")),
            (
                "a position beyond integers",
                r#"{"type":"join","room":"r","after":{"epoch":"e","seq":9007199254740993}}"#.into(),
            ),
            ("a reference beyond doubles", r#"{"type":"ping","ref":1e999}"#.into()),
        ],
    );
    check(
        &mut arena,
        "bad_json",
        &[("a number with a leading zero", send("01")), ("not a number", send("NaN"))],
    );
}

#[test]
fn what_is_there_twice_or_by_halves() {
    let mut arena = Arena::new(&LARGE);
    check(
        &mut arena,
        "bad_message",
        &[
            ("a type that is there twice", r#"{"type":"ping","type":"pong"}"#.into()),
            ("a room that is there twice", r#"{"type":"leave","room":"a","room":"b"}"#.into()),
            ("a room and somebody", r#"{"type":"leave","room":"a","with":"b"}"#.into()),
            ("a room of half a pair", r#"{"type":"leave","room":"\ud800"}"#.into()),
            ("a reference of half a pair", r#"{"type":"ping","ref":"\udc00"}"#.into()),
            ("a body of half a pair", send(r#""\ud83d""#)),
            ("a body of two first halves", send(r#""\ud83d\ud83d""#)),
            (
                "a client_id that is none",
                r#"{"type":"send","room":"attacked","client_id":"1","body":1}"#.into(),
            ),
            ("no type", "{}".into()),
            ("a type that is a number", r#"{"type":1}"#.into()),
        ],
    );
    check(
        &mut arena,
        "bad_json",
        &[
            ("nothing", String::new()),
            ("two messages in one", r#"{"type":"ping"}{"type":"ping"}"#.into()),
            ("a byte order mark", "\u{feff}{\"type\":\"ping\"}".into()),
            ("a NUL", "{\"type\":\"pi\0ng\"}".into()),
            ("a comment", r#"{"type":"ping"/**/}"#.into()),
            ("quotes that are none", "{'type':'ping'}".into()),
        ],
    );
    check(
        &mut arena,
        "unknown_type",
        &[
            ("a type that the server says", r#"{"type":"welcome"}"#.into()),
            ("a type of 3 MiB", format!(r#"{{"type":"{}"}}"#, "x".repeat(3 * MIB))),
        ],
    );
    check(
        &mut arena,
        "already_welcome",
        &[("another hello", r#"{"type":"hello","name":"Ann"}"#.into())],
    );
    check(
        &mut arena,
        "not_joined",
        &[("a room of others", r#"{"type":"history","room":"innocent"}"#.into())],
    );
    check(
        &mut arena,
        "forbidden",
        &[("a user, by a guest", r#"{"type":"history","with":"ann"}"#.into())],
    );
}

#[test]
fn names_that_are_too_long_or_deceive() {
    let mut arena = Arena::new(&LARGE);
    let join = |room: &str| json!({"type": "join", "room": room}).to_string();
    check(
        &mut arena,
        "bad_room",
        &[
            ("a room with a line break", join("a\nb")),
            ("a room with an escape", join("a\u{1b}[2Jb")),
            ("a room with a C1 control", join("a\u{9b}b")),
            ("a room that turns its text around", join("a\u{202e}b")),
            ("a room of two dots", join("..")),
            ("a room not in normal form", join("e\u{301}")),
            ("a room without a name", join("")),
        ],
    );
    check(
        &mut arena,
        "too_long",
        &[
            ("a room of 201 bytes", join(&"x".repeat(201))),
            ("a room of 3 MiB", join(&"x".repeat(3 * MIB))),
            (
                "a reference of 65 characters",
                format!(r#"{{"type":"ping","ref":"{}"}}"#, "r".repeat(65)),
            ),
            (
                "a reference of a million digits",
                format!(r#"{{"type":"ping","ref":0.{}}}"#, "1".repeat(MIB)),
            ),
            (
                "a signal of 3 MiB",
                format!(
                    r#"{{"type":"signal","room":"attacked","body":"{}"}}"#,
                    "x".repeat(3 * MIB)
                ),
            ),
        ],
    );
}

#[test]
fn nothing_but_bad_messages() {
    const PEERS: usize = 20;
    let mut arena = Arena::new(&[]);
    for (what, bytes) in [
        ("not JSON", frame(0x81, b"{")),
        ("binary", frame(0x82, b"{}")),
        ("before any hello", frame(0x81, br#"{"type":"rooms"}"#)),
        ("tokens that are none", frame(0x81, br#"{"type":"hello","guest":"abc"}"#)),
    ] {
        arena.case(what, &[closed("handler", PEERS)], |server| {
            let mut clients: Vec<_> =
                (0..PEERS).map(|_| Client::connect(server.address, "/chat")).collect();
            for client in &mut clients {
                client.write(&bytes.repeat(100));
                assert_eq!(client.rest().pop().expect("a close").close_code(), 4400);
            }
            clients
        });
    }
}
