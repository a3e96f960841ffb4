//! Slow readers: every message once and in order, from the log where need be; what is for them alone is never lost;
//! and nobody else notices, the server's memory among them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::chat::{ChatClient, client_id};
use crate::support::client::Client;
use crate::support::memory::{peak_bytes, resident_bytes, socket_bytes};
use crate::support::server::Server;
use crate::support::{pause, wait_for};

/// 20 MB to each member. The slow ones read about 100 KB/s while it flows and what they can when everybody else has
/// everything: at 100 KB/s to the end the test would take minutes.
const MESSAGES: usize = 1250;
const MESSAGE_BYTES: usize = 16 * 1024;
const SLOW: usize = 5;

/// The messages that a slow reader may ask for while it reads: each of them is answered.
const ASKS: usize = 12;

/// The most that is queued for a reader: a room's bound, a page, and its answers.
const QUEUED_BYTES_MAX: usize = (1024 + 128 + 256) * 1024;

/// A member that reads slowly, with a small receive buffer.
fn narrow(server: &Server, name: &str) -> ChatClient {
    let client = Client::connect_narrow(server.address, "/chat");
    let mut client = ChatClient::hello(client, &json!({"type": "hello", "name": name}));
    client.join("flood");
    client
}

/// Takes one message after another, each of which must follow the one before.
#[derive(Default)]
struct Chain {
    last: u64,
    messages: usize,
}

impl Chain {
    fn take(&mut self, message: &Value) {
        assert_eq!(message["prev"], self.last, "after {} messages", self.messages);
        self.last = message["seq"].as_u64().expect("a position");
        self.messages += 1;
    }
}

/// Waits as one does who reads 100 KB/s, unless it need not any more.
fn dawdle(may_hurry: &AtomicBool) {
    if !may_hurry.load(Ordering::Acquire) {
        pause(Duration::from_millis(160));
    }
}

/// Reads all messages, and asks now and then; how many it had when it was let hurry.
fn read_slowly(mut client: ChatClient, may_hurry: &AtomicBool) -> usize {
    let (mut chain, mut before, mut rosters) = (Chain::default(), None, 0);
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    while chain.messages < MESSAGES || answered.len() < asked.len() {
        if may_hurry.load(Ordering::Acquire) {
            before.get_or_insert(chain.messages);
        }
        if asked.len() < ASKS && chain.messages >= asked.len() * 4 {
            let reference = client_id();
            match asked.len() % 3 {
                0 => client.send(&json!({"type": "ping", "ref": reference})),
                1 => client.send(
                    &json!({"type": "history", "room": "flood", "limit": 3, "ref": reference}),
                ),
                _ => client.send(&json!({"type": "send", "room": "notes", "client_id": client_id(), "body": 1, "ref": reference})),
            }
            asked.push(Value::from(reference));
        }
        let message = client.next();
        match message["type"].as_str() {
            Some("message") if message["room"] == "flood" => {
                chain.take(&message);
                dawdle(may_hurry);
            }
            Some("pong" | "history" | "ack") => answered.push(message["ref"].clone()),
            Some("members") => rosters += 1,
            _ => {}
        }
    }
    answered.sort_by_key(|reference| asked.iter().position(|asked| asked == reference));
    assert_eq!(answered, asked, "each once");
    let rest = client.drain();
    assert!(rest.iter().all(|message| message["type"] != "message"), "each once");
    rosters += rest.iter().filter(|message| message["type"] == "members").count();
    assert!(rosters > 0, "who caught up is told who is there");
    before.unwrap_or(chain.messages)
}

