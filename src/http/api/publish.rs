//! Saying something: to rooms of the chat and to a user, stored like whatever a session sends, and to rooms of the relay.

use std::collections::HashSet;

use getrandom::fill;
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    gate::auth::present,
    http::api::{
        Api, Chat,
        input::{self, object},
        problem::Problem,
    },
    log::{
        Refused,
        client::{Letter, Receipt},
        writer::system_time,
    },
    protocol::{
        LOBBY,
        chat::{ClientId, GUEST_PREFIX, Identity, check_body},
    },
    rooms::conversation::View,
};

/// Rooms that one request may name.
const ROOMS_MAX: usize = 100;

/// The header that names a request, so that it is done once however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request to publish: to rooms of the chat, or to rooms of the relay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish<'a> {
    #[serde(default, deserialize_with = "present")]
    rooms: Option<Vec<String>>,
    #[serde(borrow, default, deserialize_with = "present")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    relay: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    text: Option<String>,
}

/// A message to a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Direct<'a> {
    #[serde(borrow)]
    from: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
}

/// What is said, and by whom.
struct Said {
    author: Identity,
    client_id: ClientId,
    body: Box<str>,
}

impl Api {
    pub(super) async fn publish(&self, headers: &HeaderMap, text: &str) -> Result<Value, Problem> {
        let request: Publish<'_> = object(text)?;
        let Publish { rooms, from, body, client_id, relay, text } = request;
        match (rooms, from, relay, text) {
            (Some(rooms), Some(from), None, None) => {
                let chat = self.chat()?;
                let said = said(headers, chat, (from, body, client_id))?;
                check_rooms(&rooms)?;
                let views: Vec<_> = rooms.iter().map(|room| View::room(room)).collect();
                let receipts = chat.say(&views, &said).await?;
                results(&rooms, &receipts, &said)
            }
            (None, None, Some(rooms), Some(text)) if body.is_none() && client_id.is_none() => {
                check_rooms(&rooms)?;
                self.relay_text(&rooms, &text)
            }
            _ => Err(Problem::invalid(
                "there must be `rooms`, `from` and `body`, or `relay` and `text`, and not of both",
            )),
        }
    }

    pub(super) async fn direct(
        &self,
        user: &str,
        headers: &HeaderMap,
        text: &str,
    ) -> Result<Value, Problem> {
        let chat = self.chat()?;
        let Direct { from, body, client_id } = object(text)?;
        if user.starts_with(GUEST_PREFIX) {
            return Err(Problem::invalid("guests have no direct conversations"));
        }
        let said = said(headers, chat, (from, body, client_id))?;
        let view = View::direct(&said.author.user, user);
        let receipts = chat.say(&[view], &said).await?;
        match receipts.first() {
            Some(Ok(_)) => Ok(told(&receipts[0], &said)),
            Some(Err(refused)) => Err(problem(*refused)),
            None => Err(Problem::unavailable("the log does not answer")),
        }
    }

    /// Hands a text to the rooms of the relay. Taken by all of their shards, or not by the first that is busy and those
    /// behind it.
    fn relay_text(&self, rooms: &[String], text: &str) -> Result<Value, Problem> {
        let Some(relay) = &self.relay else {
            return Err(Problem::not_found("the relay is not served"));
        };
        if text.len() > self.message_bytes_max {
            return Err(Problem::too_large("`text` is longer than limits.message_bytes_max"));
        }
        for room in rooms {
            relay.rooms.publish(room, None, text)?;
            if room == LOBBY {
                relay.lobby.publish(room, None, text)?;
            }
        }
        let results: Vec<_> =
            rooms.iter().map(|room| json!({ "room": room, "stored": false })).collect();
        Ok(json!({ "results": results }))
    }
}

impl Chat {
    async fn say(&self, views: &[View], said: &Said) -> Result<Vec<Receipt>, Problem> {
        let letter = |view: &View| Letter {
            view: view.clone(),
            author: said.author.clone(),
            client_id: said.client_id,
            body: said.body.clone(),
        };
        Ok(self.log.store(views.iter().map(letter).collect()).await?)
    }
}

