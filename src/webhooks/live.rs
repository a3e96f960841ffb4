//! What happens and is not kept: from the shards through a queue with a bound to the application, best effort, in order
//! for each room and each user.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::event::{self, Event, Kinds, Text};
use super::names::Names;
use super::sender::{self, Sender};
use super::waiting::Waiting;
use crate::hub::directory::Watch;
use crate::log::removal::Removal;
use crate::log::writer::system_time;
use crate::log::{Message, Millis};
use crate::rooms::conversation::{Conversation, is_public, whose_online};
use crate::rooms::presence::Happening;
use crate::rooms::rules::{Engine, RoomRules};

/// Hears what happens, from any thread, and never waits.
#[derive(Debug)]
pub(crate) struct Tap {
    queue: mpsc::Sender<(Event, Millis)>,
    news: Arc<Notify>,
    kinds: Kinds,
    rules: Arc<RoomRules>,
    waiting: Arc<Waiting>,
}

impl Tap {
    pub(super) fn new(
        queue: mpsc::Sender<(Event, Millis)>,
        news: Arc<Notify>,
        kinds: Kinds,
        (rules, waiting): (Arc<RoomRules>, Arc<Waiting>),
    ) -> Self {
        Self { queue, news, kinds, rules, waiting }
    }

    /// Messages were stored. Those of a durable room are read from the log.
    pub(crate) fn stored(&self, conversation: &Conversation, messages: &[Message]) {
        if !self.kinds.message {
            return;
        }
        let rule = match conversation.ends() {
            None => self.rules.of(conversation.key()),
            Some(_) => self.rules.default_rule(),
        };
        if rule.engine == Engine::Durable {
            self.news.notify_one();
            return;
        }
        for message in messages {
            // Positions of different processes have nothing to do with each other.
            let epoch = format!("memory-{}", message.client_id).into();
            if let Some(text) = event::message(&epoch, conversation, message, false) {
                let place = (conversation.clone(), message.seq);
                self.waiting.add(place.clone(), message, text);
                if !self.tell(Event::Message(place.clone())) {
                    self.waiting.take(&place);
                }
            }
        }
    }

    /// Nobody is to see these any more. What is already in a batch stays there.
    pub(crate) fn removes(&self, removal: &Removal) {
        self.waiting.remove(removal);
    }

    /// Whether there is a place for it.
    fn tell(&self, event: Event) -> bool {
        let is_queued = self.queue.try_send((event, system_time())).is_ok();
        if !is_queued {
            sender::count("dropped", 1);
        }
        is_queued
    }
}

impl Watch for Tap {
    fn room(&self, route: usize, (id, name): (u64, &Arc<str>), is_occupied: bool) {
        if let Some(user) = whose_online(name) {
            self.tell(Event::User { user: user.into(), is_online: is_occupied });
        // For members the names of rooms have to be known.
        } else if is_public(name) && (self.kinds.room || self.kinds.member) {
            let room = Arc::clone(name);
            self.tell(Event::Room { protocol: route, room, id, is_occupied });
        }
    }

    fn wants_users(&self) -> bool {
        self.kinds.user
    }

    fn member(&self, room: u64, what: &Happening) {
        if !self.kinds.member {
            return;
        }
        let (user, name, has_joined) = match what {
            Happening::Join { user, name } => (user, name, true),
            Happening::Leave { user, name } => (user, name, false),
            Happening::Count => return,
        };
        let (user, name) = (Arc::clone(user), Arc::clone(name));
        self.tell(Event::Member { room, user, name, has_joined });
    }
}

/// The other end of the queue.
pub(super) struct Live {
    events: mpsc::Receiver<(Event, Millis)>,
    sender: Arc<Sender>,
    batch_events_max: usize,
    /// Of the routes, by their number.
    protocols: Vec<String>,
    /// Whether rooms are told of, or only their names wanted.
    tells_rooms: bool,
    names: Names,
    waiting: Arc<Waiting>,
}

impl Live {
    pub(super) fn new(
        (events, waiting): (mpsc::Receiver<(Event, Millis)>, Arc<Waiting>),
        (sender, batch_events_max): (Arc<Sender>, usize),
        (protocols, tells_rooms): (Vec<String>, bool),
    ) -> Self {
        let names = Names::default();
        Self { events, sender, batch_events_max, protocols, tells_rooms, names, waiting }
    }

    /// For as long as the server runs.
    pub(super) async fn run(mut self) {
        let mut events = Vec::new();
        while self.events.recv_many(&mut events, self.batch_events_max).await > 0 {
            let batch: Vec<Text> =
                events.drain(..).filter_map(|(event, time)| self.write(event, time)).collect();
            if !batch.is_empty() {
                self.sender.deliver(&batch).await;
            }
        }
    }

    fn write(&mut self, event: Event, time: Millis) -> Option<Text> {
        match event {
            Event::Message(place) => self.waiting.take(&place),
            Event::User { user, is_online } => Some(event::user(&user, is_online, time)),
            Event::Room { protocol, room, id, is_occupied } => {
                self.names.hear(id, &room, is_occupied);
                let protocol = self.protocols.get(protocol).map_or("", String::as_str);
                self.tells_rooms.then(|| event::room(protocol, &room, is_occupied, time))
            }
            Event::Member { room, user, name, has_joined } => {
                let Some(room) = self.names.of(room) else {
                    // What said its name did not fit into the queue.
                    sender::count("dropped", 1);
                    return None;
                };
                Some(event::member(room, (&user, &name), has_joined, time))
            }
        }
    }
}
