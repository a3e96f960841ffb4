//! Looking at users and acting on them, wherever on the server they are.

use serde_json::{Value, json};

use super::caller::{ask, enter, get, server};
use crate::support::chat::ChatClient;
use crate::support::wait_for;

/// How a session that was put out was told, and with which code it was closed.
fn end(mut session: ChatClient) -> (Value, u16) {
    let bye = session.await_type("bye");
    (bye["reconnect"].clone(), session.client.next().close_code())
}

#[test]
fn a_user_has_sessions_and_they_can_be_ended() {
    let server = server(&[]);
    assert_eq!(get(&server, "/users/ann"), json!({"user": "ann", "sessions": [], "measures": []}));
    let mut anns: Vec<_> = (0..6).map(|_| enter(&server, "ann")).collect();
    let bob = enter(&server, "bob");
    let mut ids: Vec<_> = anns.iter().map(|ann| ann.welcome["session"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    assert_eq!(get(&server, "/users/ann")["sessions"], Value::from(ids));
    ask(&server, "POST", "/users/ann/disconnect", Some(json!({"reconnect": true})), 204);
    assert!(anns.drain(..).all(|ann| end(ann) == (json!(true), 1012)));
    wait_for("nobody is left", || {
        (get(&server, "/users/ann")["sessions"] == json!([])).then_some(())
    });
    // Nothing keeps them from coming back.
    let ann = enter(&server, "ann");
    ask(&server, "POST", "/users/ann/disconnect", Some(json!({})), 204);
    assert_eq!(end(ann), (json!(false), 4403));
    assert_eq!(get(&server, "/users/bob")["sessions"], json!([bob.welcome["session"]]));
    assert_eq!(get(&server, "/stats")["sessions"], 1);
}

#[test]
fn who_is_muted_is_heard_again_when_that_is_lifted() {
    let server = server(&[]);
    let mut ann = enter(&server, "ann");
    ann.join("a");
    let muted = ask(&server, "POST", "/users/ann/mute", Some(json!({"for_secs": 1000})), 200);
    assert!(muted["until"].as_u64().is_some_and(|until| until > 1_700_000_000_000));
    let measures = json!([{"measure": "mute", "until": muted["until"]}]);
    assert_eq!(get(&server, "/users/ann")["measures"], measures);
    wait_for("the shard knows", || {
        ann.say("a", &json!("x"));
        let answer = ann.await_message(|it| it["type"] == "error" || it["type"] == "ack");
        (answer["code"] == "muted").then_some(())
    });
    // The backend is nobody's user.
    let body = json!({"rooms": ["a"], "from": {"user": "ann"}, "body": "for ann"});
    ask(&server, "POST", "/publish", Some(body), 200);
    ask(&server, "DELETE", "/users/ann/mute", None, 204);
    ask(&server, "DELETE", "/users/ann/mute", None, 204);
    assert_eq!(get(&server, "/users/ann")["measures"], json!([]));
    wait_for("the shard knows", || {
        ann.say("a", &json!("y"));
        let answer = ann.await_message(|it| it["type"] == "error" || it["type"] == "ack");
        (answer["type"] == "ack").then_some(())
    });
}
