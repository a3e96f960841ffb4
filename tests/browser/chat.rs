//! The chat page as people use it: talking, seeing who is there and who types, rooms, names, small screens.

use super::chromium::Chromium;
use super::person::{Person, READY};
use super::server::{Server, free_port};

const TYPING: &str = "document.getElementById('typing').textContent";
const COUNT: &str = "document.getElementById('count').textContent";

#[test]
fn two_people_talk_and_see_each_other() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.wait_for(&format!("{COUNT} === '1 here'"));
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    for person in [&mut ann, &mut bob] {
        person.wait_for(&format!("{COUNT} === '2 here'"));
        person.eval("document.getElementById('count').click()");
        person.wait_for(
            "[...document.querySelectorAll('#members li')].map((e) => e.textContent).sort().join() === 'Ann,Bob'",
        );
    }
    ann.say("Is anybody there?");
    bob.hear("Is anybody there?");
    bob.wait_for_text(".theirs .name", "Ann");
    bob.say("I am.");
    ann.hear("I am.");
    ann.wait_for_delivery("Is anybody there?", "stored");
    for person in [&mut ann, &mut bob] {
        assert_eq!(person.said(), ["Is anybody there?", "I am."]);
    }

    bob.eval("location.href = 'about:blank'");
    bob.wait_for("location.href === 'about:blank'");
    ann.wait_for(&format!("{COUNT} === '1 here'"));
    assert_eq!(ann.texts("#members li"), ["Ann"]);

    // Back again, the page goes on where it was.
    ann.say("Where were you?");
    bob.eval("history.back()");
    bob.wait_for("location.protocol === 'http:'");
    bob.hear("Where were you?");
    ann.wait_for(&format!("{COUNT} === '2 here'"));
}

#[test]
fn typing_is_seen_while_it_lasts() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    // Every signal that leaves the page, to count them.
    bob.eval(
        "{ window.signals = 0; const send = WebSocket.prototype.send;
           WebSocket.prototype.send = function (text) {
               if (text.startsWith('{\"type\":\"signal\"')) window.signals += 1;
               return send.call(this, text);
           }; }",
    );
    bob.fill("#text", "I think");
    ann.wait_for(&format!("{TYPING} === 'Bob is typing'"));
    assert_eq!(bob.eval(TYPING), "", "one's own typing is not news");
    for text in ["I think t", "I think th", "I think tha", "I think that"] {
        bob.fill("#text", text);
    }
    bob.press_enter();
    ann.hear("I think that");
    // The page draws once for all that comes together: by then it has.
    let drawn = format!("new Promise((drawn) => setTimeout(() => drawn({TYPING}), 50))");
    assert_eq!(ann.eval(&drawn), "", "what was typed is there");
    assert!(bob.eval("signals").as_u64().is_some_and(|signals| signals < 4), "not one a key");

    bob.fill("#text", "never mind");
    ann.wait_for(&format!("{TYPING} === 'Bob is typing'"));
    ann.wait_for(&format!("{TYPING} === ''"));
    bob.fill("#text", "well");
    ann.wait_for(&format!("{TYPING} === 'Bob is typing'"));
    bob.fill("#text", "");
    bob.eval("{ const t = document.getElementById('text'); t.value = ''; t.dispatchEvent(new InputEvent('input')); }");
    ann.wait_for(&format!("{TYPING} === ''"));
}

#[test]
fn a_name_and_its_owner_last() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    let tab = chromium.open(&server.page());
    let mut ann = Person::name(tab, "Ann");
    ann.say("I was here.");
    ann.wait_for_delivery("I was here.", "stored");
    ann.eval("location.reload()");
    ann.wait_for(&format!(
        "window.performance.getEntriesByType('navigation')[0]?.type === 'reload' && {READY}"
    ));
    ann.wait_for("document.getElementById('self').textContent === 'Ann'");
    ann.wait_for_text(".own .text", "I was here.");

    ann.eval("document.getElementById('rename').click()");
    ann.fill("#name", "Anna");
    ann.press_enter();
    ann.wait_for("document.getElementById('self').textContent === 'Anna'");
    ann.wait_for(READY);
    ann.wait_for_text(".own .text", "I was here.");
    ann.say("Under another name.");
    bob.wait_for_text(".theirs .name", "Anna");

    // Two of them in one browser.
    let tab = chromium.open(&format!("{}?as=cat", server.page()));
    let mut cat = Person::name(tab, "Cat");
    cat.hear("Under another name.");
    cat.say("I am not Anna.");
    ann.hear("I am not Anna.");
}

#[test]
fn a_name_that_cannot_be_is_asked_for_again() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut tab = chromium.open_apart(&server.page());
    tab.wait_for("document.getElementById('naming')?.open");
    tab.fill("#name", "a\u{202e}b");
    tab.press_enter();
    tab.wait_for(
        "document.getElementById('naming-fault').textContent.startsWith('Another name, please: ')",
    );
    tab.wait_for("document.getElementById('naming').open");
    let mut ann = Person::name(tab, "Ann");
    ann.say("Better.");
    ann.wait_for_delivery("Better.", "stored");
}

#[test]
fn rooms_have_addresses_and_are_apart() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let room = "tea & crème/brûlée";
    let address = format!("{}#tea%20%26%20cr%C3%A8me%2Fbr%C3%BBl%C3%A9e", server.page());
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &address, "Bob");
    assert_eq!(bob.eval("document.getElementById('title').textContent"), room);
    ann.say("in the lobby");
    ann.join(room);
    assert_eq!(ann.eval("location.href"), address.as_str());
    ann.say("in the room");
    bob.hear("in the room");
    assert_eq!(bob.said(), ["in the room"]);
    ann.eval("history.back()");
    ann.wait_for("document.getElementById('title').textContent === 'lobby'");
    assert_eq!(ann.said(), ["in the lobby"]);

    bob.eval("document.getElementById('leave').click()");
    bob.wait_for("document.getElementById('title').textContent === 'lobby'");
    bob.hear("in the lobby");
    assert_eq!(bob.texts("#rooms .room bdi"), ["lobby"]);
    bob.fill("#room", "..");
    bob.press_enter();
    assert_eq!(bob.eval("document.getElementById('room').validity.customError"), true);
}

#[test]
fn the_chat_lives_under_a_strict_policy() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let policy =
        ann.eval("fetch('/').then((answer) => answer.headers.get('content-security-policy'))");
    let policy = policy.as_str().expect("the page has a policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split(';').any(|d| d.trim() == directive), "{directive} in {policy}");
    }
    let foreign = "performance.getEntriesByType('resource').filter((e) => !e.name.startsWith(location.origin)).length";
    assert_eq!(ann.eval(foreign), 0);
    assert_eq!(ann.eval("getComputedStyle(document.body).display"), "grid");
    ann.eval("document.querySelector('#further a[href=\"/relay.html\"]').click()");
    ann.wait_for("document.getElementById('state')?.dataset.state === 'open'");
}

#[test]
fn the_chat_fits_a_phone_in_light_and_dark() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.join(&"a-long-name".repeat(10));
    ann.emulate((320, 568), "light");
    ann.say(&"long".repeat(100));
    ann.wait_for("innerWidth === 320 && document.documentElement.scrollWidth === 320");
    ann.wait_for(
        "document.getElementById('composer').getBoundingClientRect().bottom <= innerHeight",
    );
    ann.wait_for("document.querySelector('.timeline:not([hidden]) .log').clientHeight >= 160");
    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = ann.eval(paper);
    ann.emulate((320, 568), "dark");
    ann.wait_for(&format!("{paper} !== {light}"));
}
