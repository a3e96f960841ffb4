//! What has to be true of the recipes, of either kind.

use serde_json::{Value, json};

use super::application::{Application, Hook, Kind};
use crate::support::chat::ChatClient;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::token::{now, signed};
use crate::support::wait_for;

/// The status of a handshake as a page makes it, and the connection.
fn enter(server: &Server, path: &str, field: &str) -> (u16, Client) {
    let mut client = Client::raw(server.address);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         {field}\r\n\r\n"
    );
    client.write(request.as_bytes());
    let head = client.read_head();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, client)
}

/// A session of the chat with a token of the application.
fn chat(application: &Application, server: &Server) -> ChatClient {
    let (status, token) = application.fetch_token(Some(&application.log_in()));
    assert_eq!(status, 200, "{token}");
    let (status, client) = enter(server, "/chat", &format!("Authorization: Bearer {token}"));
    assert_eq!(status, 101);
    ChatClient::hello(client, &json!({"type": "hello"}))
}

fn a_minted_token_lets_in_and_a_wrong_one_does_not(application: &Application) {
    let server = application.server();
    let mut alice = chat(application, &server);
    assert_eq!((alice.user(), &alice.welcome["name"]), (application.user(), &json!("Alice A.")));
    alice.join("team-a");
    alice.send(&json!({"type": "join", "room": "other"}));
    assert_eq!(alice.await_type("error")["code"], "forbidden");
    // Laravel looks for the token of a form first.
    let refused = if application.kind == Kind::Laravel { 419 } else { 401 };
    assert_eq!(application.fetch_token(None).0, refused);
    let claims = json!({
        "iss": "https://www.example.org", "aud": "chat.example.org", "sub": "alice", "exp": now() + 60,
        "rooms": {"*": ["join"]},
    });
    let forged = signed(&claims, "another secret that has 32 bytes, too");
    assert_eq!(enter(&server, "/chat", &format!("Authorization: Bearer {forged}")).0, 401);
}

fn a_publish_reaches_a_client(application: &Application) {
    let server = application.server();
    let mut alice = chat(application, &server);
    alice.join("team-a");
    let said = application.publish(&server);
    let message = alice.await_type("message");
    assert_eq!(message["from"]["user"], "shop");
    assert_eq!(message["body"], json!({"text": "Order 17 is paid"}));
    assert!(said.contains(&format!("team-a: {}", message["seq"])), "{said}");
}

