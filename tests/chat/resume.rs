//! Coming back: everything since, once, in order, without a seam to what is being said meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::chat::{ChatClient, client_id};
use crate::support::data_dir::DataDir;
use crate::support::server::Server;

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().expect("a position")
}

#[test]
fn who_comes_back_is_given_what_was_said_meanwhile() {
    let server = Server::start(&["--shards", "2"]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    let mut bob = ChatClient::connect(server.address, "Bob");
    ann.join("a");
    let epoch = bob.join("a")["epoch"].clone();
    ann.say("a", &json!(0));
    let last = seq(&bob.await_type("message"));
    drop(bob);
    for number in 1..=300 {
        ann.say("a", &json!(number));
    }
    for _ in 0..=300 {
        ann.await_type("ack");
    }
    let mut bob = ChatClient::connect(server.address, "Bob");
    let joined = bob.resume("a", &epoch, last);
    assert_eq!((&joined["messages"], joined.get("gap")), (&json!([]), None));
    let mut prev = last;
    for number in 1..=300 {
        let message = bob.await_type("message");
        assert_eq!((&message["body"], &message["prev"]), (&json!(number), &json!(prev)));
        prev = seq(&message);
    }
    assert_eq!(prev, seq(&joined));
    ann.say("a", &json!("live"));
    assert_eq!(bob.await_type("message")["prev"], prev);
}

#[test]
fn the_seam_to_what_is_being_said_has_no_gap_and_no_duplicate() {
    let server = Server::start(&["--shards", "2"]);
    let address = server.address;
    let mut ann = ChatClient::connect(address, "Ann");
    let epoch = ann.join("a")["epoch"].clone();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while !is_over.load(Ordering::Relaxed) {
                // As fast as the log takes it, a few at a time.
                for _ in 0..20 {
                    let send = json!({"type": "send", "room": "a", "client_id": client_id(), "body": sent});
                    ann.send(&send);
                    sent += 1;
                }
                for _ in 0..20 {
                    ann.await_type("ack");
                    ann.await_type("message");
                }
            }
        });
        let mut last = 0;
        for round in 0..60 {
            let mut bob = ChatClient::connect(address, "Bob");
            if round % 3 == 2 {
                // Anew, with history: what follows must join on to it.
                let joined = bob.join("a");
                last = seq(&joined);
            } else {
                bob.resume("a", &epoch, last);
            }
            for _ in 0..200 {
                let message = bob.await_type("message");
                assert_eq!(message["prev"], last, "round {round}: {message}");
                last = seq(&message);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_was_acknowledged_survives_the_server() {
    let data_dir = DataDir::new();
    let data_dir = data_dir.path().to_str().expect("text");
    let mut server = Server::start(&["--shards", "2", "--data-dir", data_dir]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    let epoch = ann.join("a")["epoch"].clone();
    let send = json!({"type": "send", "room": "a", "client_id": client_id(), "body": "kept"});
    ann.send(&send);
    let ack = ann.await_type("ack");
    let guest = ann.welcome["guest"].clone();
    server.signal("KILL");
    server.wait();
    let server = Server::start(&["--shards", "2", "--data-dir", data_dir]);
    let hello = json!({"type": "hello", "guest": guest});
    let client = crate::support::client::Client::connect(server.address, "/chat");
    let mut ann = ChatClient::hello(client, &hello);
    let joined = ann.join("a");
    assert_eq!(joined["epoch"], epoch);
    assert_eq!(joined["messages"][0]["body"], "kept");
    assert_eq!(joined["messages"][0]["seq"], ack["seq"]);
    ann.send(&send);
    assert_eq!(ann.await_type("ack"), ack, "sent again it is the same message");
    assert!(ann.drain().iter().all(|message| message["type"] != "message"));
}
