//! What the chat page shows of what the application removed: nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;
use uproar::config::KeyHash;

use super::chromium::Chromium;
use super::person::Person;
use super::server::{Server, free_port};

const KEY: &str = "uproar_key_of_a_moderator_who_looks_at_the_page";

/// Asks the API, which must do it.
fn ask(port: u16, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it accepts");
    let content = match body {
        "" => String::new(),
        body => {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        }
    };
    let request = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {KEY}\r\n{content}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn what_is_removed_disappears() {
    let port = free_port();
    let keys = format!("[\"page:read,moderate:{}\"]", KeyHash::of(KEY));
    let server = Server::start_with(port, &[("UPROAR_API__KEYS", &keys)]);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    for text in ["One.", "Two.", "Three."] {
        ann.say(text);
        bob.hear(text);
    }
    let list = ask(port, "GET", "/rooms/lobby/history", "");
    let two = list["messages"][1]["seq"].as_u64().expect("a position");
    ask(port, "POST", "/rooms/lobby/redact", &format!("{{\"seqs\":[{two}]}}"));
    for person in [&mut ann, &mut bob] {
        person.wait_for(
            "!document.querySelector('.timeline:not([hidden])').textContent.includes('Two.')",
        );
        assert_eq!(person.said(), ["One.", "Three."]);
    }
    // Who comes later sees neither the message nor the word of it.
    let mut cid = Person::enter(&mut chromium, &server.page(), "Cid");
    cid.hear("Three.");
    assert_eq!(cid.said(), ["One.", "Three."]);
    ask(port, "DELETE", "/rooms/lobby/log", "");
    ann.say("Anew.");
    for person in [&mut bob, &mut cid] {
        person.hear("Anew.");
        assert_eq!(person.said(), ["Anew."]);
    }
    ann.wait_for_delivery("Anew.", "stored");
    assert_eq!(ann.said(), ["Anew."]);
}
