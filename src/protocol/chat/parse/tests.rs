//! Messages of clients, right and wrong, and what is made of any text at all.

use super::*;
use crate::protocol::chat::ClientId;

mod any_text;

const ID: &str = "019aae5c-5d20-7abc-8def-0123456789ab";

fn room(name: &str) -> Address<'_> {
    Address::Room(name.into())
}

fn with(user: &str) -> Address<'_> {
    Address::With(user.into())
}

#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "shorter to call")]
fn is(text: &str, expected: Request<'_>) {
    let incoming = parse(text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
    assert_eq!(incoming.request, expected, "{text}");
}

/// The rejection of a text that must have this code, and words of this in its message.
#[track_caller]
fn refused(text: &str, code: Code, words: &str) -> Rejection {
    let rejection = parse(text).expect_err(text);
    assert_eq!(rejection.code, code, "{text}: {}", rejection.message);
    assert!(rejection.message.contains(words), "{text}: {}", rejection.message);
    rejection
}

#[test]
fn sends() {
    let client_id = ClientId::parse(ID).expect("a UUIDv7");
    let send = |address, body| Request::Send { address, client_id, body };
    let text = |rest: &str| format!(r#"{{"type":"send","client_id":"{ID}",{rest}}}"#);
    is(&text(r#""room":"x","body":"hi""#), send(room("x"), "\"hi\""));
    is(&text(r#""with":"bob","body":{"a":[ 1 ]}"#), send(with("bob"), r#"{"a":[ 1 ]}"#));
    is(&text(r#""room":"x","body":null"#), send(room("x"), "null"));
    is(&text(r#""room":"x","with":null,"body":0"#), send(room("x"), "0"));
    is(
        &text(r#""room":"\u0061\"é","body":"\ud83d\ude00""#),
        send(room("a\"é"), r#""\ud83d\ude00""#),
    );
    let (upper, spaced) = (ID.to_uppercase(), "{ \"body\" : [ ] , \"room\" : \"x\" ,");
    is(
        &format!(
            "\t{spaced} \"client_id\":\"{upper}\",\"\\u0074ype\":\"s\\u0065nd\",\"other\":[[{{}}]]}}\n"
        ),
        send(room("x"), "[ ]"),
    );
}

#[test]
fn what_needs_no_escape_is_borrowed() {
    let text = r#"{"type":"join","room":"x","after":{"epoch":"e","seq":1}}"#;
    let Request::Join { address: Address::Room(room), after: Some(after), .. } =
        parse(text).expect("it is right").request
    else {
        panic!("it is a join of a room")
    };
    assert!(matches!(room, Cow::Borrowed("x")));
    assert!(matches!(after.epoch, Cow::Borrowed("e")));
}

#[test]
fn joins_and_leaves() {
    let join = |after, history| Request::Join { address: room("x"), after, history };
    let position = |seq| Some(Position { epoch: "e".into(), seq });
    is(r#"{"type":"join","room":"x"}"#, join(None, None));
    is(r#"{"type":"join","room":"x","history":0}"#, join(None, Some(0)));
    is(r#"{"type":"join","room":"x","history":100,"after":null}"#, join(None, Some(100)));
    is(
        r#"{"type":"join","room":"x","after":{"epoch":"e","seq":9007199254740991,"more":[]}}"#,
        join(position(SEQ_MAX), None),
    );
    is(r#"{"type":"leave","with":"bob"}"#, Request::Leave { address: with("bob") });
}

#[test]
fn the_other_messages() {
    let hello = |guest, name, token| Request::Hello { guest, name, token };
    is(r#"{"type":"hello"}"#, hello(None, None, None));
    is(
        r#"{"type":"hello","guest":"g","name":"Bob","token":"t"}"#,
        hello(Some("g".into()), Some("Bob".into()), Some("t".into())),
    );
    is(
        r#"{"type":"signal","room":"x","body":"typing"}"#,
        Request::Signal { address: room("x"), body: "\"typing\"" },
    );
    let history = |direction, limit| Request::History { address: room("x"), direction, limit };
    is(r#"{"type":"history","room":"x"}"#, history(None, 50));
    is(
        r#"{"type":"history","room":"x","before":9,"limit":1}"#,
        history(Some(Direction::Before(9)), 1),
    );
    is(
        r#"{"type":"history","room":"x","after":0,"limit":100}"#,
        history(Some(Direction::After(0)), 100),
    );
    is(r#"{"type":"members","room":"x"}"#, Request::Members { room: "x".into() });
    is(r#"{"type":"rooms"}"#, Request::Rooms { after: None, limit: 100 });
    is(
        r#"{"type":"rooms","after":"bob","limit":5}"#,
        Request::Rooms { after: Some("bob".into()), limit: 5 },
    );
    is(r#"{"type":"refresh","token":"t"}"#, Request::Refresh { token: "t".into() });
    is(r#"{"type":"ping"}"#, Request::Ping);
    is(r#"{"type":"pong","room":5}"#, Request::Pong);
}

#[test]
fn references_come_back_as_they_came() {
    let longest = format!("\"{}\"", "é".repeat(64));
    for reference in ["\"\"", "\"a\\u0062\"", "0", "-1.50e+3", &longest] {
        let text = format!(r#"{{"type":"ping","ref":{reference}}}"#);
        assert_eq!(parse(&text).expect("it is right").reference, Some(reference));
    }
    assert_eq!(parse(r#"{"type":"ping","ref":null}"#).expect("it is right").reference, None);
}

#[test]
fn wrong_references() {
    for (reference, code) in [
        ("true", Code::BadMessage),
        ("[]", Code::BadMessage),
        ("1e999", Code::BadMessage),
        ("\"\\ud800\"", Code::BadMessage),
        (&*format!("\"{}\"", "x".repeat(65)), Code::TooLong),
        (&"1".repeat(65), Code::TooLong),
    ] {
        let text = format!(r#"{{"type":"ping","ref":{reference}}}"#);
        assert_eq!(refused(&text, code, "`ref`").reference, None);
    }
}

#[test]
fn what_is_known_of_a_wrong_message_comes_back() {
    let client_id = ClientId::parse(ID);
    let id = format!(r#""ref":7,"client_id":"{ID}""#);
    for (text, code) in [
        (format!(r#"{{"type":"what",{id}}}"#), Code::UnknownType),
        (format!(r#"{{{id}}}"#), Code::BadMessage),
        (format!(r#"{{"type":"send","room":5,{id}}}"#), Code::BadMessage),
        (format!(r#"{{"room":"x","room":"x","type":"leave",{id}}}"#), Code::BadMessage),
        (format!(r#"{{{id},"type":"send","room":"x","body":[}}"#), Code::BadJson),
    ] {
        let rejection = refused(&text, code, "");
        assert_eq!(rejection.reference.as_deref(), Some("7"), "{text}");
        assert_eq!(rejection.client_id, client_id, "{text}");
    }
    let wrong = r#"{"type":"send","room":"x","client_id":"1","body":1,"ref":"r"}"#;
    let rejection = refused(wrong, Code::BadMessage, "`client_id`");
    assert_eq!((rejection.reference.as_deref(), rejection.client_id), (Some("\"r\""), None));
}

#[test]
fn what_is_no_object() {
    for text in ["", " ", "hello", "{", "{}}", "{\"type\":\"ping\"} x", "{'type':1}", "\u{feff}{}"]
    {
        refused(text, Code::BadJson, "not JSON: ");
    }
    for text in ["null", "1", "\"ping\"", "[]", "[{\"type\":\"ping\"}]"] {
        refused(text, Code::BadJson, "must be a JSON object");
    }
}

#[test]
fn wrong_fields() {
    let long = "x".repeat(201);
    let cases: &[(&str, Code, &str)] = &[
        (r#"{}"#, Code::BadMessage, "`type` is missing"),
        (r#"{"type":1}"#, Code::BadMessage, "`type` must be a string"),
        (r#"{"type":""}"#, Code::UnknownType, ""),
        (r#"{"type":"Send"}"#, Code::UnknownType, ""),
        (r#"{"type":"ping","type":"ping"}"#, Code::BadMessage, "`type` is there twice"),
        (r#"{"type":"ping","body":1,"body":2}"#, Code::BadMessage, "`body` is there twice"),
        (r#"{"type":"join"}"#, Code::BadMessage, "`room` or `with` is missing"),
        (r#"{"type":"join","room":"x","with":"y"}"#, Code::BadMessage, "both `room` and `with`"),
        (r#"{"type":"join","room":["x"]}"#, Code::BadMessage, "`room` must be a string"),
        (r#"{"type":"join","room":"\udc00"}"#, Code::BadMessage, "`room` contains half"),
        (r#"{"type":"join","room":""}"#, Code::BadRoom, "empty"),
        (r#"{"type":"join","room":".."}"#, Code::BadRoom, "\"..\""),
        (r#"{"type":"join","room":"a\u0000b"}"#, Code::BadRoom, "control"),
        (r#"{"type":"join","room":"a\u202eb"}"#, Code::BadRoom, "direction"),
        (r#"{"type":"join","room":"e\u0301"}"#, Code::BadRoom, "normalization form C"),
        (r#"{"type":"join","with":""}"#, Code::BadUser, "empty"),
        (r#"{"type":"join","with":"a\nb"}"#, Code::BadUser, "control"),
        (r#"{"type":"join","room":"x","history":101}"#, Code::BadMessage, "from 0 to 100"),
        (r#"{"type":"join","room":"x","history":-1}"#, Code::BadMessage, "`history`"),
        (r#"{"type":"join","room":"x","history":1.0}"#, Code::BadMessage, "`history`"),
        (r#"{"type":"join","room":"x","history":"1"}"#, Code::BadMessage, "`history`"),
        (r#"{"type":"join","room":"x","after":5}"#, Code::BadMessage, "`after`"),
        (r#"{"type":"join","room":"x","after":{"seq":5}}"#, Code::BadMessage, "`after`"),
        (r#"{"type":"join","room":"x","after":["e",5]}"#, Code::BadMessage, "`after`"),
        (
            r#"{"type":"join","room":"x","after":{"epoch":"e","seq":9007199254740992}}"#,
            Code::BadMessage,
            "below 2^53",
        ),
        (r#"{"type":"signal","room":"x"}"#, Code::BadMessage, "`body` is missing"),
        (r#"{"type":"signal","room":"x","body":1e999}"#, Code::BadMessage, "double"),
        (r#"{"type":"history","room":"x","limit":0}"#, Code::BadMessage, "from 1 to 100"),
        (r#"{"type":"history","room":"x","limit":101}"#, Code::BadMessage, "from 1 to 100"),
        (r#"{"type":"history","room":"x","before":1,"after":1}"#, Code::BadMessage, "both"),
        (r#"{"type":"history","room":"x","before":"1"}"#, Code::BadMessage, "`before`"),
        (r#"{"type":"members","with":"bob"}"#, Code::BadMessage, "`room` is missing"),
        (r#"{"type":"rooms","limit":101}"#, Code::BadMessage, "from 1 to 100"),
        (r#"{"type":"rooms","after":""}"#, Code::BadUser, "empty"),
        (r#"{"type":"refresh"}"#, Code::BadMessage, "`token` is missing"),
        (r#"{"type":"hello","name":" "}"#, Code::BadName, "white space"),
        (r#"{"type":"hello","guest":{}}"#, Code::BadMessage, "`guest` must be a string"),
    ];
    for (text, code, words) in cases {
        refused(text, *code, words);
    }
    refused(&format!(r#"{{"type":"join","room":"{long}"}}"#), Code::TooLong, "200 bytes");
    refused(&format!(r#"{{"type":"join","with":"{long}"}}"#), Code::TooLong, "128 bytes");
    refused(&format!(r#"{{"type":"hello","name":"{long}"}}"#), Code::TooLong, "64 characters");
    let after = format!(r#"{{"epoch":"{long}","seq":1}}"#);
    refused(&format!(r#"{{"type":"join","room":"x","after":{after}}}"#), Code::TooLong, "epoch");
}

#[test]
fn bodies_have_bounds() {
    let signal = |body: &str| format!(r#"{{"type":"signal","room":"x","body":{body}}}"#);
    let string = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert!(parse(&signal(&string(1024))).is_ok());
    refused(&signal(&string(1025)), Code::TooLong, "1024 bytes");
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&signal(&nested(64))).is_ok());
    refused(&signal(&nested(65)), Code::BadMessage, "64 deep");
}

#[test]
fn depth_costs_no_stack_wherever_it_is() {
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for field in ["other", "room", "after", "type", "ref", "body", "client_id"] {
        let text = format!(r#"{{"type":"send","{field}":{deep}}}"#);
        refused(&text, Code::BadMessage, "");
    }
    let text =
        format!(r#"{{"type":"join","room":"x","after":{{"epoch":"e","seq":1,"x":{deep}}}}}"#);
    assert!(parse(&text).is_ok(), "what is ignored may be deep");
    refused(&deep, Code::BadJson, "object");
    refused(&"{\"a\":".repeat(400_000), Code::BadJson, "");
}
