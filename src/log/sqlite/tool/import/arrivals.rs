//! The messages and keys that an import brings: what is asked of each, and how it is stored.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::{Fault, Imported};
use crate::log::kind::Kind;
use crate::log::removal;
use crate::log::sqlite::tool::lines::{self, KeyLine, MessageLine};
use crate::log::sqlite::{batch, integer, number, statements};
use crate::log::{Millis, Seq};
use crate::protocol::chat::{self, ClientId, SEQ_MAX};
use crate::rooms::conversation::Conversation;
use crate::rooms::name as room_name;

/// Conversations whose state is in memory; when there are more, all are written and read again as they come up.
const OPEN_MAX: usize = 4096;

pub(super) struct Arrivals<'a> {
    pub(super) connection: &'a Connection,
    pub(super) messages: u64,
    pub(super) keys: u64,
    conversations: u64,
    relinked: u64,
    open: HashMap<Conversation, Place>,
    /// The rows of conversations up to this one were there before,
    row_before: i64,
    /// and these of them had no messages.
    refilled: HashSet<i64>,
    /// The position of the last message that came.
    arrived: Seq,
    /// Where the log will stand.
    last_seq: Seq,
    last_time: Millis,
}

/// A conversation's row.
#[derive(Clone, Copy, Default)]
struct Place {
    id: i64,
    last_seq: Seq,
    removed_to: Seq,
    messages: u64,
    oldest: Millis,
    last_time: Millis,
    was_empty: bool,
}

impl<'a> Arrivals<'a> {
    pub(super) fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        let (last_seq, last_time) = connection
            .query_row(statements::LOG, [], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
        let last_row: Option<i64> =
            connection.query_row(statements::LAST_CONVERSATION, [], |row| row.get(0))?;
        Ok(Self {
            connection,
            messages: 0,
            keys: 0,
            conversations: 0,
            relinked: 0,
            open: HashMap::new(),
            row_before: last_row.unwrap_or_default(),
            refilled: HashSet::new(),
            arrived: 0,
            last_seq,
            last_time,
        })
    }

    /// The log goes on behind this.
    pub(super) fn reached(&mut self, seq: Seq, time: Millis) {
        self.last_seq = self.last_seq.max(seq);
        self.last_time = self.last_time.max(time);
    }

    pub(super) fn message(&mut self, line: &MessageLine<'_>) -> Result<(), Fault> {
        let &MessageLine { seq, prev, time, .. } = line;
        in_bounds(seq, time)?;
        if seq <= self.arrived {
            return Err(format!("has position {seq}, which is not above {}", self.arrived).into());
        }
        if prev >= seq {
            return Err(format!("has the position before, {prev}, not below its own, {seq}").into());
        }
        let conversation = place(line.room.as_deref(), line.users.as_ref())?;
        let (kind, client_id) = (kind(line)?, author(&conversation, line)?);
        let body = body(line, kind)?;
        let before = self.place(&conversation)?;
        if time < before.last_time {
            return Err(format!("has a time before that of position {}", before.last_seq).into());
        }
        if before.was_empty {
            let key = params![client_id.to_bytes(), line.user, before.id];
            self.connection.prepare_cached(statements::REMOVE_KEPT_KEY)?.execute(key)?;
        }
        let is_first = before.messages == 0;
        let linked = if is_first { prev } else { before.last_seq };
        self.relinked += u64::from(linked != prev);
        self.add(line, &before, linked, client_id, (kind, body))?;
        let messages = before.messages + 1;
        let (removed_to, oldest) =
            if is_first { (prev, time) } else { (before.removed_to, before.oldest) };
        let after =
            Place { last_seq: seq, removed_to, messages, oldest, last_time: time, ..before };
        self.open.insert(conversation, after);
        self.arrived = seq;
        self.messages += 1;
        self.reached(seq, time);
        Ok(())
    }

