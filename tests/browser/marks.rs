//! What the chat page shows of what one has missed: unread marks, older pages, gaps.

use super::chromium::Chromium;
use super::deadline::wait_for;
use super::person::{Person, READY, program};
use super::server::{Server, free_port};
use tempfile::TempDir;

#[test]
fn what_is_unread_is_counted_and_marked() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.join("tea");
    let mut bob = Person::enter(&mut chromium, &format!("{}#tea", server.page()), "Bob");
    bob.say("zero");
    ann.hear("zero");
    ann.join("lobby");
    for text in ["one", "two", "three"] {
        bob.say(text);
    }
    ann.wait_for("document.title === '(3) lobby · Uproar'");
    ann.wait_for_text(".badge:not([hidden])", "3 unread");
    ann.join("tea");
    ann.wait_for("document.title === 'tea · Uproar'");
    assert_eq!(ann.texts(".badge:not([hidden])"), [""; 0]);
    let flow = ann.texts(".timeline:not([hidden]) :is(.text, .unread)");
    assert_eq!(flow, ["zero", "New", "one", "two", "three"]);

    // Also over a visit's end.
    ann.join("lobby");
    ann.eval("location.href = 'about:blank'");
    ann.wait_for("location.href === 'about:blank'");
    bob.say("four");
    bob.wait_for_delivery("four", "stored");
    ann.eval("history.back()");
    ann.wait_for(&format!("location.protocol === 'http:' && {READY}"));
    ann.wait_for_text(".badge:not([hidden])", "1 unread");
}

#[test]
fn older_messages_come_when_they_are_looked_for() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut robot = program(&mut chromium, &server.relay_page());
    robot.eval("connect('Robot', 'lobby').then((room) => say(room, Array.from({ length: 220 }, (_, at) => `number ${at + 1}`)))");
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.hear("number 220");
    let shown = ann.said();
    assert!(shown.len() <= 100, "not everything at once: {}", shown.len());

    ann.eval(
        "{ window.log = document.querySelector('.timeline:not([hidden]) .log');
           log.scrollTop = -1e9;
           window.first = log.querySelector('.theirs');
           window.before = first.getBoundingClientRect().top; }",
    );
    ann.wait_for(&format!("log.querySelectorAll('.theirs').length > {}", shown.len()));
    ann.eval("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(() => painted(true))))");
    let moved = ann.eval("Math.abs(first.getBoundingClientRect().top - before)");
    assert!(moved.as_f64().is_some_and(|pixels| pixels < 1.0), "what is read stays: {moved}");
    ann.wait_for("(log.scrollTop = -1e9, log.querySelector('.older').hidden)");
    let all: Vec<String> = (1..=220).map(|number| format!("number {number}")).collect();
    assert_eq!(ann.said(), all, "in order, each once");

    robot.eval("connect('Robot', 'lobby').then((room) => say(room, ['one more']))");
    ann.hear("one more");
    ann.wait_for("!document.querySelector('.timeline:not([hidden]) .newest').hidden");
    ann.eval("document.querySelector('.timeline:not([hidden]) .newest').click()");
    ann.wait_for("log.scrollTop === 0");
}

#[test]
fn a_gap_is_marked() {
    let data = TempDir::new().expect("a directory can be made");
    let config = data.path().join("uproar.toml");
    std::fs::write(&config, "[[chat.rooms]]\npattern = \"*\"\nretention_messages = 5\n")
        .expect("the directory is writable");
    let arguments = ["--config", config.to_str().expect("a plain path")];
    let port = free_port();
    let server = Server::start_in(port, data, &arguments);
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.say("the beginning");
    ann.wait_for_delivery("the beginning", "stored");
    let data = server.kill();
    ann.wait_for("document.getElementById('banner').dataset.state === 'waiting'");
    ann.set_offline(true);
    let server = Server::start_in(port, data, &arguments);
    let mut robot = program(&mut chromium, &server.relay_page());
    robot.eval("connect('Robot', 'lobby').then((room) => (window.room = room, say(room, Array.from({ length: 30 }, (_, at) => `number ${at + 1}`))))");
    wait_for(
        &mut robot,
        |robot| {
            let first =
                robot.eval("room.history({ limit: 100 }).then((page) => page.messages[0].body)");
            (first == "number 26").then_some(())
        },
        |_| "retention takes the older messages".into(),
    );
    ann.set_offline(false);
    ann.hear("number 30");
    let flow = ann.texts(".messages > li:is(.own, .theirs) .text, .messages > .gap");
    assert_eq!(flow[0], "the beginning");
    assert!(flow[1].starts_with("Some messages in between"), "{flow:?}");
    assert_eq!(flow[2..], [26, 27, 28, 29, 30].map(|number| format!("number {number}")));
}
