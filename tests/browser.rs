//! What people see: the demo's pages and a tutorial's own client, in a real browser against the real binary.
//!
//! The relay page and the tutorial are here, the chat page in `browser/chat.rs` and its neighbours.
//! What goes over the wire is tested elsewhere, byte by byte; here it counts that a browser agrees.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod browser {
    mod chat;
    pub(crate) mod chromium;
    pub(crate) mod deadline;
    mod delivery;
    mod first_steps;
    mod hostile;
    mod marks;
    mod person;
    mod removal;
    pub(crate) mod server;
    pub(crate) mod site;
    pub(crate) mod tab;
    mod tls;
}
mod support;

use browser::chromium::Chromium;
use browser::server::{Server, free_port};
use browser::site;
use browser::tab::Tab;

const OPEN: &str = "document.getElementById('state')?.dataset.state === 'open'";
const LOST: &str = "document.getElementById('state').dataset.state === 'waiting'";
/// Another page's connection to the lobby, for what the relay page itself would never send.
const CONNECT: &str = "new Promise((ok, no) => {
    window.ws = new WebSocket('ws://localhost:8080');
    ws.onopen = () => ok(true);
    ws.onerror = no;
})";

#[test]
fn two_tabs_chat_through_a_restart() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let mut bob = enter(&mut chromium, &server.relay_page(), "Bob");
    say(&mut ann, "Is anybody there?");
    bob.wait_for_text(".theirs .text", "Is anybody there?");
    bob.wait_for_text(".theirs .name", "Ann");
    say(&mut bob, "I am.");
    ann.wait_for_text(".theirs .text", "I am.");
    ann.wait_for("document.querySelectorAll('.own[data-delivery=sent]').length === 1");
    ann.wait_for("document.querySelectorAll('.theirs').length === 1");

    drop(server);
    ann.wait_for(LOST);
    bob.wait_for(LOST);
    ann.wait_for(
        "/^Reconnecting in \\d+ s$/.test(document.getElementById('state-text').textContent)",
    );
    say(&mut ann, "Said to nobody.");
    ann.wait_for("document.querySelector('.own:last-of-type').dataset.delivery === 'waiting'");

    // The relay stores nothing, so Bob must be back first to hear what Ann has kept for later.
    ann.set_offline(true);
    let server = Server::start(port);
    bob.wait_for(OPEN);
    ann.set_offline(false);
    ann.wait_for(OPEN);
    bob.wait_for_text(".theirs .text", "Said to nobody.");
    ann.wait_for("document.querySelectorAll('.own[data-delivery=sent]').length === 2");
    say(&mut bob, "Heard all the same.");
    ann.wait_for_text(".theirs .text", "Heard all the same.");
    assert_eq!(bob.eval("document.querySelectorAll('.theirs').length"), 2, "nothing came twice");
    drop(server);
}

#[test]
fn the_page_lives_under_its_strict_policy() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let policy = ann.eval(
        "fetch('/relay.html').then((answer) => answer.headers.get('content-security-policy'))",
    );
    let directives: Vec<&str> =
        policy.as_str().expect("the page has a policy").split(';').map(str::trim).collect();
    for directive in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]
    {
        assert!(directives.contains(&directive), "{directive} in {policy}");
    }
    let foreign = "performance.getEntriesByType('resource').filter((e) => !e.name.startsWith(location.origin)).length";
    assert_eq!(ann.eval(foreign), 0);
    assert_eq!(
        ann.eval("getComputedStyle(document.body).display"),
        "grid",
        "the style sheet holds"
    );
}

#[test]
fn markup_is_shown_as_text() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let name = "<b>Eve</b>";
    let payload =
        r#"<img src=x onerror="window.harmed = 1"><script>window.harmed = 1</script>&lt;"#;
    let mut eve = enter(&mut chromium, &server.relay_page(), name);
    let mut bob = enter(&mut chromium, &server.relay_page(), "Bob");
    say(&mut eve, payload);
    bob.wait_for_text(".theirs .text", payload);
    bob.wait_for_text(".theirs .name", name);
    eve.wait_for_text(".own .text", payload);
    for tab in [&mut eve, &mut bob] {
        assert_eq!(tab.eval("document.querySelectorAll('#log :is(img, script, b)').length"), 0);
        assert_eq!(tab.eval("'harmed' in window"), false);
    }
}