fn the_connect_callback_decides(application: &Application) {
    let server = application.server();
    let cookie = format!("Cookie: theme=dark; {}", application.log_in().cookie);
    for _ in 0..3 {
        assert_eq!(enter(&server, "/relay/team-a", &cookie).0, 101);
    }
    assert_eq!(enter(&server, "/relay/other", &cookie).0, 403);
    let (status, client) = enter(&server, "/chat", &cookie);
    assert_eq!(status, 101);
    let alice = ChatClient::hello(client, &json!({"type": "hello"}));
    assert_eq!((alice.user(), &alice.welcome["name"]), (application.user(), &json!("Alice A.")));
    let (pair, secret) = (cookie.split_once("; ").expect("two").1, &application.secrets[0]);
    let (name, value) = pair.split_once('=').expect("a pair");
    let question = json!({"event": "connect", "cookies": {name: value}}).to_string();
    only_signed_is_taken(application, Hook::Connect, secret, &question);
    assert_eq!(application.tell(Hook::Connect, &question, secret, now()), 200);
    let strangers = [
        "X-Nothing: to show".to_owned(),
        format!("Cookie: {name}=aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        format!("Cookie: {name}=../../etc/passwd"),
    ];
    for stranger in strangers {
        assert_eq!(enter(&server, "/relay/team-a", &stranger).0, 401, "{stranger}");
    }
}

fn the_publish_callback_decides(application: &Application) {
    let server = application.server();
    let mut alice = chat(application, &server);
    alice.join("team-a");
    for (said, stored) in [
        (json!({"text": "hello", "more": {}}), json!({"text": "hello", "more": {}})),
        (
            json!({"text": "it is 4111 1111-11111111!", "more": {}, "list": []}),
            json!({"text": "it is ****!", "more": {}, "list": []}),
        ),
    ] {
        alice.say("team-a", &said);
        assert_eq!(alice.await_type("ack")["stored"], true);
        assert_eq!(alice.await_type("message")["body"], stored);
    }
    for said in [json!({"more": 1}), json!("hello"), json!({"text": "x".repeat(5000)}), json!(null)]
    {
        alice.say("team-a", &said);
        let error = alice.await_type("error");
        let told = (&error["code"], &error["message"]);
        assert_eq!(told, (&json!("denied"), &json!("Messages here are texts, and not that long.")));
    }
    let question =
        json!({"event": "publish", "room": "team-a", "body": {"text": "hello"}}).to_string();
    let secret = &application.secrets[0];
    only_signed_is_taken(application, Hook::Publish, secret, &question);
    assert_eq!(application.tell(Hook::Publish, &question, secret, now()), 204);
}

/// Everything but what was signed with that secret, now.
fn only_signed_is_taken(application: &Application, hook: Hook, secret: &str, body: &str) {
    let other = application.secrets.iter().find(|other| *other != secret).expect("there are two");
    assert_eq!(application.tell(hook, body, other, now()), 403);
    assert_eq!(application.tell(hook, body, "", now()), 403);
    assert_eq!(application.tell(hook, body, secret, now() - 600), 403, "too long ago");
    assert_eq!(application.tell(hook, body, secret, now() + 600), 403);
    assert_eq!(application.send(hook, &[], body), 403, "not signed");
}

fn a_webhook_is_taken_once_and_a_forged_one_not(application: &Application) {
    let server = application.server();
    let mut alice = chat(application, &server);
    alice.join("team-a");
    alice.say("team-a", &json!({"text": "  told  ", "empty": ""}));
    alice.await_type("ack");
    wait_for("the application is told", || (application.heard("told") == 1).then_some(()));
    assert_eq!(application.heard(r#"{"empty":"","text":"  told  "}"#), 1, "as it was said");
    server.wait_for_metric("uproar_webhook_events_total", &["delivered"], |told| told >= 2.0);

    let secret = &*application.secrets[1];
    let batch = |id: &str, text: &str, more: &[Value]| {
        let first = json!({
            "event": "message", "id": id, "room": "team-a", "seq": 1, "kind": "text",
            "from": {"user": "bob", "name": "Bob"}, "body": text,
        });
        let events: Vec<_> = std::iter::once(&first).chain(more).collect();
        json!({ "events": events }).to_string()
    };
    let other = batch("1-1", "never heard", &[]);
    only_signed_is_taken(application, Hook::Events, &application.secrets[1], &other);
    assert_eq!(application.heard("never heard"), 0);

    // What cannot be stored is answered so that it comes again, and what can be is there once.
    let broken = json!({
        "event": "message", "id": "1-3", "room": "team-a", "seq": 2, "kind": "text", "body": "of nobody",
    });
    assert_eq!(
        application.tell(Hook::Events, &batch("1-2", "heard once", &[broken]), secret, now()),
        500
    );
    for _ in 0..3 {
        assert_eq!(
            application.tell(Hook::Events, &batch("1-2", "heard once", &[]), secret, now()),
            204
        );
    }
    assert_eq!((application.heard("heard once"), application.heard("of nobody")), (1, 0));
    removals_are_heard(application, secret);
}

/// Of what was removed, the application keeps nothing that it keeps by position.
fn removals_are_heard(application: &Application, secret: &str) {
    let said = |seq: u64, kind: &str, body: &Value| {
        let event = json!({
            "event": "message", "id": format!("2-{seq}"), "room": "team-b", "seq": seq, "kind": kind,
            "from": {"user": "bob", "name": "Bob"}, "body": body,
        });
        json!({ "events": [event] }).to_string()
    };
    for seq in 1..=4 {
        let body = said(seq, "text", &json!(format!("number {seq}")));
        assert_eq!(application.tell(Hook::Events, &body, secret, now()), 204);
    }
    for (seq, kind, body) in
        [(5, "redact", json!({"seqs": [2, 4]})), (6, "clear", json!({"to": 1}))]
    {
        assert_eq!(application.tell(Hook::Events, &said(seq, kind, &body), secret, now()), 204);
        assert_eq!(application.heard("seqs") + application.heard("to\":"), 0, "it is no message");
    }
    if application.kind == Kind::Plain {
        assert_eq!((application.heard("number"), application.heard("number 3")), (1, 1));
    }
}

/// Each of them for each kind.
macro_rules! recipes {
    ($kind:ident: $($recipe:ident),* $(,)?) => {
        $(#[test]
        fn $recipe() {
            super::$recipe(&super::Application::start(super::Kind::$kind));
        })*
    };
}

mod plain {
    recipes!(Plain:
        a_minted_token_lets_in_and_a_wrong_one_does_not,
        a_publish_reaches_a_client,
        the_connect_callback_decides,
        the_publish_callback_decides,
        a_webhook_is_taken_once_and_a_forged_one_not,
    );
}

mod laravel {
    recipes!(Laravel:
        a_minted_token_lets_in_and_a_wrong_one_does_not,
        a_publish_reaches_a_client,
        the_connect_callback_decides,
        the_publish_callback_decides,
        a_webhook_is_taken_once_and_a_forged_one_not,
    );
}
