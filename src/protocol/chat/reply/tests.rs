//! Every message of the server, letter by letter.

use std::sync::Arc;

use super::*;
use crate::log::{Ack, Page};
use crate::protocol::SessionId;
use crate::protocol::chat::documented::schema;
use crate::protocol::chat::{ClientId, Code, Identity, parse};
use crate::rooms::conversation::View;

/// What `write` writes, which must be behind what was there before.
#[track_caller]
fn writes(expected: &str, write: impl Fn(&mut Vec<u8>)) {
    let mut out = b"before".to_vec();
    write(&mut out);
    let text = str::from_utf8(&out[6..]).expect("UTF-8");
    assert_eq!(text, expected);
    schema::check_server(&serde_json::from_str(text).expect("JSON"));
}

const TOKEN: &str = "ABEiM0RVZneImaq7zN3u_537rN8NlBjqcE8VLDGVdtsMlnoXMxDAXzkYGbvu96N1";

/// A logged message, as the log writes it.
const SAID: &str = concat!(
    r#"{"type":"message","seq":12,"prev":9,"room":"lobby","from":{"user":"bob","name":"Bob"},"#,
    r#""client_id":"019aae5c-5d20-7abc-8def-0123456789ab","time":5,"kind":"text","body":[]}"#
);

fn bob() -> Identity {
    Identity { user: "bob".into(), name: "Bob \"B\"\u{2028}\\".into(), is_guest: false }
}

fn id() -> ClientId {
    ClientId::parse("019aae5c-5d20-7abc-8def-0123456789ab").expect("a UUIDv7")
}

fn page(messages: &[&str]) -> Page {
    let mut page = Page {
        epoch: "e1".into(),
        seq: 12,
        reached: 12,
        bytes: Vec::new(),
        ends: Vec::new(),
        more: true,
        gap: None,
    };
    for (seq, message) in (1..).zip(messages) {
        page.bytes.extend_from_slice(message.as_bytes());
        page.ends.push((seq, page.bytes.len()));
    }
    page
}