fn said(
    headers: &HeaderMap,
    chat: &Chat,
    (from, body, client_id): (&RawValue, Option<&RawValue>, Option<String>),
) -> Result<Said, Problem> {
    let author = input::author(from.get())?;
    let body = body.ok_or_else(|| Problem::invalid("`body` is missing"))?.get();
    if body.len() > chat.message_bytes_max {
        return Err(Problem::too_large("`body` is longer than limits.message_bytes_max"));
    }
    check_body(body).map_err(|error| Problem::invalid(error.text()))?;
    let client_id = client_id_of(headers, client_id.as_deref())?;
    Ok(Said { author, client_id, body: body.into() })
}

/// The key under which what is said is stored once: that of the header or of the body, else a new one.
fn client_id_of(headers: &HeaderMap, given: Option<&str>) -> Result<ClientId, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (header, second) = (keys.next(), keys.next());
    let id = |text: &str| {
        let problem = || Problem::invalid("`client_id` and Idempotency-Key must be a UUIDv7");
        ClientId::parse(text).ok_or_else(problem)
    };
    let header = header.map(|header| header.to_str().unwrap_or_default());
    let header = header.map(|header| id(header.trim_matches('"'))).transpose()?;
    let given = given.map(id).transpose()?;
    match (header, given) {
        _ if second.is_some() => Err(Problem::invalid("there are two Idempotency-Key fields")),
        (Some(header), Some(given)) if header != given => {
            Err(Problem::invalid("`client_id` and Idempotency-Key are not the same"))
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => new_client_id(),
    }
}

fn new_client_id() -> Result<ClientId, Problem> {
    let mut bytes = [0; 16];
    fill(&mut bytes).map_err(|_| Problem::unavailable("the system gives no random bytes"))?;
    bytes[..6].copy_from_slice(&system_time().to_be_bytes()[2..]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    Ok(ClientId::from_bytes(bytes))
}

fn check_rooms(rooms: &[String]) -> Result<(), Problem> {
    if rooms.is_empty() || rooms.len() > ROOMS_MAX {
        return Err(Problem::invalid("from 1 to 100 rooms are needed"));
    }
    rooms.iter().try_for_each(|room| input::room(room))?;
    let different: HashSet<_> = rooms.iter().collect();
    match different.len() == rooms.len() {
        true => Ok(()),
        false => Err(Problem::invalid("a room is there twice")),
    }
}

/// What became of each room; a problem unless all went well.
fn results(rooms: &[String], receipts: &[Receipt], said: &Said) -> Result<Value, Problem> {
    let one = |(room, receipt): (&String, &Receipt)| {
        let mut result = told(receipt, said);
        result["room"] = json!(room);
        result
    };
    let results = Value::Array(rooms.iter().zip(receipts).map(one).collect());
    // What the caller can mend is told ahead of what only time does.
    let refused = || receipts.iter().filter_map(|receipt| receipt.err());
    let worst = refused().find(|why| *why != Refused::Unavailable).or_else(|| refused().next());
    match worst {
        None => Ok(json!({ "results": results })),
        Some(refused) => Err(problem(refused).with_results(results)),
    }
}

fn told(receipt: &Receipt, said: &Said) -> Value {
    let client_id = said.client_id.to_string();
    match receipt {
        Ok(ack) => json!({
            "client_id": client_id, "seq": ack.seq, "time": ack.time, "stored": ack.stored,
        }),
        Err(refused) => json!({ "client_id": client_id, "error": code(*refused) }),
    }
}

fn problem(refused: Refused) -> Problem {
    let conflict = |detail| Problem::new(StatusCode::CONFLICT, code(refused), detail);
    match refused {
        Refused::Conflict => conflict("the same id was used before for something else"),
        Refused::Expired => conflict("the id is too old, or from the future"),
        Refused::Unavailable | Refused::Denied | Refused::Unanswered => {
            // Nobody is asked about what the application says itself.
            Problem::unavailable("the log cannot store anything now")
        }
    }
}

const fn code(refused: Refused) -> &'static str {
    match refused {
        Refused::Conflict => "id_conflict",
        Refused::Expired => "id_expired",
        Refused::Unavailable | Refused::Denied | Refused::Unanswered => "unavailable",
    }
}
