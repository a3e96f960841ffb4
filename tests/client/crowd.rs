//! Those who talk in one room while the world fails: programs in Node and a page in a browser, several chats each. What
//! they say and note is in `talk.mjs`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::node::Node;
use crate::browser::chromium::Chromium;
use crate::browser::tab::Tab;
use crate::support::wait_for;

/// Chats of each program and of the page.
const CHATS: usize = 2;

/// Messages that are acknowledged to each of them between two disturbances.
const A_WHILE: u64 = 100;

/// Everyone who talks.
pub(crate) struct Crowd {
    node: Node,
    tab: Tab,
    /// Dropped last: the tab is in it.
    _chromium: Chromium,
    /// Attempts to connect, by the last count at which everybody was connected.
    attempts: Vec<u64>,
}

impl Crowd {
    /// Connects everybody to the server at that address and has them talk.
    pub(crate) fn begin(address: &str) -> Self {
        let mut chromium = Chromium::start();
        let page = page(address);
        // A file of nowhere: the module is loaded from the server all the same.
        let url = chromium.save("talk.html", &page);
        let mut tab = chromium.open(&url);
        tab.wait_for("document.title === 'begun'");
        let node = Node::begin(&format!("ws://{address}/chat"), CHATS);
        let mut crowd = Self { node, tab, _chromium: chromium, attempts: Vec::new() };
        crowd.wait_for_all_to_be_back();
        crowd.ask("start");
        crowd
    }

    /// Until each has been told of some more messages that they are stored.
    pub(crate) fn talk_for_a_while(&mut self) {
        let acked = |all: &[Value]| all.iter().map(|one| number(one, "acked")).collect::<Vec<_>>();
        let before = acked(&self.ask("progress"));
        self.wait("messages are acknowledged", |all| {
            acked(all).iter().zip(&before).all(|(now, before)| now - before >= A_WHILE)
        });
    }

    /// Until everyone has noticed that there is no connection any more.
    pub(crate) fn wait_for_outage(&mut self) {
        let before = self.attempts.clone();
        self.wait("the outage is noticed", |all| {
            let chats = CHATS as u64;
            all.iter().zip(&before).all(|(one, before)| number(one, "outages") - before >= chats)
        });
    }

    /// Until everyone is connected again.
    pub(crate) fn wait_for_all_to_be_back(&mut self) {
        self.wait("everyone is back", |all| {
            all.iter().all(|one| number(one, "open") == CHATS as u64)
        });
        self.attempts = self.ask("progress").iter().map(|one| number(one, "outages")).collect();
    }

    /// Has everyone say no more, and holds what was heard against what was acknowledged.
    pub(crate) fn end(mut self) {
        self.ask("stop");
        self.wait("everything said is acknowledged", |all| {
            all.iter().all(|one| number(one, "waiting") == 0)
        });
        let total: u64 = self.ask("progress").iter().map(|one| number(one, "acked")).sum();
        self.wait("everything said is heard by everyone", |all| {
            let heard = |one: &Value| one["heard"].as_array().cloned().expect("a list");
            all.iter().flat_map(heard).all(|count| count.as_u64() >= Some(total))
        });
        check(&self.ask("report"));
    }

    /// Calls a method of everyone's talk.
    fn ask(&mut self, method: &str) -> Vec<Value> {
        vec![self.node.call(method), self.tab.eval(&format!("talk.{method}()"))]
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&[Value]) -> bool) {
        wait_for(what, || {
            let all = self.ask("progress");
            for one in &all {
                assert_eq!(one["faults"].as_array().map(Vec::len), Some(0), "{what}: {one}");
            }
            is_so(&all).then_some(())
        });
    }
}

/// Every chat heard the same: what was acknowledged and nothing else, each message once and in the order of the log.
fn check(reports: &[Value]) {
    let mut acked = BTreeMap::new();
    for line in reports.iter().flat_map(|report| strings(&report["acked"])) {
        let (seq, id) = split(&line);
        assert_eq!(acked.insert(seq, id.clone()), None, "two messages at {seq}, one is {id}");
    }
    let heard: Vec<Vec<String>> = reports
        .iter()
        .flat_map(|report| report["heard"].as_array().expect("a list of lists").iter().map(strings))
        .collect();
    assert_eq!(heard.len(), CHATS * reports.len());
    for one in &heard {
        assert_eq!(one, &heard[0], "everyone hears the same");
    }
    let messages: Vec<_> = heard[0].iter().map(|line| split(line)).collect();
    assert!(
        messages.is_sorted_by(|(one, _), (other, _)| one < other),
        "in the log's order, each seq once"
    );
    let ids: BTreeSet<_> = messages.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), messages.len(), "each message once");
    assert_eq!(
        messages.into_iter().collect::<BTreeMap<_, _>>(),
        acked,
        "what was acknowledged, and nothing else"
    );
}

/// The page that talks: a module of the server's, the rest its own.
fn page(address: &str) -> String {
    let talk = include_str!("talk.mjs");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>A talk</title>\n\
         <script type=\"module\">\n\
         import {{ Uproar }} from 'http://{address}/uproar.js';\n\
         {talk}\n\
         globalThis.talk = new Talk();\n\
         await talk.begin(Uproar, undefined, {CHATS});\n\
         document.title = 'begun';\n\
         </script>"
    )
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}

/// A line of `talk.mjs`: the seq and the client id.
fn split(line: &str) -> (u64, String) {
    let (seq, id) = line.split_once(' ').expect("two words");
    (seq.parse().expect("a number"), id.to_owned())
}