#[test]
fn rooms_are_apart() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let room = "tea & crème/brûlée";
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let mut bob = enter(
        &mut chromium,
        &format!("{}#tea%20%26%20cr%C3%A8me%2Fbr%C3%BBl%C3%A9e", server.relay_page()),
        "Bob",
    );
    let mut cat = enter(&mut chromium, &server.relay_page(), "Cat");
    assert_eq!(bob.eval("document.getElementById('room').value"), room);
    cat.fill("#room", room);
    cat.press_enter();
    cat.wait_for("location.hash.length > 1");
    cat.wait_for(OPEN);
    say(&mut ann, "in the lobby");
    say(&mut cat, "in the room");
    bob.wait_for_text(".theirs .text", "in the room");
    say(&mut bob, "so am I");
    cat.wait_for_text(".theirs .text", "so am I");
    assert_eq!(ann.eval("document.querySelectorAll('.theirs').length"), 0);
    assert_eq!(bob.eval("document.querySelectorAll('.theirs').length"), 1);

    cat.eval("history.back()");
    cat.wait_for("location.hash === '' && document.getElementById('room').value === ''");
    cat.wait_for(OPEN);
    say(&mut cat, "back again");
    ann.wait_for_text(".theirs .text", "back again");
}

#[test]
fn other_clients_are_shown_as_they_speak() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let mut other = chromium.open(&site::serve("<title>Other</title>".into()));
    other.wait_for("document.title === 'Other'");
    other.eval(&CONNECT.replace("8080", &port.to_string()));
    other.eval("ws.send('plain'); ws.send('[1]'); ws.send('null'); ws.send('{\"text\": 1}')");
    other.eval(
        "ws.send(new Uint8Array(5)); ws.send('{\"type\": \"join\", \"session\": \"00c0ffee\"}')",
    );
    other.eval("ws.send('{\"type\": \"leave\", \"session\": \"00c0ffee\"}')");
    ann.wait_for_text(".notice", "00c0ffee left");
    let said =
        ann.eval("[...document.querySelectorAll('#messages .text')].map((e) => e.textContent)");
    assert_eq!(said, serde_json::json!(["plain", "[1]", "null", "{\"text\": 1}", "[5 bytes]"]));
    assert_eq!(ann.eval("document.querySelector('.theirs .name').textContent"), "someone");
    ann.wait_for_text(".notice", "00c0ffee joined");
}

#[test]
fn everything_on_the_page_has_a_bound() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let mut other = chromium.open(&site::serve("<title>Other</title>".into()));
    other.wait_for("document.title === 'Other'");
    other.eval(&CONNECT.replace("8080", &port.to_string()));
    other.eval("for (let i = 1; i <= 1100; i += 1) ws.send(String(i))");
    ann.wait_for_text(".theirs .text", "1100");
    assert_eq!(ann.eval("document.getElementById('messages').childElementCount"), 1000);
    let shown = ann.eval("[...document.querySelectorAll('#messages li')].map((e) => (e.querySelector('.text') ?? e).textContent)");
    let expected: Vec<String> = (101..=1100).map(|i| i.to_string()).collect();
    assert_eq!(shown, serde_json::json!(expected), "the newest, in order");

    say(&mut ann, &"é".repeat(31 * 1024));
    ann.wait_for("document.getElementById('hint').textContent.startsWith('Too long by ')");
    assert_eq!(ann.eval("document.querySelectorAll('.own').length"), 0);
    ann.fill("#text", "");

    drop(server);
    ann.wait_for(LOST);
    for _ in 0..101 {
        say(&mut ann, "later");
    }
    ann.wait_for(
        "document.getElementById('hint').textContent.startsWith('100 messages are waiting')",
    );
    assert_eq!(ann.eval("document.querySelectorAll('.own[data-delivery=waiting]').length"), 100);
    assert_eq!(
        ann.eval("document.getElementById('text').value"),
        "later",
        "what is refused is not lost"
    );
    let server = Server::start(port);
    ann.wait_for("document.querySelectorAll('.own[data-delivery=sent]').length === 100");
    drop(server);
}

