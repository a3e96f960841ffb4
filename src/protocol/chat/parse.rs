//! From the text of a frame to a [`Request`], or to what is wrong with it.

use std::borrow::Cow;

use super::fields::{Field, Fields};
use super::rejection::{Fault, Rejection};
use super::request::{Address, Incoming, Position, Request, SEQ_MAX};
use super::{Code, body, name, user_id};
use crate::log::{Direction, Seq};
use crate::rooms::name::{self as room_name, RoomNameError};

/// The most messages that one page of history has.
pub(crate) const HISTORY_MESSAGES_MAX: u32 = 100;

/// The most direct conversations that one list names.
pub(crate) const CONVERSATIONS_MAX: u32 = 100;

/// The longest body of a signal, in bytes as it came: signals are for what changes by the second, and nobody pays for
/// them.
pub(crate) const SIGNAL_BYTES_MAX: usize = 1024;

/// How much history a page has where the client does not say.
const HISTORY_MESSAGES: u32 = 50;

/// The longest epoch that a client can mean, in characters: longer than any that a log has.
const EPOCH_CHARACTERS_MAX: usize = 64;

/// Reads a message of a client. Everything that can be checked without knowing the session is.
///
/// # Errors
/// The first rule that it breaks, with its `ref` and its `client_id` wherever these are good.
pub(crate) fn parse(text: &str) -> Result<Incoming<'_>, Rejection> {
    let (fields, syntax) = Fields::read(text);
    let reference = fields.reference();
    let known = reference.as_ref().ok().copied().flatten();
    match syntax.and(reference).and_then(|_| request(&fields)) {
        Ok(request) => Ok(Incoming { reference: known, request }),
        Err(Fault { code, message }) => Err(Rejection {
            code,
            message,
            reference: known.map(Box::from),
            client_id: fields.client_id().ok().flatten(),
        }),
    }
}

fn request<'a>(fields: &Fields<'a>) -> Result<Request<'a>, Fault> {
    let kind = fields.text(Field::Type)?.ok_or_else(|| missing(Field::Type))?;
    Ok(match &*kind {
        "send" => Request::Send {
            address: address(fields)?,
            client_id: fields.client_id()?.ok_or_else(|| missing(Field::ClientId))?,
            body: body(fields)?,
        },
        "signal" => Request::Signal { address: address(fields)?, body: signal_body(fields)? },
        "pong" => Request::Pong,
        "ping" => Request::Ping,
        "join" => Request::Join {
            address: address(fields)?,
            after: position(fields)?,
            history: fields.whole(Field::History, &(0..=HISTORY_MESSAGES_MAX))?,
        },
        "leave" => Request::Leave { address: address(fields)? },
        "history" => Request::History {
            address: address(fields)?,
            direction: direction(fields)?,
            limit: limit(fields, HISTORY_MESSAGES_MAX)?.unwrap_or(HISTORY_MESSAGES),
        },
        "members" => Request::Members { room: room(fields)? },
        "rooms" => Request::Rooms {
            after: fields.text(Field::After)?.map(user).transpose()?,
            limit: limit(fields, CONVERSATIONS_MAX)?.unwrap_or(CONVERSATIONS_MAX),
        },
        "hello" => Request::Hello {
            guest: fields.text(Field::Guest)?,
            name: fields.text(Field::Name)?.map(display_name).transpose()?,
            token: fields.text(Field::Token)?,
        },
        "refresh" => Request::Refresh {
            token: fields.text(Field::Token)?.ok_or_else(|| missing(Field::Token))?,
        },
        _ => return Err(Fault::new(Code::UnknownType, Code::UnknownType.meaning())),
    })
}

fn missing(field: Field) -> Fault {
    Fault::shape(format!("`{}` is missing", field.name()))
}

/// The conversation that the message is about.
fn address<'a>(fields: &Fields<'a>) -> Result<Address<'a>, Fault> {
    match (fields.text(Field::Room)?, fields.text(Field::With)?) {
        (Some(room), None) => checked_room(room).map(Address::Room),
        (None, Some(with)) => user(with).map(Address::With),
        (None, None) => Err(Fault::shape("`room` or `with` is missing")),
        (Some(_), Some(_)) => Err(Fault::shape("both `room` and `with` are there")),
    }
}

/// The room that the message is about, where it cannot be about a direct conversation.
fn room<'a>(fields: &Fields<'a>) -> Result<Cow<'a, str>, Fault> {
    match address(fields)? {
        Address::Room(room) => Ok(room),
        Address::With(_) => Err(Fault::shape("only a room has members: `room` is missing")),
    }
}

fn checked_room(room: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    match room_name::check(room.as_bytes()) {
        Ok(_) => Ok(room),
        Err(RoomNameError::TooLong) => {
            Err(Fault::new(Code::TooLong, RoomNameError::TooLong.text()))
        }
        Err(error) => Err(Fault::new(Code::BadRoom, error.text())),
    }
}

fn user(id: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    match user_id::check(&id) {
        Ok(()) => Ok(id),
        Err(error) => Err(Fault::new(error.code(), error.text())),
    }
}

fn display_name(name: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    match name::check(&name) {
        Ok(()) => Ok(name),
        Err(error) => Err(Fault::new(error.code(), error.text())),
    }
}

fn body<'a>(fields: &Fields<'a>) -> Result<&'a str, Fault> {
    let text = fields.raw(Field::Body).ok_or_else(|| missing(Field::Body))?;
    body::check(text).map_err(|error| Fault::shape(error.text()))?;
    Ok(text)
}

fn signal_body<'a>(fields: &Fields<'a>) -> Result<&'a str, Fault> {
    if fields.raw(Field::Body).is_some_and(|body| body.len() > SIGNAL_BYTES_MAX) {
        return Err(Fault::new(Code::TooLong, "the body of a signal is longer than 1024 bytes"));
    }
    body(fields)
}

/// The `after` of a join.
fn position<'a>(fields: &Fields<'a>) -> Result<Option<Position<'a>>, Fault> {
    let Some(after) = fields.get(Field::After) else { return Ok(None) };
    // A struct is also read from an array of its fields.
    let position = Some(after).filter(|after| after.starts_with('{'));
    let position = position.and_then(|after| serde_json::from_str::<Position<'a>>(after).ok());
    let position = position.ok_or_else(|| {
        Fault::shape("`after` must be an object of `epoch`, a string, and `seq`, an integer")
    })?;
    if position.epoch.chars().count() > EPOCH_CHARACTERS_MAX {
        return Err(Fault::new(Code::TooLong, "`after.epoch` is longer than 64 characters"));
    }
    if position.seq > SEQ_MAX {
        return Err(Fault::shape("`after.seq` must be below 2^53"));
    }
    Ok(Some(position))
}

fn limit(fields: &Fields<'_>, max: u32) -> Result<Option<u32>, Fault> {
    fields.whole(Field::Limit, &(1..=max))
}

fn seq(fields: &Fields<'_>, field: Field) -> Result<Option<Seq>, Fault> {
    fields.whole(field, &(0..=SEQ_MAX))
}

/// From where a page of history goes which way.
fn direction(fields: &Fields<'_>) -> Result<Option<Direction>, Fault> {
    match (seq(fields, Field::Before)?, seq(fields, Field::After)?) {
        (None, None) => Ok(None),
        (Some(before), None) => Ok(Some(Direction::Before(before))),
        (None, Some(after)) => Ok(Some(Direction::After(after))),
        (Some(_), Some(_)) => Err(Fault::shape("both `before` and `after` are there")),
    }
}

#[cfg(test)]
mod tests;
