//! The rooms: who is in them, what was said, and the faults.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Behaviour, Out};

pub(super) struct Rooms {
    behaviour: Behaviour,
    sessions: BTreeMap<u64, Session>,
    rooms: HashMap<String, Room>,
    /// The position of the last message in any room.
    seq: u64,
    last_session: u64,
}

struct Session {
    out: mpsc::Sender<Out>,
    user: String,
}

#[derive(Default)]
struct Room {
    /// In the order in which they came, each with the last position that it was told.
    members: Vec<(u64, u64)>,
    messages: Vec<Value>,
    /// The position of each key.
    keys: HashMap<(String, String), u64>,
    /// Sessions that have said something.
    speakers: BTreeSet<u64>,
    /// Messages that came, those that were forgotten too.
    said: u64,
    /// A message that one member gets behind the next one.
    held: Option<(u64, Value)>,
}

impl Rooms {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let (sessions, rooms) = (BTreeMap::new(), HashMap::new());
        Self { behaviour, sessions, rooms, seq: 0, last_session: 0 }
    }

    pub(super) fn session(&mut self, out: mpsc::Sender<Out>) -> u64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, Session { out, user: String::new() });
        self.tell(self.last_session, &json!({"type": "ping"}));
        self.last_session
    }

    pub(super) fn leave(&mut self, session: u64) {
        self.sessions.remove(&session);
        for room in self.rooms.values_mut() {
            room.members.retain(|(member, _)| *member != session);
        }
    }

    pub(super) fn close(&self, session: u64, code: u16) {
        if let Some(session) = self.sessions.get(&session) {
            let _ = session.out.try_send(Out::Close(code));
        }
    }

    fn tell(&self, session: u64, what: &Value) {
        if let Some(session) = self.sessions.get(&session) {
            // One that is gone shows when it is read.
            let _ = session.out.try_send(Out::Text(typed_first(what)));
        }
    }

    pub(super) fn take(&mut self, session: u64, request: &Value) {
        let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
        match request["type"].as_str().expect("a type") {
            "hello" => {
                let stranger = self.behaviour == Behaviour::ResumeStranger;
                let known = request["guest"].as_str().filter(|_| !stranger);
                let user = known.map_or(format!("guest-{session}"), str::to_owned);
                self.sessions.get_mut(&session).expect("it is there").user.clone_from(&user);
                let welcome = json!({"type": "welcome", "user": user, "guest": user});
                self.tell(session, &welcome);
            }
            "join" if self.behaviour == Behaviour::Closed => {
                self.tell(session, &json!({"type": "error", "code": "forbidden"}));
            }
            "join" => self.join(session, &text("room"), request),
            "send" => self.send(session, &text("room"), request),
            "pong" => {}
            other => panic!("{other} is not expected here"),
        }
    }

    fn join(&mut self, session: u64, name: &str, request: &Value) {
        let behaviour = self.behaviour;
        let room = self.rooms.entry(name.to_owned()).or_default();
        let position = |message: &Value| message["seq"].as_u64().expect("a position");
        let seq = room.messages.last().map_or(0, position);
        room.members.push((session, seq));
        let mut joined = json!({"type": "joined", "room": name, "epoch": "e", "seq": seq});
        let mut missed = Vec::new();
        if let Some(after) = request["after"]["seq"].as_u64() {
            assert_eq!(request["after"]["epoch"], "e");
            joined["messages"] = json!([]);
            let from = after + u64::from(behaviour != Behaviour::ResumeRepeats);
            let since = room.messages.iter().filter(|message| position(message) >= from);
            missed = since.cloned().collect();
            match behaviour {
                Behaviour::ResumeLoses if !missed.is_empty() => drop(missed.remove(0)),
                Behaviour::ResumeGap => {
                    joined["gap"] = json!({"from": after, "to": seq});
                    missed.clear();
                }
                Behaviour::ResumeAnew => {
                    joined["epoch"] = json!("another");
                    missed.clear();
                }
                _ => {}
            }
        } else {
            let wanted = request["history"].as_u64().expect("history") as usize;
            let from = room.messages.len().saturating_sub(wanted);
            joined["messages"] = room.messages[from..].into();
            joined["more"] = (from > 0).into();
        }
        self.tell(session, &joined);
        self.tell(session, &json!({"type": "presence", "room": name, "rev": 1, "event": "count"}));
        missed.iter().for_each(|message| self.tell(session, message));
    }

    fn send(&mut self, session: u64, name: &str, request: &Value) {
        let behaviour = self.behaviour;
        let user = self.sessions[&session].user.clone();
        let id = request["client_id"].as_str().expect("a key").to_owned();
        let room = self.rooms.get_mut(name).expect("it has joined");
        assert!(room.members.iter().any(|(member, _)| *member == session));
        let mut ack = json!({"type": "ack", "client_id": id, "time": 1, "stored": true});
        if let Some(seq) = room.keys.get(&(user.clone(), id.clone())) {
            ack["seq"] = (*seq).into();
            return self.tell(session, &ack);
        }
        room.said += 1;
        room.speakers.insert(session);
        let hit = [6, 16].contains(&room.said);
        if hit && behaviour == Behaviour::Refuse {
            let error = json!({"type": "error", "code": "unavailable", "client_id": id});
            return self.tell(session, &error);
        }
        let times = if hit && behaviour == Behaviour::StoreTwice { 2 } else { 1 };
        let mut sent = Vec::new();
        for _ in 0..times {
            // Holes are allowed.
            self.seq += 1 + room.said % 3;
            let prev = room.messages.last().map_or(json!(0), |message| message["seq"].clone());
            let message = json!({
                "type": "message", "seq": self.seq, "prev": prev, "room": name,
                "from": {"user": user, "name": "n"}, "client_id": id, "time": 1, "kind": "text",
                "body": request["body"],
            });
            if !hit || behaviour != Behaviour::Forget {
                room.messages.push(message.clone());
                room.keys.insert((user.clone(), id.clone()), self.seq);
                sent.extend(room.deliver(&message, behaviour, hit));
            }
            ack["seq"].is_null().then(|| ack["seq"] = self.seq.into());
        }
        if hit && behaviour == Behaviour::WrongAck {
            ack["seq"] = (self.seq + 1_000_000).into();
        }
        for (member, message) in &sent {
            self.tell(*member, message);
        }
        if !hit || behaviour != Behaviour::NoAck {
            self.tell(session, &ack);
        }
        if hit && behaviour == Behaviour::CloseMember {
            let Room { members, speakers, .. } = &self.rooms[name];
            let victim = members.iter().find(|(member, _)| !speakers.contains(member));
            self.close(victim.expect("somebody listens").0, 1013);
        }
    }
}

