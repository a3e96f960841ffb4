//! One order: whoever is in a room sees the same messages in the same sequence, whatever shard it is on.

use std::collections::HashMap;
use std::thread;

use serde_json::{Value, json};

use crate::support::chat::ChatClient;
use crate::support::server::Server;

#[test]
fn every_session_of_a_room_sees_the_same_sequence() {
    const SESSIONS: usize = 60;
    const ROOMS: usize = 8;
    const MESSAGES: usize = 40;
    let server = Server::start(&["--shards", "4"]);
    let address = server.address;
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let mut client = ChatClient::connect(address, &format!("s{number}"));
            let rooms = [number % ROOMS, (number * 7 + 1) % ROOMS];
            for room in rooms {
                client.join(&format!("room {room}"));
            }
            (client, number, rooms)
        })
        .collect();
    let heard: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = sessions
            .into_iter()
            .map(|(client, number, rooms)| {
                scope.spawn(move || talk(client, number, rooms, MESSAGES))
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    // Everybody joined before anybody spoke: the longest sequence of a room is all of it, and the others begin it.
    let mut longest: HashMap<String, Vec<Value>> = HashMap::new();
    for (room, sequence) in heard.clone() {
        let known = longest.entry(room).or_default();
        if sequence.len() > known.len() {
            *known = sequence;
        }
    }
    for (room, sequence) in &heard {
        assert_eq!(sequence[..], longest[room][..sequence.len()], "{room}");
    }
    for sequence in longest.values() {
        let mut prev = json!(0);
        for message in sequence {
            assert_eq!(message["prev"], prev);
            assert!(message["seq"].as_u64() > prev.as_u64());
            prev = message["seq"].clone();
        }
    }
}

/// Says so many things in both rooms and reads until its own last one has come back; what was heard, room by room.
fn talk(
    mut client: ChatClient,
    number: usize,
    rooms: [usize; 2],
    messages: usize,
) -> Vec<(String, Vec<Value>)> {
    let mut own = 0;
    let mut heard: HashMap<String, Vec<Value>> = HashMap::new();
    for count in 0..messages {
        let room = format!("room {}", rooms[count % 2]);
        client.say(&room, &json!([number, count]));
        client.await_type("ack");
    }
    while own < messages {
        let message = client.await_type("message");
        own += usize::from(message["body"][0] == number);
        let room = message["room"].as_str().expect("a room").to_owned();
        heard.entry(room).or_default().push(message);
    }
    heard.into_iter().collect()
}