#[test]
fn the_page_fits_a_phone_in_light_and_dark() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    ann.emulate((320, 568), "light");
    say(&mut ann, &"long".repeat(100));
    ann.wait_for("innerWidth === 320 && document.documentElement.scrollWidth === 320");
    ann.wait_for(
        "document.getElementById('composer').getBoundingClientRect().bottom <= innerHeight",
    );
    ann.wait_for("document.getElementById('log').clientHeight >= 200");
    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = ann.eval(paper);
    ann.emulate((320, 568), "dark");
    ann.wait_for(&format!("{paper} !== {light}"));
}

#[test]
fn a_tutorials_client_chats_from_another_port_and_from_a_file() {
    let port = free_port();
    let server = Server::start(port);
    let mut chromium = Chromium::start();
    let html = include_str!("browser/tutorial.html").replace("8080", &port.to_string());
    let file = chromium.save("tutorial.html", &html);
    let mut served = chromium.open(&site::serve(html));
    let mut saved = chromium.open(&file);
    saved.wait_for("location.protocol === 'file:' && origin === 'null'");
    converse(&mut served, &mut saved, "first");

    drop(server);
    for tab in [&mut served, &mut saved] {
        tab.wait_for("document.getElementById('status').textContent === 'closed'");
    }
    let server = Server::start(port);
    converse(&mut served, &mut saved, "second");

    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    send(&mut saved, "hello, page");
    ann.wait_for_text(".theirs .text", "hello, page");
    say(&mut ann, "hello, file");
    saved.wait_for_text("li", r#"{"name":"Ann","text":"hello, file"}"#);
}

#[test]
fn a_reader_stays_where_they_scrolled() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = enter(&mut chromium, &server.relay_page(), "Ann");
    let mut bob = enter(&mut chromium, &server.relay_page(), "Bob");
    say(&mut bob, &"a long story\n".repeat(200));
    ann.wait_for(
        "document.querySelector('.theirs') && document.getElementById('log').scrollTop === 0",
    );
    ann.eval("document.getElementById('log').scrollTop = -1000");
    ann.eval("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(() => painted(true))))");
    let story_top = "document.querySelector('.theirs').getBoundingClientRect().top";
    ann.eval(&format!("window.before = {story_top}"));
    say(&mut bob, "The end.");
    ann.wait_for("!document.getElementById('newest').hidden");
    let moved = ann.eval(&format!("Math.abs({story_top} - before) >= 1"));
    assert_eq!(moved, false, "what is being read stays where it is, to the pixel");
    ann.eval("document.getElementById('newest').click()");
    ann.wait_for("document.getElementById('newest').hidden");
    assert_eq!(ann.eval("document.getElementById('log').scrollTop"), 0);
}

/// Opens the relay page, and takes a name once it is connected.
fn enter(chromium: &mut Chromium, page: &str, name: &str) -> Tab {
    let mut tab = chromium.open(page);
    tab.wait_for(OPEN);
    tab.fill("#name", name);
    tab
}

/// Types a message into the relay page and presses Enter.
fn say(tab: &mut Tab, text: &str) {
    tab.fill("#text", text);
    tab.press_enter();
}

/// Sends from the tutorial's page.
fn send(tab: &mut Tab, text: &str) {
    tab.fill("#input", text);
    tab.eval("document.getElementById('send').click()");
}

/// Two of the tutorial's pages connect, and each hears the other.
fn converse(one: &mut Tab, other: &mut Tab, word: &str) {
    for tab in [&mut *one, &mut *other] {
        tab.wait_for("document.getElementById('status')?.textContent === 'connected'");
    }
    send(one, &format!("{word} question"));
    other.wait_for_text("li", &format!("{word} question"));
    send(other, &format!("{word} answer"));
    one.wait_for_text("li", &format!("{word} answer"));
}
