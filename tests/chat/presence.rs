//! Who is in a room, as its members are told: one entry for each user, whatever their sessions do on whatever shard.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::chat::ChatClient;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wait_for;

/// Another session of the guest.
fn again(address: SocketAddr, guest: &ChatClient) -> ChatClient {
    let (guest, name) = (&guest.welcome["guest"], &guest.welcome["name"]);
    let hello = json!({"type": "hello", "guest": guest, "name": name});
    ChatClient::hello(Client::connect(address, "/chat"), &hello)
}

fn users(roster: &Value) -> BTreeSet<&str> {
    let users = roster["users"].as_array().expect("users");
    users.iter().filter_map(|user| user["user"].as_str()).collect()
}

/// Members on every shard, who have heard of each other.
fn observers(server: &Server, room: &str) -> Vec<ChatClient> {
    let mut observers: Vec<ChatClient> = Vec::new();
    let mut shards = BTreeSet::new();
    while shards.len() < 4 {
        let mut observer = ChatClient::connect(server.address, "observer");
        observer.join(room);
        // The shard is in the first digits of the id.
        shards.insert(observer.welcome["session"].as_str().expect("an id")[..2].to_owned());
        observers.push(observer);
    }
    settle(&mut observers);
    observers
}

/// Waits until everybody was told the same; what each has heard of others meanwhile.
fn settle(members: &mut [ChatClient]) -> Vec<Vec<Value>> {
    let mut heard = vec![Vec::new(); members.len()];
    loop {
        let mut revs = BTreeSet::new();
        for (member, heard) in members.iter_mut().zip(&mut heard) {
            member.send(&json!({"type": "members", "room": "hall", "ref": "settle"}));
            let members = member.await_message(|message| message["ref"] == "settle");
            revs.insert(members["rev"].as_u64());
            heard.extend(member.drain());
        }
        if revs.len() == 1 {
            return heard;
        }
    }
}

#[test]
fn a_user_that_moves_between_shards_is_neither_a_ghost_nor_missed() {
    const MOVES: usize = 1000;
    let server = Server::start(&["--shards", "4"]);
    let mut observers = observers(&server, "hall");
    let mut mover = ChatClient::connect(server.address, "mover");
    let count = mover.join("hall")["members"]["count"].as_u64().expect("a count");
    assert_eq!(count, observers.len() as u64 + 1);
    for heard in settle(&mut observers) {
        let events: Vec<_> = heard.iter().map(|message| &message["event"]).collect();
        assert_eq!(events, ["join"], "{heard:?}");
    }
    for round in 0..MOVES {
        let mut next = again(server.address, &mover);
        let joined = next.join("hall");
        assert_eq!(joined["members"]["count"], count, "round {round}");
        assert!(users(&joined["members"]).contains(next.user()));
        // Killed, or closed in good order.
        let mut last = std::mem::replace(&mut mover, next);
        if round % 2 == 0 {
            last.client.write(&crate::support::client::close_frame(1000));
        }
    }
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == count as f64);
    for heard in settle(&mut observers) {
        assert!(heard.is_empty(), "it was there all the time: {heard:?}");
    }
    let user = mover.user().to_owned();
    drop(mover);
    for observer in &mut observers {
        let gone = observer.await_type("presence");
        assert_eq!((&gone["event"], &gone["user"]), (&json!("leave"), &json!(user)));
        assert_eq!(gone["count"], count - 1);
    }
}

#[test]
fn a_user_with_several_sessions_is_there_once_until_the_last_is_gone() {
    let server = Server::start(&["--shards", "4"]);
    let mut observers = observers(&server, "hall");
    let first = ChatClient::connect(server.address, "Ann");
    let mut sessions: Vec<_> = (0..6).map(|_| again(server.address, &first)).collect();
    for session in &mut sessions {
        let joined = session.join("hall");
        assert_eq!(users(&joined["members"]).len(), observers.len() + 1);
        assert_eq!(joined["members"]["count"], observers.len() + 1);
    }
    sessions[0].send(&json!({"type": "leave", "room": "hall"}));
    sessions[0].await_type("left");
    // Killed but for the last one.
    sessions.truncate(3);
    for heard in settle(&mut observers) {
        let events: Vec<_> = heard.iter().map(|message| &message["event"]).collect();
        assert_eq!(events, ["join"], "{heard:?}");
    }
    drop(sessions);
    for observer in &mut observers {
        assert_eq!(observer.await_type("presence")["event"], "leave");
        assert!(observer.drain().is_empty());
    }
}

#[test]
fn joins_of_a_crowd_that_is_only_counted_cost_few_frames_each() {
    const CROWD: usize = 1000;
    let settings = [("UPROAR_CHAT__PRESENCE_MEMBERS_MAX", "1")];
    let server = Server::start_with(&["--shards", "4"], &settings);
    let began = Instant::now();
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut client = ChatClient::connect(server.address, "one of many");
            let joined = client.join("hall");
            assert!(number == 0 || joined["members"].get("users").is_none(), "{joined}");
            client
        })
        .collect();
    let secs = began.elapsed().as_secs() as usize;
    let last = crowd.last_mut().expect("a crowd");
    // A shard hears of others' joins now and then.
    wait_for("everybody is counted", || {
        last.send(&json!({"type": "members", "room": "hall"}));
        (last.await_type("members")["count"] == CROWD).then_some(())
    });
    let mut frames = 0;
    for client in &mut crowd {
        let heard = client.drain();
        assert!(heard.iter().all(|message| message["event"] != "leave"));
        frames += heard.len();
    }
    println!("{frames} frames of presence for {CROWD} joins in {secs} s");
    // Each hears a count every two seconds at most, and sooner only when it has grown by a good part.
    let each_max = 24 + began.elapsed().as_secs() as usize / 2;
    assert!(frames < CROWD * each_max, "{frames} frames");
    assert!(frames > 0, "they are told");
}

#[test]
fn where_presence_is_off_nobody_is_told_anything() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let rules = "[[chat.rooms]]\npattern = \"quiet *\"\npresence = \"off\"\n\n\
                 [[chat.rooms]]\npattern = \"big *\"\npresence = \"count\"\n";
    std::fs::write(file.path(), rules).expect("it can be written");
    let path = file.path().to_str().expect("text");
    let server = Server::start(&["--shards", "2", "--config", path]);
    let mut ann = ChatClient::connect(server.address, "Ann");
    let mut bob = ChatClient::connect(server.address, "Bob");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.join("quiet room").get("members"), None);
        client.send(&json!({"type": "members", "room": "quiet room"}));
        assert_eq!(client.await_type("error")["code"], "presence_off");
    }
    assert!(ann.drain().is_empty());
    assert_eq!(ann.join("big room")["members"]["count"], 1);
    let members = bob.join("big room")["members"].clone();
    assert_eq!((&members["count"], members.get("users")), (&json!(2), None));
    let told = ann.await_type("presence");
    assert_eq!((&told["event"], &told["count"]), (&json!("count"), &json!(2)));
    assert_eq!(told.get("user"), None);
}
