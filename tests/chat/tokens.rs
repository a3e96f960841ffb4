//! What a token lets in, for how long, and what of it is left when another one is shown: over real sockets, with a
//! verifier of the test's own.

use std::time::Duration;

use serde_json::{Value, json};
use uproar::{Access, Builder, Grant, Identity, Server};

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::Client;
use crate::support::embedded::Embedded;

/// A token of the tests: what it says of the user as JSON, with `secs` for how long it is good.
pub(crate) fn access(token: &str) -> Option<Access> {
    let claims: Value = serde_json::from_str(token).ok()?;
    let user = claims["user"].as_str()?;
    let grant: Grant = serde_json::from_value(claims.clone()).ok()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    let expires_at = claims["secs"].as_u64().map(|secs| now.as_millis() as u64 + secs * 1000);
    Some(Access {
        identity: Identity { user: user.into(), name: user.into(), is_guest: false },
        permissions: std::sync::Arc::new(grant.try_into().ok()?),
        expires_at,
    })
}

/// Takes tokens at hello, at refresh, and in `?token=`.
pub(crate) fn build(builder: Builder) -> Server {
    let verify = |token: String| async move {
        if token == "slow" {
            std::future::pending::<()>().await;
        }
        access(&token)
    };
    let at_handshake = |request: &uproar::Request| {
        let token = request.uri.query()?.strip_prefix("token=")?;
        access(&percent_encoding::percent_decode_str(token).decode_utf8().ok()?)
    };
    builder.verify_tokens(verify).authorize(at_handshake).bind().expect("it starts")
}

pub(crate) fn server() -> Embedded {
    Embedded::start_with(
        |config| {
            config.server.shards = 4;
            config.relay.enabled = true;
            config.limits.handshake_timeout_secs = 3;
        },
        build,
    )
}

/// A welcomed session with that token.
pub(crate) fn enter(server: &Embedded, token: &Value) -> ChatClient {
    let hello = json!({"type": "hello", "token": token.to_string()});
    let client = ChatClient::hello(Client::connect(server.address, "/chat"), &hello);
    assert_eq!(client.user(), token["user"]);
    assert_eq!(client.welcome.get("guest"), None);
    client
}

/// A session of the relay with that token.
pub(crate) fn enter_relay(server: &Embedded, room: &str, token: &Value) -> Client {
    let token = token.to_string();
    let token = percent_encoding::utf8_percent_encode(&token, percent_encoding::NON_ALPHANUMERIC);
    Client::connect(server.address, &format!("/relay/{room}?token={token}"))
}

/// The JSON messages that are left, and the code of the Close.
pub(crate) fn ending(client: &mut Client) -> (Vec<Value>, u16) {
    let mut frames = client.rest();
    let close = frames.pop().expect("a Close").close_code();
    let texts = frames.iter().filter(|frame| frame.opcode() == 1);
    (texts.map(|frame| serde_json::from_str(frame.text()).expect("JSON")).collect(), close)
}

#[test]
fn a_wrong_token_is_told_so_and_its_session_ends() {
    let server = server();
    let mut neighbour = ChatClient::connect(server.address, "Bob");
    neighbour.join("a");
    for (token, code, close) in [("wrong", "bad_token", 4401), ("slow", "unavailable", 4401)] {
        let mut client = Client::connect(server.address, "/chat");
        let hello = json!({"type": "hello", "token": token, "ref": 1});
        client.send(&hello.to_string());
        let (heard, closed) = ending(&mut client);
        // What nobody can look at does not end the session; that it says no other hello does.
        let is_late = token == "slow" && heard[0]["type"] == "bye";
        assert!(is_late || heard[0]["code"] == code, "{heard:?}");
        assert_eq!(closed, close);
        assert_eq!(heard.last().expect("a bye")["reconnect"], false);
        assert!(heard.iter().all(|message| !message.to_string().contains("wrong")));
    }
    neighbour.say("a", &json!("still here"));
    assert_eq!(neighbour.await_type("ack")["stored"], true);
}

#[test]
fn without_guests_only_tokens_come_in() {
    let server = Embedded::start(2, |builder| build(builder.without_guests()));
    let mut client = Client::connect(server.address, "/chat");
    client.send(&json!({"type": "hello", "name": "Ann", "ref": 1}).to_string());
    let (heard, code) = ending(&mut client);
    assert_eq!(
        (&heard[0]["code"], &heard[0]["ref"], code),
        (&json!("token_required"), &json!(1), 4401)
    );
    enter(&server, &json!({"user": "ann"}));
}

