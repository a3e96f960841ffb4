//! Joining, saying, hearing, leaving, and what is refused.

use serde_json::{Value, json};

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn what_one_says_everyone_hears_and_the_sender_too() {
    let server = Server::start(&["--shards", "2"]);
    let mut clients: Vec<_> =
        ["Ann", "Bob", "Cid"].map(|name| ChatClient::connect(server.address, name)).into();
    for client in &mut clients {
        let joined = client.join("lobby");
        assert_eq!(joined["room"], "lobby");
        assert_eq!(joined["messages"], json!([]));
    }
    let body = json!({"text": "Grüße \u{1f44b}", "n": [1, 2.5, null]});
    let id = clients[0].say("lobby", &body);
    let ack = clients[0].await_type("ack");
    assert_eq!((ack["client_id"].as_str(), &ack["stored"]), (Some(id.as_str()), &json!(true)));
    let (user, name) = (clients[0].user().to_owned(), "Ann");
    for client in &mut clients {
        let message = client.await_type("message");
        assert_eq!(message["seq"], ack["seq"]);
        assert_eq!(message["time"], ack["time"]);
        assert_eq!(message["prev"], 0);
        assert_eq!(message["from"], json!({"user": user, "name": name}));
        assert_eq!(message["body"], body);
        assert_eq!(message["kind"], "text");
    }
}

