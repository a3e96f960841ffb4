//! A client of the chat: raw WebSocket underneath, JSON on top.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::audit::Message;
use super::client::Client;
use super::schema;

/// One session, welcomed.
pub struct ChatClient {
    pub client: Client,
    pub welcome: Value,
    /// What came while something else was waited for.
    held: std::collections::VecDeque<Value>,
}

impl ChatClient {
    /// Connects as a new guest of that name.
    pub fn connect(address: SocketAddr, name: &str) -> Self {
        Self::hello(Client::connect(address, "/chat"), &json!({"type": "hello", "name": name}))
    }

    /// Says that hello over an upgraded connection, and is welcomed.
    pub fn hello(client: Client, hello: &Value) -> Self {
        let mut session = Self { client, welcome: Value::Null, held: Default::default() };
        session.send(hello);
        session.welcome = session.await_type("welcome");
        session
    }

    pub fn user(&self) -> &str {
        self.welcome["user"].as_str().expect("a user")
    }

    /// Sends a message as it is.
    pub fn send(&mut self, message: &Value) {
        self.client.send(&message.to_string());
    }

    /// Joins a room and gives the answer.
    pub fn join(&mut self, room: &str) -> Value {
        self.send(&json!({"type": "join", "room": room}));
        self.await_type("joined")
    }

    /// Joins a room where it was left.
    pub fn resume(&mut self, room: &str, epoch: &Value, seq: u64) -> Value {
        self.send(&json!({"type": "join", "room": room, "after": {"epoch": epoch, "seq": seq}}));
        self.await_type("joined")
    }

    /// Says something in a room, without waiting for the ack; the client id.
    pub fn say(&mut self, room: &str, body: &Value) -> String {
        let id = client_id();
        self.send(&json!({"type": "send", "room": room, "client_id": id, "body": body}));
        id
    }

    /// The next message of whatever type, but pings.
    pub fn next(&mut self) -> Value {
        if let Some(held) = self.held.pop_front() {
            return held;
        }
        self.read()
    }

    fn read(&mut self) -> Value {
        loop {
            let frame = self.client.next();
            if frame.opcode() == 9 {
                continue;
            }
            assert_eq!(frame.head, 0x81, "{frame:?}");
            let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            schema::check_server(&message);
            if message["type"] != "ping" {
                return message;
            }
        }
    }

    /// The next message of that type; what came before it is held for later.
    pub fn await_type(&mut self, kind: &str) -> Value {
        self.await_message(|message| message["type"] == kind)
    }

    /// The next message that is wanted; what came before it is held for later.
    pub fn await_message(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.held.iter().position(&wanted) {
            return self.held.remove(at).expect("it is there");
        }
        loop {
            let message = self.read();
            if wanted(&message) {
                return message;
            }
            self.held.push_back(message);
        }
    }

    /// All of a room's log, by pages of its history.
    pub fn whole_log(&mut self, room: &str) -> Vec<Message> {
        self.join(room);
        let mut messages: Vec<Message> = Vec::new();
        loop {
            let after = messages.last().map_or(0, |message| message.seq);
            self.send(&json!({"type": "history", "room": room, "after": after, "limit": 100}));
            let page = self.await_type("history");
            messages.extend(page["messages"].as_array().expect("a list").iter().map(Message::of));
            if page["more"] == false {
                return messages;
            }
        }
    }

    /// Everything up to the answer to a ping that is sent now: all that the server had for the session by then.
    pub fn drain(&mut self) -> Vec<Value> {
        let reference = client_id();
        self.send(&json!({"type": "ping", "ref": reference}));
        let mut drained = Vec::new();
        loop {
            let message = self.next();
            if message["type"] == "pong" && message["ref"] == reference.as_str() {
                return drained;
            }
            drained.push(message);
        }
    }
}

/// A new id for a message (UUIDv7).
pub fn client_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    client_id_at(now.as_millis() as u64, LAST.fetch_add(1, Ordering::Relaxed))
}

/// The id that was made at that time, in milliseconds, and is the one of that number, for this process.
pub fn client_id_at(made_ms: u64, number: u64) -> String {
    let (process, high) = (u64::from(std::process::id()) & 0xffff, number >> 32 & 0xfff);
    format!(
        "{:08x}-{:04x}-7{:03x}-8000-{:04x}{:08x}",
        made_ms >> 16,
        made_ms & 0xffff,
        high,
        process,
        number & 0xffff_ffff
    )
}
