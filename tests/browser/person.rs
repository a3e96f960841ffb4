//! One person at the chat page: a tab of their own, and what they can do and see there.

use super::chromium::Chromium;
use super::tab::Tab;
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};

/// Connected, and in the room that is shown: the server has said how many are there.
pub(crate) const READY: &str =
    "document.getElementById('banner')?.hidden && !document.getElementById('people').hidden";

/// Somebody at the chat page.
pub(crate) struct Person(Tab);

impl Person {
    /// Opens the page in a browser that nobody has used, and takes a name.
    pub(crate) fn enter(chromium: &mut Chromium, page: &str, name: &str) -> Self {
        Self::name(chromium.open_apart(page), name)
    }

    /// Takes a name in a tab that asks for one.
    pub(crate) fn name(mut tab: Tab, name: &str) -> Self {
        tab.wait_for("document.getElementById('naming')?.open");
        tab.fill("#name", name);
        tab.press_enter();
        tab.wait_for(READY);
        Self(tab)
    }

    /// Types a message and presses Enter.
    pub(crate) fn say(&mut self, text: &str) {
        self.fill("#text", text);
        self.press_enter();
    }

    /// Waits until somebody's message is shown, in the room that is shown.
    pub(crate) fn hear(&mut self, text: &str) {
        self.wait_for_text(".timeline:not([hidden]) .theirs .text", text);
    }

    /// Waits until one's own message has this delivery.
    pub(crate) fn wait_for_delivery(&mut self, text: &str, delivery: &str) {
        let (text, delivery) = (json!(text), json!(delivery));
        self.wait_for(&format!(
            "[...document.querySelectorAll('.own')].some((e) => \
             e.querySelector('.text').textContent === {text} && e.dataset.delivery === {delivery})"
        ));
    }

    /// Joins another room, or goes to it.
    pub(crate) fn join(&mut self, room: &str) {
        self.fill("#room", room);
        self.press_enter();
        self.wait_for(&format!("document.getElementById('title').textContent === {}", json!(room)));
        self.wait_for(READY);
    }

    /// Everything that is said in the room that is shown, from top to bottom.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.texts(".timeline:not([hidden]) .text")
    }

    /// The texts of all elements that match.
    pub(crate) fn texts(&mut self, selector: &str) -> Vec<String> {
        let all = self.eval(&format!(
            "[...document.querySelectorAll({})].map((e) => e.textContent)",
            json!(selector)
        ));
        let Value::Array(all) = all else { panic!("texts: {all}") };
        all.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
    }
}

impl Deref for Person {
    type Target = Tab;

    fn deref(&self) -> &Tab {
        &self.0
    }
}

impl DerefMut for Person {
    fn deref_mut(&mut self) -> &mut Tab {
        &mut self.0
    }
}

/// A program in a tab: the client's module, as `client`, with `connect(name, room)` and `say(room, bodies)`.
pub(crate) fn program(chromium: &mut Chromium, page: &str) -> Tab {
    let mut tab = chromium.open_apart(page);
    tab.wait_for("document.readyState === 'complete' && location.protocol === 'http:'");
    tab.eval(
        "import('/uproar.js').then((client) => {
            window.connect = async (name, room) => {
                const chat = new client.Uproar('/chat', { name });
                await chat.connect();
                return chat.join(room);
            };
            window.say = async (room, bodies) => {
                for (let at = 0; at < bodies.length; at += 100) {
                    await Promise.all(bodies.slice(at, at + 100).map((body) => room.send(body)));
                }
                return true;
            };
        })",
    );
    tab
}
