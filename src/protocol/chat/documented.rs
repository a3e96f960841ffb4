//! That the documentation and the schema of the chat say what the program does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Code, parse};

#[path = "../../../tests/support/schema.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the whole server use the rest of it")]
pub(super) mod schema;

#[path = "../../../tests/support/markdown.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the whole server use the rest of it")]
mod markdown;

/// The JSON messages in the section of that heading, one a line.
fn examples(heading: &str) -> Vec<String> {
    let text = markdown::read("docs/protocol.md");
    let section = text.split_once(&format!("\n### {heading}\n")).expect("the section").1;
    let section = section.split("\n### ").next().expect("its text");
    let blocks = section.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

fn types(messages: &[Value]) -> BTreeSet<&str> {
    messages.iter().filter_map(|message| message["type"].as_str()).collect()
}

fn values(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn the_documented_messages_of_clients_are_right() {
    let lines = examples("What clients send");
    let messages = values(&lines);
    for (line, message) in lines.iter().zip(&messages) {
        assert_eq!(schema::examine("client", message), Ok(()), "{line}");
        parse(line).expect(line);
    }
    assert_eq!(types(&messages), schema::types("client").collect());
}

#[test]
fn the_documented_messages_of_the_server_are_right() {
    let messages = values(&examples("What the server sends"));
    messages.iter().for_each(schema::check_server);
    assert_eq!(types(&messages), schema::types("server").collect());
}

#[test]
fn each_type_has_its_row() {
    for (side, heading) in
        [("client", "### What clients send"), ("server", "### What the server sends")]
    {
        let rows = markdown::table(&markdown::read("docs/protocol.md"), heading);
        let documented: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(documented, schema::types(side).collect());
    }
}

#[test]
fn the_documented_codes_are_those_of_the_program() {
    let rows = markdown::table(&markdown::read("docs/protocol.md"), "### Errors");
    let documented: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let codes = Code::ALL.map(Code::as_str);
    assert_eq!(documented, codes);
    assert_eq!(schema::root()["$defs"]["code"]["enum"], json!(codes));
}

/// What the schema says of a message of a client and what the parser says must be the same.
#[test]
fn the_schema_takes_what_the_parser_takes() {
    let id = "019aae5c-5d20-7abc-8def-0123456789ab";
    let cases = [
        (json!({"type": "join", "room": "x"}), true),
        (json!({"type": "join", "room": "x", "more": [1]}), true),
        (json!({"type": "join"}), false),
        (json!({"type": "join", "room": "x", "with": "y"}), false),
        (json!({"type": "join", "room": ""}), false),
        (json!({"type": "join", "room": "x".repeat(201)}), false),
        (json!({"type": "join", "with": "x".repeat(129)}), false),
        (json!({"type": "join", "room": "x", "history": 101}), false),
        (json!({"type": "join", "room": "x", "history": 0}), true),
        (json!({"type": "join", "room": "x", "after": {"epoch": "e"}}), false),
        (json!({"type": "join", "room": "x", "after": {"epoch": "e", "seq": 1_u64 << 53}}), false),
        (json!({"type": "join", "room": "x", "after": {"epoch": "e", "seq": 0}}), true),
        (json!({"type": "send", "room": "x", "client_id": id, "body": null}), true),
        (json!({"type": "send", "room": "x", "client_id": id}), false),
        (json!({"type": "send", "room": "x", "client_id": "1", "body": 1}), false),
        (json!({"type": "send", "room": "x", "client_id": id.to_uppercase(), "body": 1}), true),
        (json!({"type": "signal", "with": "bob", "body": {}}), true),
        (json!({"type": "history", "room": "x", "before": 1, "after": 1}), false),
        (json!({"type": "history", "room": "x", "limit": 0}), false),
        (json!({"type": "history", "room": "x", "limit": 100, "after": 0}), true),
        (json!({"type": "members", "with": "bob"}), false),
        (json!({"type": "rooms", "after": ""}), false),
        (json!({"type": "refresh"}), false),
        (json!({"type": "hello", "name": "x".repeat(65)}), false),
        (json!({"type": "ping", "ref": "é".repeat(64)}), true),
        (json!({"type": "ping", "ref": "é".repeat(65)}), false),
        (json!({"type": "ping", "ref": -1.5}), true),
        (json!({"type": "ping", "ref": true}), false),
        (json!({"type": "dance"}), false),
        (json!({}), false),
    ];
    for (message, is_right) in cases {
        assert_eq!(schema::examine("client", &message).is_ok(), is_right, "schema: {message}");
        assert_eq!(parse(&message.to_string()).is_ok(), is_right, "parser: {message}");
    }
}

#[test]
fn the_schema_refuses_what_the_server_does_not_say() {
    for wrong in [
        json!({"type": "left"}),
        json!({"type": "left", "room": "x", "with": "y"}),
        json!({"type": "left", "room": "x", "other": 1}),
        json!({"type": "gap", "room": "x", "from": -1, "to": 2}),
        json!({"type": "presence", "room": "x", "rev": 1, "event": "join", "count": 1}),
        json!({"type": "presence", "room": "x", "rev": 1, "event": "count", "user": "u", "count": 1}),
        json!({"type": "error", "code": "other", "message": "no"}),
        json!({"type": "pong", "ref": null}),
        json!({"type": "dance"}),
    ] {
        assert!(schema::examine("server", &wrong).is_err(), "{wrong}");
    }
}
