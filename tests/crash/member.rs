//! Somebody who is in rooms, over however many connections: goes on where the last one ended, sends again what was not
//! acknowledged, and keeps everything for the audit.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::audit::{Message, Said, Stretch};
use crate::support::chat::client_id;
use crate::support::dice::Dice;
use crate::support::session::Session;

/// Messages that a publisher has on the way at most.
const WINDOW: usize = 8;

pub(crate) struct Member {
    name: String,
    publishes: bool,
    session: Option<Session>,
    user: String,
    guest: Value,
    places: Vec<Place>,
    /// Everything it ever said, and where each is by its id.
    said: Vec<Said>,
    numbers: HashMap<String, usize>,
    unanswered: usize,
}

/// A room, and how far the member has heard what is said in it.
struct Place {
    epoch: Option<Value>,
    stretch: Stretch,
    /// The session that there is now was let in.
    is_joined: bool,
}

impl Member {
    pub(crate) fn new(name: String, rooms: &[String], publishes: bool) -> Self {
        let place = |room: &String| {
            let stretch = Stretch::new(format!("{name} in {room}"), room.clone(), 0);
            Place { epoch: None, stretch, is_joined: false }
        };
        let places = rooms.iter().map(place).collect();
        let (user, guest, session) = (String::new(), Value::Null, None);
        let (said, numbers, unanswered) = (Vec::new(), HashMap::new(), 0);
        Self { name, publishes, session, user, guest, places, said, numbers, unanswered }
    }

    /// Comes, or comes back.
    pub(crate) fn connect(&mut self, address: SocketAddr) {
        let mut hello = json!({"type": "hello", "name": self.name});
        if !self.guest.is_null() {
            hello["guest"] = self.guest.clone();
        }
        let mut session = Session::connect(address);
        session.send(&hello);
        self.session = Some(session);
        self.places.iter_mut().for_each(|place| place.is_joined = false);
    }

    pub(crate) fn session(&self) -> &Session {
        self.session.as_ref().expect("it is connected")
    }

    /// Takes in what has come, and says more if there is more to be said. How many messages came.
    pub(crate) fn act(&mut self, dice: &mut Dice, goes_on: bool) -> usize {
        let messages = self.session.as_mut().expect("it is connected").read();
        let count = messages.len();
        for message in messages {
            self.take(&message);
        }
        if goes_on {
            self.speak(dice);
        }
        count
    }

    /// Says as much as it may have on the way, if it is one that speaks.
    pub(crate) fn speak(&mut self, dice: &mut Dice) {
        while self.publishes && self.is_ready() && self.unanswered < WINDOW {
            self.say(dice);
        }
    }

    fn take(&mut self, message: &Value) {
        match message["type"].as_str().expect("a type") {
            "welcome" => self.join(message),
            "joined" => self.joined(message),
            "message" => {
                let message = Message::of(message);
                self.place(&message.room).stretch.seen.push(message);
            }
            "ack" => {
                assert_eq!(message["stored"], true, "{message}");
                let number = self.numbers[message["client_id"].as_str().expect("an id")];
                let said = &mut self.said[number];
                self.unanswered -= usize::from(said.acks.is_empty());
                said.acks.push(message["seq"].as_u64().expect("a position"));
            }
            "presence" | "members" => {}
            _ => panic!("{}: {message}", self.name),
        }
    }

    fn join(&mut self, welcome: &Value) {
        self.guest = welcome["guest"].clone();
        let user = welcome["user"].as_str().expect("a user");
        assert!(self.user.is_empty() || self.user == user, "{} was {}", welcome, self.user);
        self.user = user.to_owned();
        for place in &self.places {
            let stretch = &place.stretch;
            let mut join = json!({"type": "join", "room": stretch.room, "history": 0});
            if let Some(epoch) = &place.epoch {
                join["after"] = json!({"epoch": epoch, "seq": stretch.reached()});
            }
            self.session.as_mut().expect("it is connected").send(&join);
        }
    }

    fn joined(&mut self, joined: &Value) {
        let place = self.place(joined["room"].as_str().expect("a room"));
        assert_eq!((&joined["messages"], joined.get("gap")), (&json!([]), None), "{joined}");
        match &place.epoch {
            None => {
                place.epoch = Some(joined["epoch"].clone());
                place.stretch.after = joined["seq"].as_u64().expect("a position");
            }
            Some(epoch) => assert_eq!(joined["epoch"], *epoch, "{joined}"),
        }
        place.is_joined = true;
        if self.is_ready() {
            let unanswered = self.said.iter().filter(|said| said.acks.is_empty());
            let again: Vec<_> = unanswered.map(request).collect();
            again.iter().for_each(|send| self.send(send));
        }
    }

    /// Says something new in one of its rooms, and at times something that it has said before.
    fn say(&mut self, dice: &mut Dice) {
        if dice.one_in(20) && !self.said.is_empty() {
            let again = self.said.len() - 1 - dice.below(self.said.len().min(50));
            let again = request(&self.said[again]);
            self.send(&again);
        }
        let room = &self.places[dice.below(self.places.len())].stretch.room;
        let words = "word ".repeat(dice.length() / 50);
        let body = json!([self.name, self.said.len(), words]).to_string();
        let (user, client_id) = (self.user.clone(), client_id());
        let said = Said { room: room.clone(), user, client_id, body, acks: Vec::new() };
        self.send(&request(&said));
        self.numbers.insert(said.client_id.clone(), self.said.len());
        self.said.push(said);
        self.unanswered += 1;
    }

    fn send(&mut self, message: &Value) {
        self.session.as_mut().expect("it is connected").send(message);
    }

    fn place(&mut self, room: &str) -> &mut Place {
        let mut places = self.places.iter_mut();
        places.find(|place| place.stretch.room == room).expect("a room that it is in")
    }

    /// Whether it is in all of its rooms.
    fn is_ready(&self) -> bool {
        self.places.iter().all(|place| place.is_joined)
    }

    /// Whether it was answered everything, and has heard everything of these rooms up to these positions.
    pub(crate) fn is_done(&self, last: impl Fn(&str) -> u64) -> bool {
        let has_heard =
            |place: &Place| place.is_joined && place.stretch.reached() >= last(&place.stretch.room);
        self.unanswered == 0 && self.places.iter().all(has_heard)
    }

    /// Whether it was answered everything.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_ready() && self.unanswered == 0
    }

    /// What it said, and what it was given.
    pub(crate) fn testify(self) -> (Vec<Said>, Vec<Stretch>) {
        (self.said, self.places.into_iter().map(|place| place.stretch).collect())
    }
}

fn request(said: &Said) -> Value {
    let body: Value = serde_json::from_str(&said.body).expect("JSON");
    json!({"type": "send", "room": said.room, "client_id": said.client_id, "body": body})
}
