//! Looking at rooms of the chat: which there are, what was said, who is there.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::oneshot, time};

use crate::{
    handle::Busy,
    http::api::{Api, input::Query, problem::Problem},
    hub::mailbox::Request,
    log::{Direction, Finding, Page},
    protocol::chat::SEQ_MAX,
    rooms::{conversation::View, rules::PresenceMode},
};

const ROOMS_MAX: u64 = 1_000;
const ROOMS: u64 = 100;
const MESSAGES: u64 = 50;

/// A shard that has not said who is in a room after this has other things to do.
const PATIENCE: Duration = Duration::from_secs(2);

impl Api {
    /// The rooms that somebody is in.
    pub(super) fn rooms(&self, mut query: Query) -> Result<String, Problem> {
        let chat = self.chat()?;
        let (prefix, after) = (query.text("prefix").unwrap_or_default(), query.text("after"));
        let limit = query.whole("limit", (1, ROOMS_MAX))?.unwrap_or(ROOMS);
        query.end()?;
        let directory = &self.hub.directory;
        let (rooms, more) = directory.list(chat.route, &prefix, after.as_deref(), limit as usize);
        let rooms: Vec<_> = rooms.iter().map(|room| json!({ "room": **room })).collect();
        Ok(json!({ "rooms": rooms, "more": more }).to_string())
    }

    /// A page of what was said, oldest first.
    pub(super) async fn history(&self, room: &str, mut query: Query) -> Result<String, Problem> {
        let chat = self.chat()?;
        let (before, after) =
            (query.whole("before", (0, SEQ_MAX))?, query.whole("after", (0, SEQ_MAX))?);
        let limit = query.whole("limit", (1, chat.history_messages_max))?;
        query.end()?;
        let direction = match (before, after) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("both `before` and `after` are there"));
            }
            (None, Some(after)) => Direction::After(after),
            (before, None) => Direction::Before(before.unwrap_or(SEQ_MAX + 1)),
        };
        let limit = limit.unwrap_or(MESSAGES.min(chat.history_messages_max)) as u32;
        let view = View::room(room);
        let query = crate::log::Query::History { view, direction, limit };
        match chat.log.read(query).await? {
            Ok(Finding::Page(page)) => history(room, &page),
            _ => Err(Problem::unavailable("the log cannot be read at the moment")),
        }
    }

    /// Who is there, as the room's own members are told.
    pub(super) async fn members(&self, room: &str) -> Result<String, Problem> {
        let chat = self.chat()?;
        if chat.rules.of(room).presence == PresenceMode::Off {
            let detail = "nobody is told who is in this room (chat.rooms, presence)";
            return Err(Problem::new(StatusCode::CONFLICT, "presence_off", detail));
        }
        let entry = self.hub.directory.find(chat.route, room);
        let shards = entry.iter().flat_map(|entry| entry.shards.iter());
        let mut is_known_of = false;
        for shard in shards {
            is_known_of = true;
            let (told, answer) = oneshot::channel();
            let request = Request::Members { route: chat.route, room: room.to_owned(), told };
            if !self.hub.ports[shard].request(request) {
                return Err(Busy.into());
            }
            // One shard that knows is enough: all know the same.
            if let Ok(Ok(Some(members))) = time::timeout(PATIENCE, answer).await {
                return Ok(members);
            }
        }
        if is_known_of && self.hub.directory.find(chat.route, room).is_some() {
            return Err(Problem::unavailable("who is in the room is not known yet"));
        }
        let nobody: [Value; 0] = [];
        let members =
            json!({ "type": "members", "room": room, "rev": 0, "count": 0, "users": nobody });
        Ok(members.to_string())
    }
}

fn history(room: &str, page: &Page) -> Result<String, Problem> {
    let unreadable = || Problem::unavailable("the log cannot be read at the moment");
    let mut start = 0;
    let mut messages = Vec::new();
    for (_, end) in &page.ends {
        let text = page.bytes.get(start..*end).and_then(|text| str::from_utf8(text).ok());
        let message = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        messages.push(message.ok_or_else(unreadable)?);
        start = *end;
    }
    #[derive(serde::Serialize)]
    struct History<'a> {
        room: &'a str,
        epoch: &'a str,
        seq: u64,
        messages: Vec<Box<RawValue>>,
        more: bool,
    }
    let history = History { room, epoch: &page.epoch, seq: page.seq, messages, more: page.more };
    serde_json::to_string(&history).map_err(|_| unreadable())
}