impl Room {
    /// Who gets what, when a message is to go to everyone.
    fn deliver(&mut self, message: &Value, behaviour: Behaviour, hit: bool) -> Vec<(u64, Value)> {
        let mut sent = Vec::new();
        let mut victim = hit.then_some(()).into_iter();
        let held = self.held.take();
        for (member, told) in &mut self.members {
            let mut message = message.clone();
            if behaviour == Behaviour::LoseQuietly {
                message["prev"] = (*told).into();
            }
            if !self.speakers.contains(member) && victim.next().is_some() {
                match behaviour {
                    Behaviour::Lose | Behaviour::LoseQuietly => continue,
                    Behaviour::Duplicate => sent.push((*member, message.clone())),
                    Behaviour::Reorder | Behaviour::Diverge => {
                        self.held = Some((*member, message));
                        continue;
                    }
                    Behaviour::Corrupt => {
                        let body = message["body"].as_str().expect("a text");
                        let (kept, last) = body.split_at(body.len() - 1);
                        let other = if last == "~" { "!" } else { "~" };
                        message["body"] = format!("{kept}{other}").into();
                    }
                    Behaviour::Inject => sent.push((*member, json!({"type": "advertisement"}))),
                    _ => {}
                }
            }
            *told = message["seq"].as_u64().expect("a position");
            match &held {
                Some((late, before)) if late == member && behaviour == Behaviour::Diverge => {
                    let (one, other) = exchanged(before, &message);
                    sent.extend([(*member, one), (*member, other)]);
                }
                Some((late, before)) if late == member => {
                    sent.extend([(*member, message), (*member, before.clone())]);
                }
                _ => sent.push((*member, message)),
            }
        }
        sent
    }
}

/// Two messages, each in the place of the other.
fn exchanged(one: &Value, other: &Value) -> (Value, Value) {
    let (mut first, mut second) = (other.clone(), one.clone());
    for field in ["seq", "prev"] {
        first[field] = one[field].clone();
        second[field] = other[field].clone();
    }
    (first, second)
}

/// The object with its type in front, as the protocol has it.
fn typed_first(what: &Value) -> String {
    let rest: BTreeMap<_, _> =
        what.as_object().expect("an object").iter().filter(|(name, _)| *name != "type").collect();
    let rest = serde_json::to_string(&rest).expect("JSON");
    match rest.as_str() {
        "{}" => json!({"type": what["type"]}).to_string(),
        rest => format!("{{\"type\":{},{}", what["type"], &rest[1..]),
    }
}
