//! Names without number: rooms, users, messages' ids. What names things is given back when they are gone, and what is
//! kept has a bound.

use serde_json::json;

use crate::arena::{Arena, closed, errors};
use crate::support::chat::ChatClient;
use crate::support::client::{Client, close_frame};
use crate::support::storm;

fn leave(mut client: ChatClient) {
    client.client.write(&close_frame(1000));
    while client.client.next().opcode() != 8 {}
}

#[test]
fn rooms_without_number() {
    let settings = [("UPROAR_LIMITS__ROOMS_PER_SESSION_MAX", "50")];
    let mut arena = Arena::new(&settings).with_peak_mib(32);
    let only_innocent = |server: &crate::support::server::Server| {
        server.wait_for_metric("uproar_rooms", &[], |rooms| rooms <= 2.0 * 2.0);
    };
    arena.case("2,000 rooms, one after another", &[closed("peer", 1)], |server| {
        let mut client = ChatClient::connect(server.address, "Mallory");
        for room in 0..2000 {
            let room = format!("room {room} {}", "x".repeat(150));
            client.join(&room);
            client.send(&json!({"type": "leave", "room": room}));
            client.await_type("left");
        }
        leave(client);
    });
    arena.case("more rooms than a session may have", &[errors("too_many_rooms", 60)], |server| {
        let mut client = ChatClient::connect(server.address, "Mallory");
        for room in 0..50 {
            client.join(&format!("many {room}"));
        }
        for room in 50..110 {
            client.send(&json!({"type": "join", "room": format!("many {room}")}));
            assert_eq!(client.await_type("error")["code"], "too_many_rooms");
        }
    });
    arena.case("1,000 rooms of the relay at once", &[closed("lost", 1000)], |server| {
        let name = |room: usize| format!("/relay/{room}{}", "x".repeat(190));
        (0..1000).map(|room| Client::connect(server.address, &name(room))).collect::<Vec<_>>()
    });
    only_innocent(&arena.server);
}

#[test]
fn users_without_number() {
    const USERS: usize = 1500;
    storm::need_descriptors(USERS);
    let mut arena = Arena::new(&[]).with_peak_mib(48);
    arena.case(
        "1,500 guests, each with a name of 64 characters",
        &[closed("lost", USERS)],
        |server| {
            let connect = |user: usize| {
                let name = format!("{user:0>4}{}", "\u{1f600}".repeat(60));
                ChatClient::connect(server.address, &name)
            };
            (0..USERS).map(connect).collect::<Vec<_>>()
        },
    );
    arena.case("a guest that changes its name", &[closed("lost", 300)], |server| {
        let first = ChatClient::connect(server.address, "Mallory");
        let token = first.welcome["guest"].clone();
        for number in 0..299 {
            let client = Client::connect(server.address, "/chat");
            let hello = json!({"type": "hello", "guest": token, "name": format!("M{number}")});
            ChatClient::hello(client, &hello).join("renamed");
        }
    });
}

#[test]
fn messages_without_number() {
    let settings = [
        (
            "UPROAR_CHAT__ROOMS",
            r#"[{pattern = "fleeting/*", engine = "memory", retention_messages = 1000000}]"#,
        ),
        ("UPROAR_LOG__MEMORY_BYTES_MAX", "1048576"),
    ];
    let mut arena = Arena::new(&settings);
    arena.case("20 MB of messages into 1 MiB of memory", &[closed("peer", 1)], |server| {
        let mut client = ChatClient::connect(server.address, "Mallory");
        for room in 0..20 {
            client.join(&format!("fleeting/{room}"));
        }
        let body = json!("x".repeat(20_000));
        for number in 0..1000 {
            client.say(&format!("fleeting/{}", number % 20), &body);
            client.await_type("ack");
            client.await_type("message");
        }
        leave(client);
    });
    arena.case("10,000 ids of messages", &[closed("peer", 1)], |server| {
        let mut client = ChatClient::connect(server.address, "Mallory");
        client.join("fleeting/ids");
        for _ in 0..10 {
            for number in 0..1000 {
                client.say("fleeting/ids", &json!(number));
            }
            for _ in 0..1000 {
                client.await_type("ack");
                client.await_type("message");
            }
        }
        leave(client);
    });
}