#[test]
fn rights_hold_message_by_message_on_every_shard() {
    let server = server();
    let all =
        json!({"user": "ann", "rooms": {"*": ["join", "send", "signal", "history", "members"]}});
    let mut ann = enter(&server, &all);
    ann.join("a");
    ann.say("a", &json!("before"));
    ann.await_type("ack");
    for number in 0..8 {
        let mut bob =
            enter(&server, &json!({"user": format!("bob {number}"), "rooms": {"a": ["join"]}}));
        let joined = bob.join("a");
        assert_eq!((&joined["messages"], joined.get("members")), (&json!([]), None));
        for ask in [
            json!({"type": "send", "room": "a", "client_id": client_id(), "body": 1, "ref": 1}),
            json!({"type": "signal", "room": "a", "body": 1, "ref": 2}),
            json!({"type": "history", "room": "a", "ref": 3}),
            json!({"type": "members", "room": "a", "ref": 4}),
            json!({"type": "join", "room": "b", "ref": 5}),
            json!({"type": "join", "with": "ann", "ref": 6}),
        ] {
            bob.send(&ask);
            let error = bob.await_type("error");
            assert_eq!(
                (&error["code"], &error["ref"]),
                (&json!("forbidden"), &ask["ref"]),
                "{ask}"
            );
        }
        let id = ann.say("a", &json!(number));
        assert_eq!(bob.await_type("message")["client_id"], id.as_str());
        assert!(bob.drain().iter().all(|message| message["type"] != "presence"));
    }
}

#[test]
fn a_session_is_warned_refreshed_and_ends_when_its_time_is_over() {
    let server = server();
    let token = |secs: u64| json!({"user": "ann", "rooms": {"*": ["join", "send"]}, "secs": secs});
    let mut ann = enter(&server, &token(30));
    assert_eq!(ann.await_type("error")["code"], "token_expired");
    ann.join("a");
    // It goes on as somebody who may less, and not for long.
    let less = json!({"user": "ann", "rooms": {"b": ["join"]}, "secs": 2});
    ann.send(&json!({"type": "refresh", "token": less.to_string(), "ref": 1}));
    let refreshed = ann.await_type("refreshed");
    assert_eq!(refreshed["ref"], 1);
    assert!(refreshed["expires"].is_u64());
    assert_eq!(ann.await_type("left")["room"], "a");
    let (heard, code) = ending(&mut ann.client);
    assert_eq!(code, 4401);
    assert_eq!(heard.last().expect("a bye")["code"], 4401);
    // And one that is put off lives on.
    let mut bob = enter(&server, &json!({"user": "bob", "secs": 2}));
    for (token, code) in [("wrong".to_owned(), "bad_token"), (token(9).to_string(), "forbidden")] {
        bob.send(&json!({"type": "refresh", "token": token, "ref": 2}));
        let error = bob.await_message(|message| message["ref"] == 2);
        assert_eq!(error["code"], code);
    }
    bob.send(&json!({"type": "refresh", "token": json!({"user": "bob"}).to_string(), "ref": 3}));
    assert_eq!(bob.await_type("refreshed").get("expires"), None);
    crate::support::pause(Duration::from_secs(4));
    assert!(bob.drain().iter().all(|message| message["type"] != "bye"));
}

#[test]
fn the_relay_obeys_the_same() {
    let server = server();
    let user = |user: &str, rights: &Value| json!({"user": user, "rooms": {"a": rights}});
    let mut speaker = enter_relay(&server, "a", &user("ann", &json!(["join", "send"])));
    let mut listener = enter_relay(&server, "a", &user("bob", &json!(["join"])));
    let mut open = Client::connect(server.address, "/relay/a");
    speaker.send("one");
    assert_eq!((listener.next().text(), open.next().text()), ("one", "one"));
    listener.send("may I?");
    assert_eq!(listener.rest().pop().expect("a Close").close_code(), 4403);
    speaker.send("two");
    assert_eq!(open.next().text(), "two");
    let mut stranger = enter_relay(&server, "b", &user("bob", &json!(["join"])));
    assert_eq!(stranger.rest().pop().expect("a Close").close_code(), 4403);
    let short = json!({"user": "cid", "rooms": {"a": ["join"]}, "secs": 1});
    let mut short = enter_relay(&server, "a", &short);
    assert_eq!(short.rest().pop().expect("a Close").close_code(), 4401);
}
