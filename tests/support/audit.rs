//! Whether a chat kept its promises, judged from what was said, what everyone was given of it, and the log at the end.
//! Nothing here asks a server; `tests/audit.rs` plants every fault there is and sees it found.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

/// A message as somebody was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub room: String,
    pub seq: u64,
    pub prev: u64,
    pub user: String,
    pub client_id: String,
    pub body: String,
}

impl Message {
    /// One that the server sent, by itself or in a list.
    pub fn of(message: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let position = |value: &Value| value.as_u64().expect("a position");
        Self {
            room: text(&message["room"]),
            seq: position(&message["seq"]),
            prev: position(&message["prev"]),
            user: text(&message["from"]["user"]),
            client_id: text(&message["client_id"]),
            body: message["body"].to_string(),
        }
    }
}

/// What somebody sent, once or several times, and the positions that it was acknowledged with.
#[derive(Clone, Debug)]
pub struct Said {
    pub room: String,
    pub user: String,
    pub client_id: String,
    pub body: String,
    pub acks: Vec<u64>,
}

/// What somebody was given of a room without a break, over however many connections.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub who: String,
    pub room: String,
    /// The position that it begins behind.
    pub after: u64,
    pub seen: Vec<Message>,
    /// It goes on to the end of the log; else it ends with the last that was seen.
    pub is_to_the_end: bool,
}

impl Stretch {
    /// One that begins behind a position, and goes on until it is said to have ended.
    pub fn new(who: String, room: String, after: u64) -> Self {
        Self { who, room, after, seen: Vec::new(), is_to_the_end: true }
    }

    /// The position that has been reached.
    pub fn reached(&self) -> u64 {
        self.seen.last().map_or(self.after, |message| message.seq)
    }
}

/// Everything there is to judge by.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub said: Vec<Said>,
    /// By room, the whole of it, in the order in which the log gave it.
    pub log: BTreeMap<String, Vec<Message>>,
    pub stretches: Vec<Stretch>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was acknowledged, and the log does not have it.
    AckedNotStored { client_id: String, ack: u64 },
    /// The log has it in another room, at another position or with another body than was said and acknowledged.
    AckedOtherwise { ack: u64, stored: Message },
    /// The log has what nobody said.
    NeverSaid { stored: Message },
    /// The same user's same message came again, at whatever position.
    Repeated { who: String, message: Message },
    /// A position that is not above the one before it.
    NotRising { who: String, before: u64, message: Message },
    /// Another predecessor than the message before it.
    BrokenChain { who: String, before: u64, message: Message },
    /// It was given to somebody, and the log has not that, there.
    ShownNotStored { who: String, message: Message },
    /// The log has it, and somebody was not given it who should have been.
    Missed { who: String, message: Message },
}

/// Every broken promise; none if all were kept.
pub fn audit(evidence: &Evidence) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (room, messages) in &evidence.log {
        sequence(&format!("the log of {room}"), 0, messages, &mut faults);
    }
    answers(evidence, &mut faults);
    let stored: HashMap<_, _> = evidence.log.values().flatten().map(|m| (m.seq, m)).collect();
    for stretch in &evidence.stretches {
        sequence(&stretch.who, stretch.after, &stretch.seen, &mut faults);
        for message in &stretch.seen {
            if stored.get(&message.seq) != Some(&message) {
                let (who, message) = (stretch.who.clone(), message.clone());
                faults.push(Fault::ShownNotStored { who, message });
            }
        }
        missed(stretch, evidence, &mut faults);
    }
    faults
}

/// What was said against what is stored.
fn answers(evidence: &Evidence, faults: &mut Vec<Fault>) {
    let mut stored: HashMap<_, Vec<&Message>> = HashMap::new();
    for message in evidence.log.values().flatten() {
        stored.entry((&message.user, &message.client_id)).or_default().push(message);
    }
    for said in &evidence.said {
        let found = stored.remove(&(&said.user, &said.client_id)).unwrap_or_default();
        for &ack in &said.acks {
            if found.is_empty() {
                faults.push(Fault::AckedNotStored { client_id: said.client_id.clone(), ack });
            }
            let same = |m: &&Message| (m.seq, &m.room, &m.body) == (ack, &said.room, &said.body);
            if let Some(stored) = found.first().filter(|_| !found.iter().any(same)) {
                faults.push(Fault::AckedOtherwise { ack, stored: (*stored).clone() });
            }
        }
    }
    for stored in stored.into_values().flatten() {
        faults.push(Fault::NeverSaid { stored: stored.clone() });
    }
}

/// What holds of any sequence of a room's messages by itself.
fn sequence(who: &str, after: u64, messages: &[Message], faults: &mut Vec<Fault>) {
    let (mut before, mut keys) = (after, HashSet::new());
    for message in messages {
        let at_fault = || (who.to_owned(), message.clone());
        if !keys.insert((&message.user, &message.client_id)) {
            let (who, message) = at_fault();
            faults.push(Fault::Repeated { who, message });
        } else if message.seq <= before {
            let (who, message) = at_fault();
            faults.push(Fault::NotRising { who, before, message });
        } else if message.prev != before {
            let (who, message) = at_fault();
            faults.push(Fault::BrokenChain { who, before, message });
        }
        before = message.seq;
    }
}

/// What a stretch lacks of the log.
fn missed(stretch: &Stretch, evidence: &Evidence, faults: &mut Vec<Fault>) {
    let Some(log) = evidence.log.get(&stretch.room) else { return };
    let seen: HashSet<_> = stretch.seen.iter().map(|message| message.seq).collect();
    let end = if stretch.is_to_the_end { u64::MAX } else { stretch.reached() };
    for message in log {
        if message.seq > stretch.after && message.seq <= end && !seen.contains(&message.seq) {
            let (who, message) = (stretch.who.clone(), message.clone());
            faults.push(Fault::Missed { who, message });
        }
    }
}

/// Fails with the first faults of each kind, if there are any.
#[track_caller]
pub fn hold(evidence: &Evidence) {
    const SHOWN_MAX: usize = 2;
    let faults = audit(evidence);
    let mut kinds: HashMap<_, Vec<_>> = HashMap::new();
    for fault in &faults {
        kinds.entry(std::mem::discriminant(fault)).or_default().push(fault);
    }
    let first = kinds
        .values()
        .map(|kind| format!("{} times: {:#?}", kind.len(), &kind[..kind.len().min(SHOWN_MAX)]));
    let first: Vec<_> = first.collect();
    assert!(faults.is_empty(), "{} promises broken\n{}", faults.len(), first.join("\n"));
}
