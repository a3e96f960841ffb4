//! A log that takes one message at a time: senders wait, and everything is stored and acknowledged once.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::frame;
use crate::support::server::Server;

const SENDERS: usize = 16;
const MESSAGES: usize = 40;

#[test]
fn senders_wait_for_a_log_that_is_behind_and_each_message_is_acknowledged_once() {
    let settings = [("UPROAR_LOG__DRAFTS_MAX", "1"), ("UPROAR_LOG__SYNCHRONOUS", "normal")];
    let server = Server::start_with(&["--shards", "4"], &settings);
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let mut sender = ChatClient::connect(server.address, &format!("s{number}"));
            sender.join("a");
            sender
        })
        .collect();
    let heard: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> =
            senders.into_iter().map(|sender| scope.spawn(|| send_all(sender))).collect();
        running.into_iter().map(|thread| thread.join().expect("everything")).collect()
    });
    assert!(heard.iter().all(|sequence| *sequence == heard[0]), "one order for all");
    server.wait_for_metric("uproar_session_pauses_total", &[], |pauses| pauses > 0.0);
    server.wait_for_metric("uproar_sessions_paused", &[], |paused| paused == 0.0);
    server.wait_for_metric("uproar_log_drafts", &[], |drafts| drafts == 0.0);
}

/// Says everything at once, and waits for the acks and for what all say; the ids of what it heard.
fn send_all(mut sender: ChatClient) -> Vec<String> {
    let ids: Vec<_> = (0..MESSAGES).map(|_| client_id()).collect();
    let frames = ids.iter().flat_map(|id| {
        let send = json!({"type": "send", "room": "a", "client_id": id, "body": id});
        frame(0x81, send.to_string().as_bytes())
    });
    sender.client.write(&frames.collect::<Vec<_>>());
    let (mut acked, mut heard, mut prev) = (BTreeSet::new(), Vec::new(), json!(0));
    while acked.len() < MESSAGES || heard.len() < SENDERS * MESSAGES {
        let message = sender.next();
        let id = message["client_id"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str() {
            Some("ack") => assert!(ids.contains(&id) && acked.insert(id), "{message}"),
            Some("message") => {
                assert_eq!(message["prev"], prev);
                prev = message["seq"].clone();
                heard.push(id);
            }
            Some("presence") => {}
            _ => panic!("{message}"),
        }
    }
    heard
}