/// Leaves the room when much is queued for it, and comes back later for the rest.
fn leave_between(mut client: ChatClient, may_hurry: &AtomicBool, epoch: &Value) {
    let mut chain = Chain::default();
    while !may_hurry.load(Ordering::Acquire) {
        let message = client.next();
        if message["type"] == "message" {
            chain.take(&message);
            dawdle(may_hurry);
        }
    }
    let before = chain.messages;
    client.send(&json!({"type": "leave", "room": "flood"}));
    loop {
        let message = client.next();
        match message["type"].as_str() {
            Some("message") => chain.take(&message),
            Some("left") => break,
            _ => {}
        }
    }
    // Only what the kernels had of it, and the frame that was begun.
    let on_the_way = (chain.messages - before) * MESSAGE_BYTES;
    assert!(on_the_way < 1024 * 1024, "{on_the_way} bytes came after `leave` was sent");
    assert!(chain.messages < MESSAGES / 2, "{} messages", chain.messages);
    let rest = client.drain();
    assert!(rest.is_empty(), "after `left`: {rest:?}");
    let joined = client.resume("flood", epoch, chain.last);
    assert_eq!(joined.get("gap"), None);
    while chain.messages < MESSAGES {
        chain.take(&client.await_type("message"));
    }
}

/// Says everything, a few messages ahead of what is acknowledged, and hears it too.
fn flood(mut sender: ChatClient) {
    const AHEAD_MAX: usize = 16;
    let body = Value::from("x".repeat(MESSAGE_BYTES));
    let mut chain = Chain::default();
    let (mut sent, mut acked) = (0, 0);
    while acked < MESSAGES || chain.messages < MESSAGES {
        while sent < MESSAGES && sent < acked + AHEAD_MAX && sent < chain.messages + AHEAD_MAX {
            sender.say("flood", &body);
            sent += 1;
        }
        let message = sender.next();
        match message["type"].as_str() {
            Some("message") => chain.take(&message),
            Some("ack") => acked += 1,
            _ => {}
        }
    }
}

#[test]
fn slow_readers_get_everything_once_in_order_and_cost_bounded_memory() {
    let settings =
        [("UPROAR_LOG__SYNCHRONOUS", "normal"), ("UPROAR_LOG__CACHE_BYTES_MAX", "1048576")];
    let server = Server::start_with(&["--shards", "2"], &settings);
    let slow: Vec<_> = (0..SLOW)
        .map(|number| {
            let mut client = narrow(&server, &format!("slow {number}"));
            client.join("notes");
            client
        })
        .collect();
    let quitter = narrow(&server, "quitter");
    let mut fast = ChatClient::connect(server.address, "fast");
    let epoch = fast.join("flood")["epoch"].clone();
    let mut sender = ChatClient::connect(server.address, "sender");
    sender.join("flood");
    let (resident, sockets) = (resident_bytes(server.pid()), socket_bytes());
    let (may_hurry, queued_max) = (AtomicBool::new(false), AtomicUsize::new(0));
    let watch = || {
        let queued = server.metric("uproar_outbox_bytes", &[]) as usize;
        queued_max.fetch_max(queued, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        let readers: Vec<_> = slow
            .into_iter()
            .map(|client| scope.spawn(|| read_slowly(client, &may_hurry)))
            .collect();
        scope.spawn(|| leave_between(quitter, &may_hurry, &epoch));
        let others = [
            scope.spawn(|| flood(sender)),
            scope.spawn(|| {
                let mut chain = Chain::default();
                while chain.messages < MESSAGES {
                    chain.take(&fast.await_type("message"));
                }
            }),
        ];
        wait_for("the others have everything", || {
            watch();
            others.iter().all(thread::ScopedJoinHandle::is_finished).then_some(())
        });
        let in_sockets = socket_bytes().saturating_sub(sockets);
        assert!(in_sockets < (SLOW + 1) * 8 * 1024 * 1024, "{in_sockets} bytes in the kernel");
        may_hurry.store(true, Ordering::Release);
        for reader in readers {
            let before = reader.join().expect("everything, in order");
            assert!(before < MESSAGES / 2, "nobody waits for the slow ones: {before}");
            watch();
        }
    });
    let queued = queued_max.into_inner();
    let resident = peak_bytes(server.pid()).saturating_sub(resident);
    println!("at most {queued} bytes queued, {resident} more resident");
    assert!(queued > 0 && queued < (SLOW + 1) * QUEUED_BYTES_MAX, "{queued} bytes queued");
    assert!(resident < 64 * 1024 * 1024, "{resident} bytes more than before");
    server.wait_for_metric("uproar_sessions_fell_behind_total", &[], |n| n >= SLOW as f64);
    assert_eq!(server.metric("uproar_sessions_closed_total", &["reason=\"slow_reader\""]), 0.0);
}
