//! What the chat page shows of what one has missed: unread marks, older pages, gaps.

use super::chromium::Chromium;
use super::person::{Person, READY, program};
use super::server::{Server, free_port};

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
           window.first = log.querySelectorAll('.theirs')[1];
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
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut robot = program(&mut chromium, &server.relay_page());
    robot.eval("connect('Robot', 'lobby').then((room) => { window.room = room; })");
    // As if retention had taken a message just before it could be sent.
    ann.eval(
        "{ const { get, set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
           Object.defineProperty(WebSocket.prototype, 'onmessage', { get, set(listener) {
               set.call(this, listener && (({ data }) => {
                   const { type, room, prev, seq, body } = JSON.parse(data);
                   const gap = { type: 'gap', room, from: prev, to: seq };
                   listener({ data: type === 'message' && body === 'lost' ? JSON.stringify(gap) : data });
               }));
           } }); true; }",
    );
    ann.eval("document.getElementById('rename').click()");
    ann.fill("#name", "Anna");
    ann.press_enter();
    ann.wait_for("document.getElementById('self').textContent === 'Anna'");
    ann.wait_for(READY);
    robot.eval(
        "say(room, ['kept']).then(() => say(room, ['lost'])).then(() => say(room, ['kept, too']))",
    );
    ann.hear("kept, too");
    let flow = ann.texts(".messages > li.theirs .text, .messages > .gap");
    assert_eq!(flow, ["kept", "Some messages in between are not kept any more.", "kept, too"]);
}
