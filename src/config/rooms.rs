//! The rules for rooms under `[[chat.rooms]]`: the keys of one, and what must hold among them. What a rule means is in
//! `rooms::rules`.

use toml::Value;

use super::Config;
use super::problem::Problem;
use super::records::{self, Field, Record};
use super::setting::{Fault, Setting, words};
use super::table::Range;
use crate::rooms::rules::{Engine, PresenceMode, RoomRule};

/// Rules that are looked through for each room that comes up.
const RULES_MAX: usize = 1_000;

words! { Engine { Durable = "durable", Memory = "memory", } }

words! { PresenceMode { Members = "members", Count = "count", Off = "off", } }

/// What is known of one key of a rule.
pub type RoomKey = Field<RoomRule>;

/// Every key of a rule.
pub const ROOM_KEYS: &[RoomKey] = &[
    RoomKey {
        name: "pattern",
        doc: "The names of the rooms: \"*\" stands for any run of characters, everything else for itself.",
        range: None,
        expects: "a text that is not empty",
        get: |rule| Some(Value::String(rule.pattern.clone())),
        set: |rule, value| {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(|text| rule.pattern = text.to_owned()).is_some()
        },
        is_secret: false,
    },
    RoomKey {
        name: "engine",
        doc: "Where messages are kept. \"memory\" forgets them when the server stops.",
        range: None,
        expects: Engine::EXPECTS,
        get: |rule| Some(rule.engine.write()),
        set: |rule, value| Setting::read(value).map(|engine| rule.engine = engine).is_some(),
        is_secret: false,
    },
    RoomKey {
        name: "retention_secs",
        doc: "How long a message is kept. 0 for as long as the count allows.",
        // A hundred years.
        range: Some(Range { min: 0, max: 3_153_600_000, unit: "seconds" }),
        expects: u64::EXPECTS,
        get: |rule| Some(rule.retention_secs.unwrap_or(0).write()),
        set: |rule, value| bound(value).map(|bound| rule.retention_secs = bound).is_some(),
        is_secret: false,
    },
    RoomKey {
        name: "retention_messages",
        doc: "How many of a room's latest messages are kept. 0 for as many as the time allows.",
        range: Some(Range { min: 0, max: 1_000_000_000_000, unit: "messages" }),
        expects: u64::EXPECTS,
        get: |rule| Some(rule.retention_messages.unwrap_or(0).write()),
        set: |rule, value| bound(value).map(|bound| rule.retention_messages = bound).is_some(),
        is_secret: false,
    },
    RoomKey {
        name: "history",
        doc: "The latest messages that a join brings which does not say how many it wants; at most \
              chat.history_messages_max.",
        range: Some(Range { min: 0, max: 1_000, unit: "messages" }),
        expects: u32::EXPECTS,
        get: |rule| Some(rule.history.write()),
        set: |rule, value| Setting::read(value).map(|history| rule.history = history).is_some(),
        is_secret: false,
    },
    RoomKey {
        name: "presence",
        doc: "What members are told of each other: who comes and goes, how many there are, or nothing.",
        range: None,
        expects: PresenceMode::EXPECTS,
        get: |rule| Some(rule.presence.write()),
        set: |rule, value| Setting::read(value).map(|presence| rule.presence = presence).is_some(),
        is_secret: false,
    },
];

/// 0 is no bound.
fn bound(value: &Value) -> Option<Option<u64>> {
    u64::read(value).map(|bound| (bound > 0).then_some(bound))
}

impl RoomKey {
    /// The value where the rule does not have the key; `None` for the one that it must have.
    #[must_use]
    pub fn default(&self) -> Option<Value> {
        self.value(&RoomRule::default()).filter(|_| self.name != "pattern")
    }
}

impl Record for RoomRule {
    const FIELDS: &'static [RoomKey] = ROOM_KEYS;
    const MUST_HAVE: Option<&'static str> = Some("pattern");
    const MAX: usize = RULES_MAX;
}

