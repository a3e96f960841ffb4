//! What the backend says is stored and told like what a session sends.

use serde_json::{Value, json};

use super::caller::{Request, ask, enter, get, server};
use crate::support::chat::{ChatClient, client_id, client_id_at};
use crate::support::client::Client;

fn said(rooms: &[&str], id: &str) -> Value {
    json!({
        "rooms": rooms, "from": {"user": "shop", "name": "The shop"}, "body": {"text": "hi"},
        "client_id": id,
    })
}

#[test]
fn what_is_published_is_stored_and_told_in_every_room() {
    let server = server(&[]);
    let mut ann = ChatClient::connect(server.address, "ann");
    ann.join("a");
    ann.join("b");
    let id = client_id();
    let answer = ask(&server, "POST", "/publish", Some(said(&["a", "b", "c"], &id)), 200);
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 3);
    for (room, result) in ["a", "b"].iter().zip(results) {
        assert_eq!((&result["room"], &result["stored"]), (&json!(room), &json!(true)));
        let message = ann.await_message(|message| message["room"] == *room);
        assert_eq!(message["from"], json!({"user": "shop", "name": "The shop"}));
        assert_eq!(message["body"], json!({"text": "hi"}));
        assert_eq!(
            [&message["seq"], &message["time"], &message["client_id"]],
            [&result["seq"], &result["time"], &json!(id)]
        );
        let page = get(&server, &format!("/rooms/{room}/history"));
        assert_eq!(page["messages"][0], message, "the same for everybody");
    }
    // Where nobody was.
    let joined = ann.join("c");
    assert_eq!(joined["messages"][0]["seq"], results[2]["seq"]);
    let stored = ["result=\"stored\""];
    server.wait_for_metric("uproar_log_messages_total", &stored, |stored| stored == 3.0);
}

#[test]
fn what_is_sent_again_is_done_once() {
    let server = server(&[]);
    let id = client_id();
    let first = ask(&server, "POST", "/publish", Some(said(&["a"], &id)), 200);
    let again = ask(&server, "POST", "/publish", Some(said(&["a"], &id)), 200);
    assert_eq!(first, again);
    let mut body = said(&["a"], &id);
    body.as_object_mut().expect("an object").remove("client_id");
    let by_header = |key: &str| {
        let request = Request::new("POST", "/publish").text(&body.to_string());
        request.field(&format!("Idempotency-Key: {key}")).send(server.address)
    };
    assert_eq!(by_header(&id).body, first);
    assert_eq!(by_header(&format!("\"{id}\"")).body, first);
    assert_eq!(by_header("x").status, 422);
    let both = Request::new("POST", "/publish").text(&said(&["a"], &id).to_string());
    let both = both.field(&format!("Idempotency-Key: {}", client_id()));
    assert_eq!(both.send(server.address).status, 422);
    let page = get(&server, "/rooms/a/history");
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(1));
    // Without an id it is another message each time.
    let (one, other) = (
        ask(&server, "POST", "/publish", Some(body.clone()), 200),
        ask(&server, "POST", "/publish", Some(body), 200),
    );
    assert_ne!(one["results"][0]["client_id"], other["results"][0]["client_id"]);
}

#[test]
fn a_request_that_is_done_in_part_says_so() {
    let server = server(&[]);
    let id = client_id();
    ask(&server, "POST", "/publish", Some(said(&["a"], &id)), 200);
    let mut other = said(&["a", "b"], &id);
    other["body"] = json!("something else");
    let problem = ask(&server, "POST", "/publish", Some(other), 409);
    assert_eq!(problem["code"], "id_conflict");
    let results = problem["results"].as_array().expect("a list");
    assert_eq!(results[0]["error"], "id_conflict");
    assert_eq!((&results[1]["room"], &results[1]["stored"]), (&json!("b"), &json!(true)));
    let old = client_id_at(1_000_000_000_000, 1);
    let problem = ask(&server, "POST", "/publish", Some(said(&["a"], &old)), 409);
    assert_eq!(problem["code"], "id_expired");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let server = server(&[("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "1000")]);
    let check = |change: &dyn Fn(&mut Value), status| {
        let mut body = said(&["a"], &client_id());
        change(&mut body);
        ask(&server, "POST", "/publish", Some(body), status);
    };
    check(&|body| body["rooms"] = json!([]), 422);
    check(&|body| body["rooms"] = json!(["a", "a"]), 422);
    check(&|body| body["rooms"] = json!(["."]), 422);
    check(&|body| body["rooms"] = json!("a"), 422);
    check(&|body| body["rooms"] = (0..101).map(|n| n.to_string()).collect(), 422);
    check(&|body| body["from"] = json!({"user": "guest-1"}), 422);
    check(&|body| body["from"] = json!({"user": ""}), 422);
    check(&|body| body["from"] = json!({"user": "a", "name": ""}), 422);
    check(&|body| body["from"] = json!(["a"]), 422);
    check(&|body| body["from"] = json!({"user": "a", "admin": true}), 422);
    check(&|body| body["client_id"] = json!("x"), 422);
    check(&|body| body["client_id"] = json!(null), 422);
    check(&|body| body["text"] = json!("x"), 422);
    check(&|body| body["body"] = json!("x".repeat(1000)), 413);
    check(&|body| body["body"] = json!(null), 200);
    check(&|body| drop(body.as_object_mut().expect("an object").remove("body")), 422);
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let text = said(&["a"], &client_id()).to_string();
    for (body, status) in [(&*deep, 422), ("\"\\ud800\"", 422), ("1e999", 422), ("1e99", 200)] {
        let text = text.replace("{\"text\":\"hi\"}", body);
        let answer = Request::new("POST", "/publish").text(&text).send(server.address);
        assert_eq!(answer.status, status, "{body}");
    }
}

#[test]
fn rooms_of_the_relay_are_told_and_nothing_is_stored() {
    let server = server(&[]);
    // More than one shard has of them.
    let mut members: Vec<_> = (0..8).map(|_| Client::connect(server.address, "/relay/a")).collect();
    let (mut lobby, mut other) =
        (Client::connect(server.address, "/"), Client::connect(server.address, "/relay/b"));
    let body = json!({"relay": ["a", "lobby", "nobody"], "text": "news"});
    let answer = ask(&server, "POST", "/publish", Some(body), 200);
    assert_eq!(answer["results"][0], json!({"room": "a", "stored": false}));
    for member in members.iter_mut().chain([&mut lobby]) {
        assert_eq!(member.next().text(), "news");
    }
    ask(&server, "POST", "/publish", Some(json!({"relay": ["b"], "text": "later"})), 200);
    assert_eq!(other.next().text(), "later", "it was told nothing before");
    ask(&server, "POST", "/publish", Some(json!({"relay": ["a"]})), 422);
}

#[test]
fn a_user_is_written_to() {
    let server = server(&[]);
    let mut ann = enter(&server, "ann");
    let body = json!({"from": {"user": "shop"}, "body": "your order is there"});
    let ack = ask(&server, "POST", "/users/ann/messages", Some(body), 200);
    let message = ann.await_type("message");
    assert_eq!((&message["with"], &message["seq"]), (&json!("shop"), &ack["seq"]));
    assert_eq!(message["from"], json!({"user": "shop", "name": "shop"}));
    let body = json!({"from": {"user": "shop"}, "body": 1});
    ask(&server, "POST", "/users/guest-1/messages", Some(body), 422);
}