#[test]
fn who_joins_is_told_what_was_said_and_who_is_there() {
    let server = Server::start(&["--shards", "2"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("lobby");
    for number in 0..5 {
        ann.say("lobby", &json!(number));
        ann.await_type("ack");
    }
    let mut bob = ChatClient::connect(server.address, "Bob");
    bob.send(&json!({"type": "join", "room": "lobby", "history": 3, "ref": 7}));
    let joined = bob.await_type("joined");
    assert_eq!(joined["ref"], 7);
    let bodies: Vec<_> =
        joined["messages"].as_array().expect("a list").iter().map(|m| &m["body"]).collect();
    assert_eq!(bodies, [2, 3, 4]);
    assert_eq!(joined["more"], true);
    assert_eq!(joined["seq"], joined["messages"][2]["seq"]);
    assert_eq!(joined["members"]["count"], 2);
    let mut names: Vec<_> = joined["members"]["users"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|u| u["name"].clone())
        .collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["Ann", "Bob"]);
    let presence = ann.await_message(|m| m["type"] == "presence" && m["name"] == "Bob");
    assert_eq!((&presence["event"], &presence["count"]), (&json!("join"), &json!(2)));
    let before = joined["messages"][0]["seq"].clone();
    bob.send(&json!({"type": "history", "room": "lobby", "before": before, "limit": 10}));
    let history = bob.await_type("history");
    let bodies: Vec<_> =
        history["messages"].as_array().expect("a list").iter().map(|m| &m["body"]).collect();
    assert_eq!((bodies, &history["more"]), (vec![&json!(0), &json!(1)], &json!(false)));
    bob.send(&json!({"type": "leave", "room": "lobby", "ref": "bye"}));
    assert_eq!(bob.await_type("left")["ref"], "bye");
    let presence = ann.await_message(|m| m["type"] == "presence" && m["event"] == "leave");
    assert_eq!((&presence["name"], &presence["count"]), (&json!("Bob"), &json!(1)));
    ann.say("lobby", &json!("alone"));
    ann.await_type("ack");
    assert!(bob.drain().is_empty(), "after `left` nothing of the room comes");
}

#[test]
fn a_message_is_stored_once_however_often_it_is_sent() {
    let server = Server::start(&["--shards", "2"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("a");
    let send = json!({"type": "send", "room": "a", "client_id": client_id(), "body": 1, "ref": 1});
    ann.send(&send);
    ann.send(&send);
    let (first, second) = (ann.await_type("ack"), ann.await_type("ack"));
    assert_eq!(first["seq"], second["seq"]);
    assert_eq!(first["time"], second["time"]);
    let mut other = send.clone();
    other["body"] = json!(2);
    ann.send(&other);
    let error = ann.await_type("error");
    assert_eq!(
        (&error["code"], &error["client_id"], &error["ref"]),
        (&json!("id_conflict"), &send["client_id"], &json!(1))
    );
    let heard: Vec<_> = ann.drain().into_iter().filter(|m| m["type"] == "message").collect();
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[test]
fn a_signal_reaches_the_others_and_is_not_kept() {
    let server = Server::start(&["--shards", "2"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    let mut bob = ChatClient::connect(server.address, "Bob");
    ann.join("a");
    bob.join("a");
    ann.send(&json!({"type": "signal", "room": "a", "body": {"typing": true}}));
    let signal = bob.await_type("signal");
    assert_eq!(signal["from"]["name"], "Ann");
    assert_eq!(signal["body"], json!({"typing": true}));
    assert!(ann.drain().iter().all(|message| message["type"] != "signal"));
    let mut cid = ChatClient::connect(server.address, "Cid");
    assert_eq!(cid.join("a")["messages"], json!([]));
}

#[test]
fn a_guest_keeps_its_id_by_its_token() {
    let server = Server::start(&["--shards", "2"]);
    let ann = ChatClient::connect(server.address, "Ann");
    let hello = json!({"type": "hello", "guest": ann.welcome["guest"], "name": "Annie"});
    let again = ChatClient::hello(Client::connect(server.address, "/chat"), &hello);
    assert_eq!(again.user(), ann.user());
    assert_eq!(again.welcome["name"], "Annie");
    assert!(ann.user().starts_with("guest-"));
    let mut stranger = Client::connect(server.address, "/chat");
    stranger.send(&json!({"type": "hello", "guest": "forged"}).to_string());
    let error: Value = serde_json::from_str(stranger.next().text()).expect("JSON");
    assert_eq!(error["code"], "bad_token");
}

#[test]
fn what_is_wrong_is_said_and_hurts_nobody() {
    let server = Server::start(&["--shards", "1"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("a");
    let id = client_id();
    let cases = [
        (json!({"type": "dance", "ref": 1}), "unknown_type"),
        (json!({"type": "send", "room": "a", "body": 1, "ref": 2}), "bad_message"),
        (
            json!({"type": "send", "room": "a", "client_id": "x", "body": 1, "ref": 3}),
            "bad_message",
        ),
        (json!({"type": "send", "room": "b", "client_id": id, "body": 1, "ref": 4}), "not_joined"),
        (
            json!({"type": "send", "room": "a", "with": "b", "client_id": id, "body": 1, "ref": 5}),
            "bad_message",
        ),
        (json!({"type": "send", "client_id": id, "body": 1, "ref": 6}), "bad_message"),
        (json!({"type": "send", "with": "bob", "client_id": id, "body": 1, "ref": 7}), "forbidden"),
        (json!({"type": "join", "room": "..", "ref": 8}), "bad_room"),
        (json!({"type": "join", "room": "x".repeat(201), "ref": 9}), "too_long"),
        (json!({"type": "hello", "ref": 10}), "already_welcome"),
        (json!({"type": "members", "room": "b", "ref": 11}), "not_joined"),
        (json!({"type": "leave", "room": "b", "ref": 12}), "not_joined"),
        (json!({"type": "history", "room": "b", "limit": 1, "ref": 13}), "not_joined"),
        (json!({"type": "refresh", "token": "t", "ref": 14}), "unsupported"),
        (json!({"type": "signal", "room": "b", "body": 1, "ref": 15}), "not_joined"),
    ];
    for (message, code) in cases {
        ann.send(&message);
        let error = ann.await_type("error");
        assert_eq!((&error["code"], &error["ref"]), (&json!(code), &message["ref"]), "{message}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    for text in ["", "{", "[]", "null", "{\"type\":\"ping\"} x"] {
        ann.client.send(text);
        assert_eq!(ann.await_type("error")["code"], "bad_json", "{text}");
    }
    ann.say("a", &json!("still here"));
    assert_eq!(ann.await_type("ack")["stored"], true);
}

#[test]
fn a_flood_of_bad_messages_ends_with_4400() {
    let server = Server::start(&["--shards", "1"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    for _ in 0..70 {
        ann.client.write(&crate::support::client::frame(0x81, b"bad"));
    }
    let frames = ann.client.rest();
    let (close, rest) = frames.split_last().expect("a Close");
    assert_eq!(close.close_code(), 4400);
    let bye: Value = serde_json::from_str(rest.last().expect("a bye").text()).expect("JSON");
    assert_eq!(
        (&bye["type"], &bye["code"], &bye["reconnect"]),
        (&json!("bye"), &json!(4400), &json!(false))
    );
}