impl Setting for Vec<RoomRule> {
    const EXPECTS: &'static str = "at most 1000 tables, each under [[chat.rooms]]";
    const VERBATIM: bool = false;

    fn read(value: &Value) -> Option<Self> {
        records::read(value)
    }

    fn write(&self) -> Value {
        records::write(self)
    }

    fn faults(value: &Value) -> Vec<Fault> {
        records::faults::<RoomRule>(value)
    }
}

/// What is wrong with the rules of a configuration, each by itself and among each other.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let rules = &config.chat.rooms;
    if rules.len() > RULES_MAX {
        let reason = format!("must be {}", Vec::<RoomRule>::EXPECTS);
        return vec![Problem::among(config, &["chat.rooms"], reason)];
    }
    let each = (0..rules.len()).flat_map(|at| {
        let by_itself = [out_of_range, matches_nothing, keeps_nothing, asks_too_much, is_covered];
        by_itself.into_iter().find_map(|problem| problem(config, at))
    });
    each.collect()
}

fn named(config: &Config, at: usize, name: &str) -> (String, Option<Value>) {
    let key = ROOM_KEYS.iter().find(|key| key.name == name);
    let value = key.and_then(|key| key.value(&config.chat.rooms[at]));
    (format!("chat.rooms[{at}].{name}"), value)
}

fn out_of_range(config: &Config, at: usize) -> Option<Problem> {
    let rule = &config.chat.rooms[at];
    let bad =
        ROOM_KEYS.iter().find(|key| key.value(rule).is_some_and(|value| !key.fits(&value)))?;
    let reason = format!("must be {}", bad.accepts());
    Some(Problem::of([named(config, at, bad.name)], reason))
}

fn matches_nothing(config: &Config, at: usize) -> Option<Problem> {
    let broken = config.chat.rooms[at].check_pattern().err()?;
    let reason = format!("no room can have such a name: {broken}");
    Some(Problem::of([named(config, at, "pattern")], reason))
}

/// In a file 0 means no bound; a program that writes it in place of `None` means something else.
fn keeps_nothing(config: &Config, at: usize) -> Option<Problem> {
    let rule = &config.chat.rooms[at];
    let bounds =
        [("retention_secs", rule.retention_secs), ("retention_messages", rule.retention_messages)];
    let (name, _) = bounds.into_iter().find(|(_, bound)| *bound == Some(0))?;
    let reason = "nothing would be kept; a rule without a bound has None here";
    Some(Problem::of([named(config, at, name)], reason))
}

fn asks_too_much(config: &Config, at: usize) -> Option<Problem> {
    let (history, most) = (config.chat.rooms[at].history, config.chat.history_messages_max);
    // The default is cut to what is allowed: nobody has asked for it.
    (history > most && history != RoomRule::default().history).then(|| {
        let most = ("chat.history_messages_max".to_owned(), Some(most.write()));
        let reason = "a join is never answered with more than the latter";
        Problem::of([named(config, at, "history"), most], reason)
    })
}

fn is_covered(config: &Config, at: usize) -> Option<Problem> {
    let rules = &config.chat.rooms;
    let before = rules[..at].iter().position(|earlier| earlier.covers(&rules[at]))?;
    let reason = "the first rule that matches holds, and the latter matches all these names before; the narrower \
                  pattern must come first";
    Some(Problem::of([named(config, at, "pattern"), named(config, before, "pattern")], reason))
}

/// Rules that let memory grow for as long as messages come.
pub(super) fn warnings(config: &Config) -> impl Iterator<Item = String> {
    let rules = config.chat.rooms.iter().enumerate();
    let unbounded = rules
        .filter(|(_, rule)| rule.engine == Engine::Memory && rule.retention_messages.is_none());
    unbounded.map(|(at, rule)| {
        format!(
            "chat.rooms[{at}], pattern = {:?}: messages are kept in memory and retention_messages does not bound how \
             many of them",
            rule.pattern
        )
    })
}
