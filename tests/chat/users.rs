//! What is done to a user is done wherever the user is: on every shard, in the chat and in the relay, and to nobody else.

use serde_json::json;
use uproar::{Close, Measure, SessionId, Users};

use super::tokens::{build, ending, enter, enter_relay};
use crate::support::chat::{ChatClient, client_id};
use crate::support::client::{Client, frame};
use crate::support::embedded::Embedded;
use crate::support::wait_for;

fn server() -> (Embedded, Users) {
    let mut users = None;
    let server = Embedded::start_with(
        |config| {
            config.server.shards = 4;
            config.relay.enabled = true;
        },
        |builder| {
            let server = build(builder);
            users = Some(server.users());
            server
        },
    );
    (server, users.expect("it was built"))
}

fn token(user: &str) -> serde_json::Value {
    json!({"user": user, "rooms": {"*": ["join", "send", "signal"]}})
}

/// As many sessions as it takes to be on every shard.
fn everywhere(server: &Embedded, user: &str) -> Vec<ChatClient> {
    let mut sessions: Vec<ChatClient> = Vec::new();
    wait_for("a session on every shard", || {
        sessions.push(enter(server, &token(user)));
        let mut shards: Vec<String> = sessions
            .iter()
            .filter_map(|client| Some(client.welcome["session"].as_str()?[..2].to_owned()))
            .collect();
        shards.sort();
        shards.dedup();
        (shards.len() == 4).then_some(())
    });
    sessions
}

fn found(users: &Users, user: &str) -> Vec<SessionId> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(users.sessions(user)).expect("there is room")
}

#[test]
fn who_is_put_out_is_out_everywhere_and_may_come_back() {
    let (server, users) = server();
    let (mut anns, mut bob) = (everywhere(&server, "ann"), enter(&server, &token("bob")));
    let mut relay = enter_relay(&server, "a", &token("ann"));
    bob.join("a");
    assert_eq!(found(&users, "ann").len(), anns.len() + 1);
    assert_eq!(found(&users, "bob").len(), 1);
    assert_eq!(found(&users, "nobody"), []);
    users.disconnect("ann", Close::new(4409_u16, "elsewhere")).expect("there is room");
    for ann in &mut anns {
        let (heard, code) = ending(&mut ann.client);
        assert_eq!((&heard.last().expect("a bye")["reason"], code), (&json!("elsewhere"), 4409));
    }
    assert_eq!(relay.rest().pop().expect("a Close").close_code(), 4409);
    assert_eq!(found(&users, "ann"), []);
    enter(&server, &token("ann"));
    bob.say("a", &json!("still here"));
    bob.await_type("ack");
}

#[test]
fn who_is_kept_out_is_turned_away_at_every_door() {
    let (server, users) = server();
    for (is_ban, close, status, code) in
        [(true, 4403, "403", "forbidden"), (false, 4401, "401", "bad_token")]
    {
        let user = if is_ban { "ann" } else { "bob" };
        let mut sessions = everywhere(&server, user);
        match is_ban {
            true => users.ban(user, None).expect("there is room"),
            false => users.revoke(user, None).expect("there is room"),
        }
        for session in &mut sessions {
            assert_eq!(ending(&mut session.client).1, close);
        }
        for _ in 0..8 {
            let mut again = Client::connect(server.address, "/chat");
            let hello = json!({"type": "hello", "token": token(user).to_string()});
            again.send(&hello.to_string());
            let (heard, closed) = ending(&mut again);
            assert_eq!((&heard[0]["code"], closed), (&json!(code), close));
        }
        // What is shown at the handshake is answered there.
        let mut raw = Client::raw(server.address);
        let query = percent_encoding::utf8_percent_encode(
            &token(user).to_string(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let request = crate::support::client::request(&format!("/relay/a?token={query}"));
        raw.write(request.as_bytes());
        assert!(raw.read_head().starts_with(&format!("HTTP/1.1 {status} ")));
        let measure = if is_ban { Measure::Ban } else { Measure::Revocation };
        users.lift(user, measure).expect("there is room");
        enter(&server, &token(user));
    }
}

#[test]
fn who_is_muted_says_nothing_anywhere() {
    let (server, users) = server();
    let mut anns = everywhere(&server, "ann");
    let mut relay = enter_relay(&server, "a", &token("ann"));
    let (mut bob, mut listener) =
        (enter(&server, &token("bob")), Client::connect(server.address, "/relay/a"));
    bob.join("a");
    for ann in &mut anns {
        ann.join("a");
    }
    users.mute("ann", None).expect("there is room");
    // An order is carried out in its turn: what was asked behind it, on every shard, was done after it.
    found(&users, "ann");
    for ann in &mut anns {
        ann.send(
            &json!({"type": "send", "room": "a", "client_id": client_id(), "body": 1, "ref": 1}),
        );
        let error = ann.await_type("error");
        assert_eq!((&error["code"], error.get("retry_after_ms")), (&json!("muted"), None));
    }
    relay.send("nobody hears this");
    relay.write(&frame(0x89, b"taken?"));
    assert_eq!(relay.next().opcode(), 10);
    server.wait_for_metric("uproar_drops_total", |dropped| dropped >= 1.0);
    users.lift("ann", Measure::Mute).expect("there is room");
    found(&users, "ann");
    relay.send("but this");
    assert_eq!(listener.next().text(), "but this");
    let id = anns[0].say("a", &json!("hello again"));
    assert_eq!(bob.await_type("message")["client_id"], id.as_str());
}
