//! One order: whoever is in a room sees the same messages in the same sequence, whatever shard it is on, and for as
//! long as it is in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::audit::{self, Evidence, Message, Said, Stretch};
use crate::support::chat::{ChatClient, client_id};
use crate::support::dice::Dice;
use crate::support::server::Server;
use crate::support::session::{self, Session};

const SESSIONS: usize = 500;
const ROOMS: usize = 50;
const ROOMS_PER_SESSION: usize = 3;
const MESSAGES_PER_SESSION: usize = 8;

#[test]
fn every_session_of_a_room_sees_the_same_sequence_while_it_is_in_it() {
    let server = Server::start(&["--shards", "4"]);
    let mut talkers: Vec<_> =
        (0..SESSIONS).map(|number| Talker::new(number, Session::connect(server.address))).collect();
    let until = |talkers: &mut Vec<Talker>, is_done: &dyn Fn(&Talker) -> bool| {
        let started = Instant::now();
        while !talkers.iter().all(is_done) && started.elapsed() < PATIENCE {
            session::wait(talkers.iter().map(|t| &t.session), Duration::from_millis(5));
            talkers.iter_mut().for_each(Talker::act);
        }
    };
    until(&mut talkers, &Talker::is_done);
    assert!(talkers.iter().all(Talker::is_done), "everybody is answered everything");
    let mut auditor = ChatClient::connect(server.address, "auditor");
    let log: BTreeMap<_, _> =
        (0..ROOMS).map(name_of).map(|room| (room.clone(), auditor.whole_log(&room))).collect();
    // Who is not given everything is left to the audit.
    let last = |room: &str| log[room].last().map_or(0, |message| message.seq);
    until(&mut talkers, &|talker: &Talker| {
        talker.stretches().all(|stretch| stretch.reached() >= last(&stretch.room))
    });
    let mut evidence = Evidence { log, ..Evidence::default() };
    for talker in talkers {
        evidence.stretches.extend(talker.ended);
        evidence.stretches.extend(talker.places.into_iter().filter_map(|place| place.stretch));
        evidence.said.extend(talker.said);
    }
    audit::hold(&evidence);
    assert_eq!(evidence.said.len(), SESSIONS * MESSAGES_PER_SESSION);
    let partial = evidence.stretches.iter().filter(|stretch| !stretch.is_to_the_end);
    assert!(partial.filter(|stretch| stretch.seen.len() > 1).count() > SESSIONS / 4, "some left");
}

fn name_of(room: usize) -> String {
    format!("room {room}")
}

/// One session that speaks in its rooms, one message after the other, and leaves a room for another now and then.
struct Talker {
    session: Session,
    number: usize,
    user: String,
    dice: Dice,
    /// Where it is, or will be once it is let in.
    places: Vec<Place>,
    /// What it was given where it is no longer.
    ended: Vec<Stretch>,
    said: Vec<Said>,
    /// Answers that it waits for.
    awaited: usize,
}

struct Place {
    room: String,
    stretch: Option<Stretch>,
}

impl Talker {
    fn new(number: usize, mut session: Session) -> Self {
        session.send(&json!({"type": "hello", "name": format!("talker {number}")}));
        let (user, dice) = (String::new(), Dice::new(number as u64));
        let (places, ended, said) = (Vec::new(), Vec::new(), Vec::new());
        Self { session, number, user, dice, places, ended, said, awaited: 1 }
    }

    fn act(&mut self) {
        for message in self.session.read() {
            self.take(&message);
        }
        assert!(!self.session.is_lost(), "the server stays");
    }

    fn take(&mut self, message: &Value) {
        let answers = ["welcome", "joined", "left", "ack"];
        let kind = message["type"].as_str().expect("a type");
        self.awaited -= usize::from(answers.contains(&kind));
        match kind {
            "welcome" => {
                self.user = message["user"].as_str().expect("a user").to_owned();
                (0..ROOMS_PER_SESSION).for_each(|_| self.join());
            }
            "joined" => {
                assert_eq!(message["messages"], json!([]));
                let (number, after) = (self.number, message["seq"].as_u64().expect("a position"));
                let place = self.place(message);
                let who = format!("talker {number} in {}", place.room);
                place.stretch = Some(Stretch::new(who, place.room.clone(), after));
            }
            "message" => {
                let stretch = self.place(message).stretch.as_mut();
                let stretch = stretch.unwrap_or_else(|| panic!("before it is let in: {message}"));
                stretch.seen.push(Message::of(message));
            }
            "ack" => {
                let said = self.said.last_mut().expect("something was said");
                said.acks.push(message["seq"].as_u64().expect("a position"));
                if self.dice.one_in(2) {
                    self.leave();
                }
            }
            "left" => {
                let gone = self.place(message).room.clone();
                let at = self.places.iter().position(|place| place.room == gone);
                let place = self.places.swap_remove(at.expect("it is there"));
                self.ended.extend(place.stretch.map(|s| Stretch { is_to_the_end: false, ..s }));
                self.join();
            }
            "presence" | "members" => {}
            _ => panic!("{message}"),
        }
        if self.awaited == 0 && self.said.len() < MESSAGES_PER_SESSION {
            self.say();
        }
    }

    /// The place that a message names.
    fn place(&mut self, message: &Value) -> &mut Place {
        let place = self.places.iter_mut().find(|place| message["room"] == *place.room);
        place.unwrap_or_else(|| panic!("of a room that it is not in: {message}"))
    }

    /// Joins a room that it is not in.
    fn join(&mut self) {
        let room = loop {
            let room = name_of(self.dice.below(ROOMS));
            if self.places.iter().all(|place| place.room != room) {
                break room;
            }
        };
        self.ask(&json!({"type": "join", "room": room, "history": 0}));
        self.places.push(Place { room, stretch: None });
    }

    fn leave(&mut self) {
        let room = &self.places[self.dice.below(self.places.len())].room;
        let leave = json!({"type": "leave", "room": room});
        self.ask(&leave);
    }

    fn say(&mut self) {
        let room = self.places[self.dice.below(self.places.len())].room.clone();
        let body = json!([self.number, self.said.len()]);
        let id = client_id();
        self.ask(&json!({"type": "send", "room": room, "client_id": id, "body": body}));
        let (user, body) = (self.user.clone(), body.to_string());
        self.said.push(Said { room, user, client_id: id, body, acks: Vec::new() });
    }

    fn ask(&mut self, request: &Value) {
        self.session.send(request);
        self.awaited += 1;
    }

    fn is_done(&self) -> bool {
        self.awaited == 0
    }

    /// What it is given where it is now.
    fn stretches(&self) -> impl Iterator<Item = &Stretch> {
        self.places.iter().filter_map(|place| place.stretch.as_ref())
    }
}
