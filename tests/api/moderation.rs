//! Removing what was said: whoever is there is told in order, on every shard, and it is nowhere any more.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::caller::{ask, enter, get, server};
use crate::support::chat::ChatClient;
use crate::support::data_dir::DataDir;
use crate::support::server::Server;

const SECRET: &str = "the secret that must go";

fn redact(server: &Server, room: &str, seqs: &[u64]) -> Value {
    ask(server, "POST", &format!("/rooms/{room}/redact"), Some(json!({"seqs": seqs})), 200)
}

/// Joins a room of several sessions, so many that every shard has some.
fn audience(server: &Server, room: &str) -> Vec<ChatClient> {
    let enter = |n| {
        let mut client = enter(server, &format!("user-{n}"));
        client.join(room);
        client
    };
    (0..8).map(enter).collect()
}

fn say(client: &mut ChatClient, room: &str, body: &Value) -> u64 {
    client.say(room, body)["seq"].as_u64().expect("a position")
}

/// The messages up to the next event, and that.
fn until_event(client: &mut ChatClient) -> (Vec<u64>, Value) {
    let mut seen = Vec::new();
    loop {
        let message = client.await_type("message");
        if message["kind"] != "text" {
            return (seen, message);
        }
        seen.push(message["seq"].as_u64().expect("a position"));
    }
}
