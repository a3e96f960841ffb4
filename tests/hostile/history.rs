//! Readers of history by the hundred, who ask for all of it and take none.

use std::io::Write;

use serde_json::json;

use crate::arena::{Arena, closed};
use crate::support::chat::ChatClient;
use crate::support::client::{Client, close_frame, frame};
use crate::support::server::Server;

const READERS: usize = 200;
const MESSAGES: usize = 500;

#[test]
fn hundreds_ask_for_all_of_it_and_read_nothing() {
    // For each reader a page of 120 KB that it does not take, next to what its share of the log's reads takes.
    // Afterwards some of it is still with the threads that read the log, to be used for the next: no wave adds to it.
    let mut arena = Arena::new(&[]).with_peak_mib(128).with_kept_mib(32);
    let mut author = ChatClient::connect(arena.address(), "Ann");
    author.join("long");
    for number in 0..MESSAGES {
        author.say("long", &json!({"number": number, "text": "x".repeat(1000)}));
        author.await_type("ack");
    }
    author.client.write(&close_frame(1000));
    while author.client.next().opcode() != 8 {}
    for wave in 1..=3 {
        arena.case(&format!("200 readers, wave {wave}"), &[closed("lost", READERS)], ask_for_all);
    }
    arena.case(
        "200 that come back to the beginning, at once",
        &[closed("lost", READERS)],
        |server| {
            let mut first = ChatClient::connect(server.address, "Bob");
            let epoch = first.join("long")["epoch"].clone();
            let hello = json!({"type": "hello"});
            let resume =
                json!({"type": "join", "room": "long", "after": {"epoch": epoch, "seq": 0}});
            let back = |_| {
                let client = Client::connect_narrow(server.address, "/chat");
                let mut client = ChatClient::hello(client, &hello);
                client.send(&resume);
                client
            };
            (1..READERS).map(back).chain([first]).collect::<Vec<_>>()
        },
    );
}

/// Each asks for 30 pages, and does not read the first.
fn ask_for_all(server: &Server) -> Vec<ChatClient> {
    let page = |number: usize| {
        let page = json!({"type": "history", "room": "long", "limit": 100, "ref": number});
        frame(0x81, page.to_string().as_bytes())
    };
    let pages: Vec<_> = (0..30).flat_map(page).collect();
    let ask = |_| {
        let client = Client::connect_narrow(server.address, "/chat");
        let mut client = ChatClient::hello(client, &json!({"type": "hello"}));
        client.send(&json!({"type": "join", "room": "long", "history": 0}));
        client.await_type("joined");
        client.client.stream.write_all(&pages).expect("requests are small");
        client
    };
    let readers = (0..READERS).map(ask).collect();
    let waiting = (READERS * 50_000) as f64;
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes >= waiting);
    readers
}
