//! What must be so of any text whatever, made up by chance: nonsense, JSON, and what is nearly a message.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::super::{Address, ClientId, Code, Incoming, Request, parse};
use super::ID;

/// Any JSON, of which strings and keys are often words of the protocol.
fn values() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "ref",
        "room",
        "with",
        "client_id",
        "body",
        "after",
        "before",
        "limit",
        "history",
        "name",
        "guest",
        "token",
        "epoch",
        "seq",
        "send",
        "join",
        "leave",
        "signal",
        "members",
        "rooms",
        "hello",
        "refresh",
        "ping",
        "pong",
        ID,
    ]);
    let text = prop_oneof![3 => words.prop_map(String::from), 1 => any::<String>()].boxed();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5..200_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    value.boxed()
}

/// Objects that are nearly messages: each field there or not, right or anything.
fn near_messages() -> impl Strategy<Value = Value> {
    let field = |right: Value| prop::option::of(prop_oneof![3 => Just(right), 1 => values()]);
    let kind = prop::sample::select(vec![
        "send", "join", "leave", "signal", "history", "members", "rooms", "hello", "ping", "x",
    ]);
    let fields = (
        (kind, field(json!("r")), field(json!("lobby")), field(json!("bob")), field(json!(ID))),
        (field(json!({"a": 1})), field(json!({"epoch": "e", "seq": 4})), field(json!(7))),
        (field(json!(20)), field(json!(0)), field(json!("Bob")), field(json!("g"))),
    );
    fields.prop_map(
        |((kind, r, room, with, id), (body, after, before), (limit, hist, name, guest))| {
            let named = [
                ("ref", r),
                ("room", room),
                ("with", with),
                ("client_id", id),
                ("body", body),
                ("after", after),
                ("before", before),
                ("limit", limit),
                ("history", hist),
                ("name", name),
                ("guest", guest),
            ];
            let there =
                named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(there.chain([("type".to_owned(), kind.into())]).collect())
        },
    )
}

/// What must be so of any text: it is right or has a message, and what comes back of it is what it said.
fn holds(text: &str) {
    let value = serde_json::from_str::<Value>(text).ok();
    let said = |name: &str| value.as_ref().and_then(|value| value.get(name)).cloned();
    let (reference, client_id) = match parse(text) {
        Ok(Incoming { reference, request }) => {
            assert!(value.is_none() || said("type").is_some());
            if let Request::Send { body, .. } | Request::Signal { body, .. } = request {
                let body: Value = serde_json::from_str(body).expect("every body can be read");
                assert!(value.is_none() || said("body") == Some(body));
            }
            (reference.map(str::to_owned), None)
        }
        Err(rejection) => {
            assert!(!rejection.message.is_empty());
            (rejection.reference.map(String::from), rejection.client_id)
        }
    };
    if let (Some(reference), Some(_)) = (reference, &value) {
        assert_eq!(serde_json::from_str(&reference).ok(), said("ref"));
    }
    if let (Some(id), Some(_)) = (client_id, &value) {
        assert_eq!(Some(id), said("client_id").and_then(|said| ClientId::parse(said.as_str()?)));
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_json_is_too_strange(value in values()) {
        holds(&value.to_string());
    }

    #[test]
    fn no_message_is_too_strange(value in near_messages()) {
        holds(&value.to_string());
    }

    #[test]
    fn a_cut_message_is_not_json(value in near_messages(), cut in any::<prop::sample::Index>()) {
        let text = value.to_string();
        let mut end = cut.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        prop_assert_eq!(parse(&text[..end]).map_err(|rejection| rejection.code), Err(Code::BadJson));
    }

    #[test]
    fn what_is_sent_is_what_is_read(room in "[a-z\u{e9}\"\\\\ /]{1,40}", body in values(), reference in 0..u64::MAX) {
        let message = json!({"type": "send", "room": room, "client_id": ID, "body": body, "ref": reference});
        let text = message.to_string();
        let incoming = parse(&text).expect("it is right");
        prop_assert_eq!(incoming.reference, Some(&*reference.to_string()));
        let Request::Send { address, client_id, body: read } = incoming.request else {
            panic!("it is a send")
        };
        prop_assert_eq!(address, Address::Room(room.into()));
        prop_assert_eq!(client_id.to_string(), ID);
        prop_assert_eq!(read, body.to_string());
    }
}