    fn add(
        &self,
        line: &MessageLine<'_>,
        place: &Place,
        prev: Seq,
        client_id: ClientId,
        (kind, body): (Kind, &str),
    ) -> Result<(), Fault> {
        let added = self.connection.prepare_cached(statements::ADD_MESSAGE)?.execute(params![
            integer(line.seq),
            place.id,
            integer(prev),
            integer(line.time),
            client_id.to_bytes(),
            line.user,
            line.name,
            body,
            kind.number(),
        ]);
        match added {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let is_taken: Option<i64> = self
                    .connection
                    .query_row(statements::TIME_OF, [integer(line.seq)], |row| row.get(0))
                    .optional()?;
                let problem = match is_taken {
                    Some(_) => format!("has position {}, where the log has a message", line.seq),
                    None => format!("has the client_id {client_id} of an earlier message"),
                };
                Err(problem.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn key(&mut self, line: &KeyLine<'_>) -> Result<(), Fault> {
        let &KeyLine { seq, time, until, .. } = line;
        in_bounds(seq, time.max(until))?;
        let conversation = place(line.room.as_deref(), line.users.as_ref())?;
        let client_id = sender(&conversation, &line.user, &line.client_id)?;
        let Some(hash) = lines::from_hex(&line.body_sha256) else {
            return Err(Fault::from("has a body_sha256 that is not 64 hexadecimal digits"));
        };
        let id = self.place(&conversation)?.id;
        self.connection.prepare_cached(statements::ADD_KEY)?.execute(params![
            client_id.to_bytes(),
            line.user,
            id,
            integer(seq),
            integer(time),
            hash,
            integer(until),
        ])?;
        self.keys += 1;
        self.reached(seq, time);
        Ok(())
    }

    /// The conversation's row as the lines before have left it.
    fn place(&mut self, conversation: &Conversation) -> Result<Place, Fault> {
        if let Some(place) = self.open.get(conversation) {
            return Ok(*place);
        }
        if self.open.len() >= OPEN_MAX {
            self.write()?;
            self.open.clear();
        }
        let place = self.find(conversation)?;
        self.open.insert(conversation.clone(), place);
        Ok(place)
    }

    fn find(&mut self, conversation: &Conversation) -> Result<Place, Fault> {
        let found = self
            .connection
            .prepare_cached(statements::CONVERSATION)?
            .query_row([conversation.key().as_bytes()], |row| {
                let (id, last_seq, removed_to) = (row.get(0)?, number(row, 1)?, number(row, 2)?);
                let (messages, oldest) = (number(row, 4)?, number(row, 5)?);
                Ok(Place { id, last_seq, removed_to, messages, oldest, ..Place::default() })
            })
            .optional()?;
        let Some(place) = found else {
            // No position of the new epoch is older than the row.
            let id = batch::add_conversation(self.connection, conversation, 0)?;
            self.conversations += 1;
            return Ok(Place { id, ..Place::default() });
        };
        let was_before = place.id <= self.row_before;
        if was_before && !self.refilled.contains(&place.id) {
            if place.messages > 0 {
                let problem = format!(
                    "is of {}, which the log has already, with {} messages",
                    conversation.in_words(),
                    place.messages
                );
                return Err(problem.into());
            }
            self.refilled.insert(place.id);
        }
        if place.messages == 0 {
            return Ok(Place { id: place.id, was_empty: was_before, ..Place::default() });
        }
        let last_time = self
            .connection
            .query_row(statements::TIME_OF, [integer(place.last_seq)], |row| number(row, 0))
            .optional()?;
        Ok(Place { last_time: last_time.unwrap_or_default(), was_empty: was_before, ..place })
    }

    fn write(&self) -> rusqlite::Result<()> {
        let mut set = self.connection.prepare_cached(statements::SET_IMPORTED)?;
        for place in self.open.values().filter(|place| place.messages > 0) {
            let (last, removed_to) = (integer(place.last_seq), integer(place.removed_to));
            let (messages, oldest) = (integer(place.messages), integer(place.oldest));
            set.execute(params![place.id, last, removed_to, messages, oldest])?;
        }
        Ok(())
    }

    /// Writes where everything stands now.
    pub(super) fn finish(self) -> rusqlite::Result<Imported> {
        self.write()?;
        let log = params![integer(self.last_seq), integer(self.last_time)];
        self.connection.execute(statements::SET_LOG, log)?;
        Ok(Imported {
            messages: self.messages,
            keys: self.keys,
            conversations: self.conversations,
            relinked: self.relinked,
            last_seq: self.last_seq,
            ..Imported::default()
        })
    }
}

fn in_bounds(seq: Seq, time: Millis) -> Result<(), Fault> {
    if (1..=SEQ_MAX).contains(&seq) && time <= SEQ_MAX {
        Ok(())
    } else {
        Err(Fault::from("has a position or a time that is not from 1 (0 for times) to 2^53 - 1"))
    }
}

fn wrong(why: &str) -> Fault {
    Fault::Line(format!("is wrong: {why}"))
}

/// What a line is about, if it may have such a name.
fn place<T: AsRef<str>>(room: Option<&str>, users: Option<&[T; 2]>) -> Result<Conversation, Fault> {
    match (room, users) {
        (Some(room), None) => {
            let name = room_name::check(room.as_bytes()).map_err(|error| wrong(error.text()))?;
            Ok(Conversation::room(name))
        }
        (None, Some([one, other])) => {
            for user in [one, other] {
                chat::check_user_id(user.as_ref()).map_err(|error| wrong(error.text()))?;
            }
            Ok(Conversation::direct(one.as_ref(), other.as_ref()))
        }
        _ => Err(Fault::from("has not exactly one of room and users")),
    }
}

/// What a line's message is.
fn kind(line: &MessageLine<'_>) -> Result<Kind, Fault> {
    let Some(name) = line.event.as_deref() else { return Ok(Kind::Text) };
    let event = Kind::named(name).filter(|kind| kind.is_event());
    event.ok_or_else(|| format!("is of the unknown kind {name:?}").into())
}

/// The client id of a message, whose author must be one that it can have.
fn author(conversation: &Conversation, line: &MessageLine<'_>) -> Result<ClientId, Fault> {
    if line.event.is_none() {
        chat::check_name(&line.name).map_err(|error| wrong(error.text()))?;
        return sender(conversation, &line.user, &line.client_id);
    }
    if !line.user.is_empty() || !line.name.is_empty() {
        return Err(Fault::from("is an event and names a user"));
    }
    client_id(&line.client_id)
}

/// The client id of a message of that user, who must be one that can be in the conversation.
fn sender(conversation: &Conversation, user: &str, id: &str) -> Result<ClientId, Fault> {
    chat::check_user_id(user).map_err(|error| wrong(error.text()))?;
    if conversation.ends().is_some_and(|(one, other)| user != one && user != other) {
        return Err(format!("is by {user:?}, who is none of the two").into());
    }
    client_id(id)
}

fn client_id(id: &str) -> Result<ClientId, Fault> {
    ClientId::parse(id)
        .ok_or_else(|| format!("has the client_id {id:?}, which is no UUIDv7").into())
}

fn body<'a>(line: &'a MessageLine<'_>, kind: Kind) -> Result<&'a str, Fault> {
    let body = match (line.body, line.body_text.as_deref()) {
        (Some(body), None) => body.get(),
        (None, Some(text)) => {
            // What surrounds it would not be there in what is sent.
            let is_json = lines::body(text).is_some() && text.trim_ascii() == text;
            is_json.then_some(text).ok_or("has a body_text that is no JSON")?
        }
        _ => return Err(Fault::from("has not exactly one of body and body_text")),
    };
    chat::check_body(body).map_err(|error| wrong(error.text()))?;
    if kind.is_event() && !removal::is_body(kind, body, line.seq) {
        return Err(Fault::from("is an event and has not the body of one"));
    }
    Ok(body)
}