#[test]
fn welcome() {
    let conversations: [(Arc<str>, u64); 2] = [("alice".into(), 12), ("zoë".into(), 3)];
    let mut welcome = Welcome {
        session: SessionId::new(1, 2, 3),
        identity: &bob(),
        guest: Some(TOKEN),
        heartbeat_secs: 25,
        time: 1_700_000_000_000,
        limits: Limits {
            message_bytes_max: 65536,
            history_messages_max: 100,
            rooms_per_session_max: 10,
        },
        conversations: &[],
        reference: Some("\"r\\u00e9f\""),
    };
    let limits = r#""limits":{"message_bytes_max":65536,"history_messages_max":100,"rooms_per_session_max":10}"#;
    let who =
        "\"session\":\"0100000200000003\",\"user\":\"bob\",\"name\":\"Bob \\\"B\\\"\u{2028}\\\\\"";
    let tail = format!(r#""heartbeat_secs":25,"time":1700000000000,{limits},"conversations""#);
    writes(
        &format!(r#"{{"type":"welcome",{who},"guest":"{TOKEN}",{tail}:[],"ref":"r\u00e9f"}}"#),
        |out| welcome.write(out),
    );
    (welcome.guest, welcome.reference, welcome.conversations) = (None, None, &conversations);
    let list = r#"[{"with":"alice","seq":12},{"with":"zoë","seq":3}]"#;
    writes(&format!(r#"{{"type":"welcome",{who},{tail}:{list}}}"#), |out| welcome.write(out));
}

#[test]
fn joined() {
    let (room, direct) = (View::room("a\"b"), View::direct("bob", "alice"));
    let mut page = page(&[SAID, SAID]);
    let roster = Roster { rev: 3, count: 1, users: Some(r#"[{"user":"bob","name":"Bob"}]"#) };
    let mut joined = Joined {
        view: &room,
        page: &page,
        messages: Messages::Here,
        members: Some(roster),
        reference: Some("7"),
    };
    writes(
        &[
            r#"{"type":"joined","room":"a\"b","epoch":"e1","seq":12,"#,
            r#""members":{"rev":3,"count":1,"users":[{"user":"bob","name":"Bob"}]},"#,
            r#""messages":["#,
            SAID,
            ",",
            SAID,
            r#"],"more":true,"ref":7}"#,
        ]
        .concat(),
        |out| joined.write(out),
    );
    joined.members = Some(Roster { users: None, ..roster });
    joined.messages = Messages::Behind;
    writes(
        concat!(
            r#"{"type":"joined","room":"a\"b","epoch":"e1","seq":12,"members":{"rev":3,"count":1},"#,
            r#""messages":[],"more":false,"ref":7}"#
        ),
        |out| joined.write(out),
    );
    (page.gap, page.more) = (Some((5, 9)), false);
    let joined = Joined {
        view: &direct,
        page: &page,
        messages: Messages::Behind,
        members: None,
        reference: None,
    };
    writes(
        concat!(
            r#"{"type":"joined","with":"alice","epoch":"e1","seq":12,"#,
            r#""messages":[],"more":false,"gap":{"from":5,"to":9}}"#
        ),
        |out| joined.write(out),
    );
}

#[test]
fn ack_left_signal_gap() {
    let view = View::direct("bob", "alice");
    let ack = Acknowledged {
        client_id: id(),
        ack: Ack { seq: 9_007_199_254_740_991, time: 5, stored: false },
        view: &view,
        reference: Some("-1.5e3"),
    };
    writes(
        concat!(
            r#"{"type":"ack","client_id":"019aae5c-5d20-7abc-8def-0123456789ab","seq":9007199254740991,"#,
            r#""time":5,"stored":false,"with":"alice","ref":-1.5e3}"#
        ),
        |out| ack.write(out),
    );
    let left = Left { view: &view, reference: None };
    writes(r#"{"type":"left","with":"alice"}"#, |out| left.write(out));
    let signal = Signal { view: &View::room("x"), from: &bob(), body: "[1, {}]" };
    writes(
        "{\"type\":\"signal\",\"room\":\"x\",\"from\":{\"user\":\"bob\",\"name\":\"Bob \\\"B\\\"\u{2028}\\\\\"},\"body\":[1, {}]}",
        |out| signal.write(out),
    );
    let gap = Gap { view: &View::room("x"), from: 5, to: 9 };
    writes(r#"{"type":"gap","room":"x","from":5,"to":9}"#, |out| gap.write(out));
}

#[test]
fn history() {
    let (view, empty, one) = (View::room("x"), page(&[]), page(&[SAID]));
    let history = History { view: &view, page: &empty, reference: None };
    writes(r#"{"type":"history","room":"x","epoch":"e1","messages":[],"more":true}"#, |out| {
        history.write(out)
    });
    let history = History { view: &view, page: &one, reference: Some("1") };
    writes(
        &format!(
            r#"{{"type":"history","room":"x","epoch":"e1","messages":[{SAID}],"more":true,"ref":1}}"#
        ),
        |out| history.write(out),
    );
}

#[test]
fn members() {
    let mut users = Vec::new();
    write_users(&mut users, [("a\"", "A"), ("b", "B")]);
    let users = str::from_utf8(&users).expect("UTF-8");
    let list = r#"[{"user":"a\"","name":"A"},{"user":"b","name":"B"}]"#;
    assert_eq!(users, list);
    let roster = Roster { rev: 8, count: 2, users: Some(users) };
    let members = Members { room: "x", roster, reference: Some("\"m\"") };
    writes(
        &format!(r#"{{"type":"members","room":"x","rev":8,"count":2,"users":{list},"ref":"m"}}"#),
        |out| members.write(out),
    );
    for (change, event) in [
        (Change::Join { user: "bob", name: "Bob" }, r#""join","user":"bob","name":"Bob""#),
        (Change::Leave { user: "bob", name: "Bob" }, r#""leave","user":"bob","name":"Bob""#),
        (Change::Count, r#""count""#),
    ] {
        let presence = Presence { room: "x", rev: 4, change, count: 3 };
        let text = format!(r#"{{"type":"presence","room":"x","rev":4,"event":{event},"count":3}}"#);
        writes(&text, |out| presence.write(out));
    }
}

#[test]
fn rooms() {
    let conversations: [(Arc<str>, u64); 1] = [("bob".into(), 12)];
    let rooms = Rooms {
        rooms: &[("x", 9), ("y", 0)],
        conversations: &conversations,
        more: true,
        reference: Some("1"),
    };
    writes(
        concat!(
            r#"{"type":"rooms","rooms":[{"room":"x","seq":9},{"room":"y","seq":0}],"#,
            r#""conversations":[{"with":"bob","seq":12}],"more":true,"ref":1}"#
        ),
        |out| rooms.write(out),
    );
}

#[test]
fn errors() {
    let error = Error::from(Code::HelloRequired);
    writes(
        r#"{"type":"error","code":"hello_required","message":"the first message must be hello"}"#,
        |out| error.write(out),
    );
    let error = Error {
        client_id: Some(id()),
        address: Some(("room", "x")),
        reference: Some("1"),
        retry_after_ms: Some(1000),
        message: "full",
        ..Code::Unavailable.into()
    };
    writes(
        concat!(
            r#"{"type":"error","code":"unavailable","message":"full","#,
            r#""client_id":"019aae5c-5d20-7abc-8def-0123456789ab","room":"x","ref":1,"retry_after_ms":1000}"#
        ),
        |out| error.write(out),
    );
    let rejection = parse(r#"{"type":"ping?","ref":"a"}"#).expect_err("no such type");
    writes(
        r#"{"type":"error","code":"unknown_type","message":"no message has this type","ref":"a"}"#,
        |out| Error::from(&rejection).write(out),
    );
}

#[test]
fn bye_ping_pong() {
    let bye = Bye { code: 1001, reason: "server is stopping", reconnect: true, after_ms: 1234 };
    writes(
        r#"{"type":"bye","code":1001,"reason":"server is stopping","reconnect":true,"after_ms":1234}"#,
        |out| bye.write(out),
    );
    writes(r#"{"type":"ping"}"#, |out| out.extend_from_slice(PING.as_bytes()));
    writes(r#"{"type":"pong"}"#, |out| Pong { reference: None }.write(out));
    writes(r#"{"type":"pong","ref":"x"}"#, |out| Pong { reference: Some("\"x\"") }.write(out));
}
