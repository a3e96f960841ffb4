//! Messages are removed while everybody talks, comes and goes: in the end all have the same, and nobody was shown what
//! had been said to be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};

use super::caller::{ask, enter_at, get, server};
use crate::support::chat::{ChatClient, client_id};
use crate::support::server::Server;

#[allow(clippy::disallowed_types, reason = "between the threads of a test")]
type Mutex<T> = std::sync::Mutex<T>;

const SPEAKERS: usize = 3;
const MESSAGES: usize = 250;

/// Somebody who shows what comes, as a client does.
struct Reader {
    chat: ChatClient,
    epoch: Value,
    last: u64,
    shown: BTreeMap<u64, String>,
    gone: BTreeSet<u64>,
    gone_to: u64,
}

impl Reader {
    fn new(server: SocketAddr, number: usize) -> Self {
        let mut chat = enter_at(server, &format!("reader-{number}"));
        let joined = chat.join("hall");
        let (epoch, last) = (joined["epoch"].clone(), joined["seq"].as_u64().expect("a position"));
        let (shown, gone) = (BTreeMap::new(), BTreeSet::new());
        Self { chat, epoch, last, shown, gone, gone_to: 0 }
    }

    fn come_back(&mut self, server: SocketAddr, number: usize) {
        self.chat = enter_at(server, &format!("reader-{number}"));
        let joined = self.chat.resume("hall", &self.epoch, self.last);
        assert_eq!(joined["epoch"], self.epoch);
        if joined["gap"].is_object() {
            self.skip(&joined["gap"]);
        }
    }

    /// What is gone is not only said by events to who was not given it yet.
    fn skip(&mut self, gap: &Value) {
        self.last = self.last.max(gap["to"].as_u64().expect("a position"));
    }

    fn take(&mut self, message: &Value) {
        let position = |value: &Value| value.as_u64().expect("a position");
        let (seq, prev) = (position(&message["seq"]), position(&message["prev"]));
        assert!(seq > self.last, "{message} is not above {}", self.last);
        assert!(prev <= self.last, "{message} leaves out something above {}", self.last);
        self.last = seq;
        match message["kind"].as_str() {
            Some("text") => {
                let is_gone = seq <= self.gone_to || self.gone.contains(&seq);
                assert!(!is_gone, "{message} was said to be gone");
                self.shown.insert(seq, message["body"].to_string());
            }
            Some("redact") => {
                for seq in message["body"]["seqs"].as_array().expect("a list").iter().map(position)
                {
                    self.shown.remove(&seq);
                    self.gone.insert(seq);
                }
            }
            _ => {
                self.gone_to = position(&message["body"]["to"]);
                self.shown = self.shown.split_off(&(self.gone_to + 1));
            }
        }
    }

    /// Reads up to the last word, and comes back after each so many messages if there is a number.
    fn read(mut self, server: SocketAddr, number: usize, comes_back: Option<usize>) -> Self {
        let mut count = 0;
        loop {
            let is_next = |next: &Value| next["type"] == "message" || next["type"] == "gap";
            let message = self.chat.await_message(is_next);
            if message["type"] == "gap" {
                self.skip(&message);
                continue;
            }
            self.take(&message);
            if message["body"] == "the end" {
                return self;
            }
            count += 1;
            if comes_back.is_some_and(|after| count % after == 0) {
                self.come_back(server, number);
            }
        }
    }
}

fn speak(server: SocketAddr, number: usize, said: &Mutex<Vec<u64>>) {
    let mut chat = enter_at(server, &format!("speaker-{number}"));
    chat.join("hall");
    for n in 0..MESSAGES {
        let body = format!("{number} says {n} {}", "x".repeat(n % 7 * 300));
        chat.send(&json!({"type": "send", "room": "hall", "client_id": client_id(), "body": body}));
        let seq = chat.await_type("ack")["seq"].as_u64().expect("a position");
        said.lock().expect("nobody panicked").push(seq);
    }
}

/// Removes what was said a while ago or just now, and in the middle everything.
fn moderate(server: &Server, said: &Mutex<Vec<u64>>) {
    let count = || said.lock().expect("nobody panicked").len();
    for round in 0..60 {
        let due = round * SPEAKERS * MESSAGES / 60;
        while count() <= due {
            thread::yield_now();
        }
        let said = said.lock().expect("nobody panicked").clone();
        let seqs: Vec<_> =
            (0..4).map(|n| said[said.len() - 1 - (n * n * round) % said.len()]).collect();
        ask(server, "POST", "/rooms/hall/redact", Some(json!({"seqs": seqs})), 200);
        if round == 30 {
            ask(server, "DELETE", "/rooms/hall/log", None, 200);
        }
    }
}

/// What the log has at the end.
fn stored(server: &Server) -> BTreeMap<u64, String> {
    let (mut found, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = get(server, &format!("/rooms/hall/history?limit=100&after={after}"));
        for message in page["messages"].as_array().expect("a list") {
            after = message["seq"].as_u64().expect("a position");
            if message["kind"] == "text" {
                found.insert(after, message["body"].to_string());
            }
        }
        if page["more"] == false {
            return found;
        }
    }
}

#[test]
fn everybody_ends_with_what_is_left() {
    for rules in ["[]", "[{pattern = \"*\", engine = \"memory\"}]"] {
        let server =
            server(&[("UPROAR_CHAT__ROOMS", rules), ("UPROAR_LOG__SYNCHRONOUS", "normal")]);
        let said = Mutex::new(Vec::new());
        let readers: Vec<_> = thread::scope(|scope| {
            let (address, said) = (server.address, &said);
            let readers: Vec<_> = (0..6)
                .map(|number| {
                    let comes_back = (number >= 2).then_some(5 + 17 * number);
                    let reader = Reader::new(address, number);
                    scope.spawn(move || reader.read(address, number, comes_back))
                })
                .collect();
            let speakers: Vec<_> = (0..SPEAKERS)
                .map(|number| scope.spawn(move || speak(address, number, said)))
                .collect();
            moderate(&server, said);
            speakers.into_iter().for_each(|speaker| speaker.join().expect("all was said"));
            let body = json!({"rooms": ["hall"], "from": {"user": "shop"}, "body": "the end"});
            ask(&server, "POST", "/publish", Some(body), 200);
            readers.into_iter().map(|reader| reader.join().expect("it has the end")).collect()
        });
        let stored = stored(&server);
        assert!(stored.len() > 100, "{} are left", stored.len());
        for (number, reader) in readers.iter().enumerate() {
            assert!(reader.gone_to > 0 && reader.gone.len() > 50, "{:?}", reader.gone);
            assert!(reader.shown == stored, "reader {number} has other messages than the log");
        }
    }
}
