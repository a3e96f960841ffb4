//! Full mailboxes: with room for one delivery in each, what the log stores collapses into notices, and the shards read
//! the rest themselves. Everything arrives, in order, once.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::{Value, json};
use uproar::{Context, Handler, Message, Request};

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::{Client, frame};
use crate::support::embedded::Embedded;
use crate::support::server::Server;

const ROOMS: usize = 3;
const MEMBERS: usize = 8;
const SENDERS: usize = 4;
const MESSAGES: usize = 300;
const BURST: usize = 30;

/// Says everything in bursts; nothing is waited for.
fn send(mut sender: Client, room: &str, ids: &[String]) {
    for burst in ids.chunks(BURST) {
        let frames = burst.iter().flat_map(|id| {
            let send =
                json!({"type": "send", "room": room, "client_id": id, "body": "x".repeat(200)});
            frame(0x81, send.to_string().as_bytes())
        });
        sender.write(&frames.collect::<Vec<_>>());
    }
}

/// Everything that one member hears, and how often it was acknowledged something.
fn hear(member: &mut ChatClient, acks: usize) -> Vec<Value> {
    let (mut heard, mut acked) = (Vec::new(), BTreeSet::new());
    while heard.len() < SENDERS * MESSAGES || acked.len() < acks {
        let message = member.next();
        match message["type"].as_str() {
            Some("message") => heard.push(message),
            Some("ack") => {
                let id = message["client_id"].as_str().expect("an id").to_owned();
                assert!(acked.insert(id), "acknowledged twice: {message}");
            }
            Some("presence") => {}
            _ => panic!("{message}"),
        }
    }
    let rest = member.drain();
    assert!(rest.iter().all(|message| message["type"] == "presence"), "{rest:?}");
    heard
}

#[test]
fn bursts_through_small_mailboxes_arrive_in_one_order_once() {
    let settings =
        [("UPROAR_LIMITS__MAILBOX_BATCHES_MAX", "1"), ("UPROAR_LOG__SYNCHRONOUS", "normal")];
    let server = Server::start_with(&["--shards", "4"], &settings);
    round(&server, 1);
    server.wait_for_metric("uproar_log_drafts", &[], |drafts| drafts == 0.0);
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
}

fn round(server: &Server, round: usize) {
    thread::scope(|scope| {
        for room in 0..ROOMS {
            let room = format!("round {round} room {room}");
            let members: Vec<_> = (0..MEMBERS)
                .map(|number| {
                    let mut member = ChatClient::connect(server.address, &format!("m{number}"));
                    member.join(&room);
                    member
                })
                .collect();
            scope.spawn(move || crowd(&room, members));
        }
    });
}

/// Some members of a room say all they can at once, and everybody hears the same.
fn crowd(room: &str, members: Vec<ChatClient>) {
    let ids: Vec<Vec<String>> =
        (0..SENDERS).map(|_| (0..MESSAGES).map(|_| client_id()).collect()).collect();
    let sequences: Vec<_> = thread::scope(|scope| {
        let hearing: Vec<_> = members
            .into_iter()
            .enumerate()
            .map(|(number, mut member)| {
                let own = ids.get(number);
                if let Some(ids) = own {
                    let stream = member.client.stream.try_clone().expect("a descriptor");
                    scope.spawn(move || send(Client::of(stream), room, ids));
                }
                scope.spawn(move || hear(&mut member, own.map_or(0, Vec::len)))
            })
            .collect();
        hearing.into_iter().map(|thread| thread.join().expect("everything")).collect()
    });
    let mut prev = json!(0);
    for message in &sequences[0] {
        assert_eq!(message["prev"], prev);
        prev = message["seq"].clone();
    }
    assert!(sequences.iter().all(|sequence| *sequence == sequences[0]), "one order for all");
    for own in &ids {
        let said = sequences[0].iter().filter_map(|message| message["client_id"].as_str());
        let said: Vec<_> = said.filter(|id| own.iter().any(|own| own == id)).collect();
        assert_eq!(said, *own, "what one says comes in the order it was said, once");
    }
}

/// Says which shard it is on, and holds that shard up from one barrier to the next.
struct Holds(Arc<Barrier>);

impl Handler for Holds {
    fn open(&self, session: &mut Context<'_>, _request: &Request) {
        let id = session.id().to_string();
        session.send(id.as_str());
    }

    fn message(&self, _session: &mut Context<'_>, _message: Message<'_>) {
        self.0.wait();
        self.0.wait();
    }
}

/// The shard is in the first digits of a session's id.
fn shard(id: &str) -> &str {
    &id[..2]
}

#[test]
fn what_does_not_fit_a_mailbox_is_read_from_the_log() {
    const SAID: usize = 20;
    let barrier = Arc::new(Barrier::new(2));
    let server = Embedded::start_with(
        |config| (config.server.shards, config.limits.mailbox_batches_max) = (2, 1),
        |builder| builder.route("/hold", Holds(Arc::clone(&barrier))).bind().expect("it starts"),
    );
    let mut sender = ChatClient::connect(server.address, "sender");
    sender.join("a");
    let own = sender.welcome["session"].as_str().expect("an id").to_owned();
    // A member and one who holds it up, both on the other shard.
    let mut member = loop {
        let mut member = ChatClient::connect(server.address, "member");
        if shard(member.welcome["session"].as_str().expect("an id")) != shard(&own) {
            member.join("a");
            break member;
        }
    };
    let mut holder = loop {
        let mut holder = Client::connect(server.address, "/hold");
        if shard(holder.next().text()) != shard(&own) {
            break holder;
        }
    };
    holder.send("hold");
    barrier.wait();
    for number in 0..SAID {
        sender.say("a", &json!(number));
        // Stored, and for that shard one more than its mailbox holds.
        sender.await_type("ack");
    }
    barrier.wait();
    for client in [&mut member, &mut sender] {
        let mut prev = json!(0);
        for number in 0..SAID {
            let message = client.await_type("message");
            assert_eq!((&message["body"], &message["prev"]), (&json!(number), &prev));
            prev = message["seq"].clone();
        }
        assert!(client.drain().iter().all(|message| message["type"] == "presence"), "each once");
    }
    server.wait_for_metric("uproar_log_room_reads_total", |reads| reads > 0.0);
}
