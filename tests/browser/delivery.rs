//! What becomes of one's own messages, and what the chat page says while the server is away.

use super::chromium::Chromium;
use super::person::Person;
use super::server::{Server, free_port};
use crate::support::backend::{Backend, Reply};
use serde_json::json;
use tempfile::TempDir;

const WAITING: &str = "document.getElementById('banner').dataset.state === 'waiting' && !document.getElementById('banner').hidden";

#[test]
fn what_is_said_to_nobody_is_stored_later() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    ann.say("before");
    bob.hear("before");

    let data = server.kill();
    ann.wait_for(WAITING);
    ann.wait_for("/^Next try in \\d+ s$/.test(document.getElementById('wait').textContent)");
    ann.wait_for("!document.getElementById('retry').hidden");
    ann.say("meanwhile");
    ann.say("and more");
    ann.wait_for_delivery("meanwhile", "sending");

    let server = Server::start_in(port, data, &[]);
    ann.wait_for_delivery("meanwhile", "stored");
    ann.wait_for_delivery("and more", "stored");
    ann.wait_for("document.getElementById('banner').hidden");
    bob.hear("and more");
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.said(), ["before", "meanwhile", "and more"], "in order, once");
        assert_eq!(person.texts(".notice"), [""; 0], "and nobody was told of a gap");
    }
    drop(server);
}

#[test]
fn everything_arrives_once_however_often_the_server_dies() {
    let port = free_port();
    let mut server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    let mut all = Vec::new();
    for round in 1..=3 {
        for number in 1..=6 {
            for (person, name) in [(&mut ann, "Ann"), (&mut bob, "Bob")] {
                let text = format!("{name} {round}.{number}");
                person.say(&text);
                all.push(text);
            }
            if number == 3 {
                // Whatever is on its way at this moment may or may not be stored.
                server = Server::start_in(port, server.kill(), &[]);
            }
        }
    }
    for person in [&mut ann, &mut bob] {
        person.wait_for(&format!(
            "document.querySelectorAll('.messages:not(.pending) .text').length >= {}",
            all.len()
        ));
        person.wait_for("document.querySelectorAll('.own[data-delivery=stored]').length === 18");
    }
    let seen = ann.said();
    assert_eq!(seen, bob.said(), "one order for both");
    let (mut sorted, mut expected) = (seen, all);
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected, "each of them once");
    drop(server);
}

#[test]
fn what_fails_says_why_and_can_be_sent_again() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    // Two messages of one id: the server takes the first, and refuses the second.
    ann.eval(
        "{ const now = Date.now(); window.mend = [Date.now, crypto.getRandomValues];
           Date.now = () => now; crypto.getRandomValues = (bytes) => bytes.fill(7); }",
    );
    ann.say("the first");
    ann.wait_for_delivery("the first", "stored");
    ann.say("the second");
    ann.wait_for_delivery("the second", "failed");
    assert!(
        ann.texts(".delivery").iter().any(|text| text.starts_with("failed: ")),
        "with a reason"
    );
    ann.eval("{ Date.now = mend[0]; delete crypto.getRandomValues; }");
    bob.hear("the first");
    assert_eq!(bob.said(), ["the first"]);

    ann.eval("[...document.querySelectorAll('.actions button')].find((e) => e.textContent === 'Retry').click()");
    ann.wait_for_delivery("the second", "stored");
    bob.hear("the second");
    assert_eq!(ann.said(), ["the first", "the second"]);

    // An id that is too old.
    ann.eval("{ window.mend = Date.now; Date.now = () => 1e12; }");
    ann.say("from long ago");
    ann.wait_for_delivery("from long ago", "failed");
    ann.eval("{ Date.now = mend; }");
    ann.eval("[...document.querySelectorAll('.actions button')].find((e) => e.textContent === 'Discard').click()");
    ann.wait_for("document.querySelectorAll('.pending li').length === 0");
    assert_eq!(ann.said(), ["the first", "the second"]);
}

#[test]
fn what_the_application_makes_of_a_message_is_what_everybody_sees() {
    let application = Backend::start(|asked| match asked.json()["body"]["text"].as_str() {
        Some("damn") => Reply::Status(200, json!({ "body": { "text": "d***" } }).to_string()),
        Some("rude") => Reply::Status(403, json!({ "reason": "Be <b>kind</b>." }).to_string()),
        _ => Reply::Status(204, String::new()),
    });
    let server = Server::start_asking(free_port(), &application);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    ann.say("damn");
    ann.wait_for_delivery("d***", "stored");
    ann.say("well");
    bob.hear("well");
    ann.wait_for_delivery("well", "stored");
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.said(), ["d***", "well"]);
    }
    ann.say("rude");
    ann.wait_for_delivery("rude", "failed");
    let told = ann.texts(".delivery");
    assert!(told.iter().any(|text| text == "failed: Be <b>kind</b>."), "{told:?}");
    assert_eq!(bob.said(), ["d***", "well"]);
}

#[test]
fn what_is_written_and_kept_has_a_bound() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.say(&"é".repeat(31 * 1024));
    ann.wait_for("document.getElementById('hint').textContent.startsWith('Too long by ')");
    assert_eq!(ann.said(), [""; 0]);
    let data = server.kill();
    ann.wait_for(WAITING);
    for _ in 0..101 {
        ann.say("later");
    }
    ann.wait_for("document.getElementById('hint').textContent.startsWith('100 messages are on')");
    assert_eq!(ann.eval("document.getElementById('text').value"), "later", "nothing is lost");
    let server = Server::start_in(port, data, &[]);
    ann.wait_for("document.querySelectorAll('.own[data-delivery=stored]').length === 100");
    drop(server);
}

#[test]
fn a_log_that_began_anew_is_marked() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    ann.say("in the old log");
    bob.hear("in the old log");
    drop(server);
    ann.wait_for(WAITING);

    let server = Server::start_in(port, TempDir::new().expect("a directory can be made"), &[]);
    for person in [&mut ann, &mut bob] {
        person.wait_for("document.getElementById('banner').hidden");
        person.wait_for("document.querySelectorAll('.reset').length === 1");
    }
    bob.say("in the new log");
    ann.hear("in the new log");
    let flow = ann.texts(".messages > li:is(.own, .theirs) .text, .messages > .reset");
    assert_eq!(flow[0], "in the old log");
    assert!(flow[1].starts_with("The log began anew"), "{flow:?}");
    assert_eq!(flow[2], "in the new log");
    drop(server);
}
