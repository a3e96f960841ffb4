//! Direct conversations: between users that the program knows by the request, at all their sessions, at nobody else's.

use serde_json::{Value, json};
use uproar::Identity;

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::Client;
use crate::support::embedded::Embedded;
use crate::support::wait_for;

/// A server that believes `?user=…`.
fn server(shards: usize) -> Embedded {
    Embedded::start(shards, |builder| {
        let builder = builder.authenticate(|request| {
            let user = request.uri.query()?.strip_prefix("user=")?;
            let name = user.to_uppercase();
            Some(Identity { user: user.into(), name: name.as_str().into(), is_guest: false })
        });
        builder.bind().expect("it starts")
    })
}

fn connect(server: &Embedded, user: &str) -> ChatClient {
    let client = Client::connect(server.address, &format!("/chat?user={user}"));
    let client = ChatClient::hello(client, &json!({"type": "hello"}));
    assert_eq!(client.user(), user);
    assert_eq!(client.welcome.get("guest"), None);
    client
}

/// Sessions of one user, on several shards.
fn sessions(server: &Embedded, user: &str) -> Vec<ChatClient> {
    let mut sessions: Vec<ChatClient> = Vec::new();
    wait_for("sessions on two shards", || {
        sessions.push(connect(server, user));
        // The shard is in the first digits of the id.
        let shard =
            |client: &ChatClient| client.welcome["session"].as_str().map(|id| id[..2].to_owned());
        sessions.iter().any(|client| shard(client) != shard(&sessions[0])).then_some(())
    });
    sessions
}

fn write(from: &mut ChatClient, to: &str, body: &Value) -> Value {
    from.send(&json!({"type": "send", "with": to, "client_id": client_id(), "body": body}));
    let ack = from.await_type("ack");
    assert_eq!(ack["with"], to);
    ack
}

#[test]
fn a_message_reaches_every_session_of_both_ends_and_nobody_else() {
    let server = server(4);
    let (mut anns, mut bobs) = (sessions(&server, "ann"), sessions(&server, "bob"));
    let mut cid = connect(&server, "cid");
    cid.send(&json!({"type": "join", "with": "ann"}));
    assert_eq!(cid.await_type("joined")["messages"], json!([]));
    let mut prev = 0;
    for number in 0..5 {
        let ack = match number % 2 {
            0 => write(&mut anns[0], "bob", &json!(number)),
            _ => write(&mut bobs[0], "ann", &json!(number)),
        };
        let from = if number % 2 == 0 { "ann" } else { "bob" };
        for (clients, with) in [(&mut anns, "bob"), (&mut bobs, "ann")] {
            for client in clients {
                let message = client.await_type("message");
                assert_eq!(message["with"], with);
                assert_eq!(message["from"], json!({"user": from, "name": from.to_uppercase()}));
                assert_eq!(message["body"], number);
                assert_eq!((&message["seq"], &message["prev"]), (&ack["seq"], &json!(prev)));
            }
        }
        prev = ack["seq"].as_u64().expect("a position");
    }
    anns[0].send(&json!({"type": "signal", "with": "bob", "body": "typing"}));
    for bob in &mut bobs {
        let signal = bob.await_type("signal");
        assert_eq!((&signal["with"], &signal["from"]["user"]), (&json!("ann"), &json!("ann")));
    }
    assert!(cid.drain().is_empty(), "it is between the two of them");
    for client in anns.iter_mut().chain(&mut bobs) {
        assert!(client.drain().is_empty(), "each once");
    }
}

#[test]
fn conversations_are_listed_and_gone_on_with() {
    const OTHERS: u64 = 7;
    let server = server(2);
    let mut ann = connect(&server, "ann");
    let last: Vec<Value> = (0..OTHERS)
        .map(|number| {
            let other = format!("user-{number}");
            write(&mut ann, &other, &json!("first"));
            write(&mut ann, &other, &json!("second"))["seq"].clone()
        })
        .collect();
    let listed: Vec<_> = last
        .iter()
        .enumerate()
        .map(|(number, seq)| json!({"with": format!("user-{number}"), "seq": seq}))
        .collect();
    let mut again = connect(&server, "ann");
    assert_eq!(again.welcome["conversations"], json!(listed));
    again.join("lobby");
    let (mut pages, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut rooms = json!({"type": "rooms", "limit": 3, "ref": "r"});
        if !after.is_null() {
            rooms["after"] = after;
        }
        again.send(&rooms);
        let page = again.await_type("rooms");
        assert_eq!(page["rooms"], json!([{"room": "lobby", "seq": 0}]));
        let list = page["conversations"].as_array().expect("a list").clone();
        after = list.last().expect("some")["with"].clone();
        pages.push(list);
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), listed);

    // The other end has one conversation, and comes back in the middle of it.
    let mut other = connect(&server, "user-3");
    assert_eq!(other.welcome["conversations"], json!([{"with": "ann", "seq": last[3]}]));
    other.send(&json!({"type": "history", "with": "ann", "limit": 1}));
    let history = other.await_type("history");
    assert_eq!(history["messages"][0]["body"], "second");
    let first = history["messages"][0]["prev"].clone();
    let after = json!({"epoch": history["epoch"], "seq": first});
    other.send(&json!({"type": "join", "with": "ann", "after": after}));
    let joined = other.await_type("joined");
    assert_eq!((&joined["with"], joined.get("members")), (&json!("ann"), None));
    let message = other.await_type("message");
    assert_eq!((&message["body"], &message["prev"]), (&json!("second"), &first));
    write(&mut ann, "user-3", &json!("third"));
    assert_eq!(other.await_type("message")["prev"], last[3]);
}

#[test]
fn notes_to_self_come_once_to_each_session() {
    let server = server(2);
    let mut anns = sessions(&server, "ann");
    write(&mut anns[0], "ann", &json!("milk"));
    for ann in &mut anns {
        let message = ann.await_type("message");
        assert_eq!((&message["with"], &message["body"]), (&json!("ann"), &json!("milk")));
        assert!(ann.drain().is_empty());
    }
    let again = connect(&server, "ann");
    assert_eq!(again.welcome["conversations"][0]["with"], "ann");
}

#[test]
fn guests_have_no_direct_conversations() {
    let server = server(2);
    let mut ann = connect(&server, "ann");
    let mut guest = ChatClient::connect(server.address, "Guest");
    let requests = [
        json!({"type": "join", "with": "ann"}),
        json!({"type": "leave", "with": "ann"}),
        json!({"type": "send", "with": "ann", "client_id": client_id(), "body": 1}),
        json!({"type": "signal", "with": "ann", "body": 1}),
        json!({"type": "history", "with": "ann"}),
    ];
    for request in requests {
        guest.send(&request);
        assert_eq!(guest.await_type("error")["code"], "forbidden", "{request}");
    }
    assert_eq!(guest.welcome["conversations"], json!([]));
    assert!(ann.drain().is_empty());
}
