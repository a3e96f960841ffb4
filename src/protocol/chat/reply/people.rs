//! Who is in a room.

use super::super::json::{Object, objects};

/// Who is in a room at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roster<'a> {
    /// That moment: the last change that is in it.
    pub(crate) rev: u64,
    /// How many users there are.
    pub(crate) count: u64,
    /// Who they are, as [`write_users`] writes it; `None` where the room only counts them.
    pub(crate) users: Option<&'a str>,
}

impl Roster<'_> {
    pub(super) fn fields<'o>(&self, object: Object<'o>) -> Object<'o> {
        let object = object.field("rev", self.rev).field("count", self.count);
        match self.users {
            None => object,
            Some(users) => object.raw("users", users),
        }
    }
}

/// Writes a list of users, given by id and name: once for all who are to see it.
pub(crate) fn write_users<'u>(
    out: &mut Vec<u8>,
    users: impl IntoIterator<Item = (&'u str, &'u str)>,
) {
    objects(out, users, |object, (user, name)| object.user(user, name).end());
}

/// The answer to `members`; also unasked, in place of changes that were not sent.
pub(crate) struct Members<'a> {
    pub(crate) room: &'a str,
    pub(crate) roster: Roster<'a>,
    pub(crate) reference: Option<&'a str>,
}

impl Members<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let object = Object::message(out, "members").field("room", self.room);
        self.roster.fields(object).reference(self.reference).end();
    }
}

/// A change of who is in a room.
pub(crate) struct Presence<'a> {
    pub(crate) room: &'a str,
    /// The changes of a room are counted, from one to the next.
    pub(crate) rev: u64,
    pub(crate) change: Change<'a>,
    /// How many users there are now.
    pub(crate) count: u64,
}

/// What changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// A user who was not there before, or is now called otherwise.
    Join { user: &'a str, name: &'a str },
    /// A user who is there no more.
    Leave { user: &'a str, name: &'a str },
    /// The number alone.
    Count,
}

impl Presence<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let object =
            Object::message(out, "presence").field("room", self.room).field("rev", self.rev);
        let object = match self.change {
            Change::Join { user, name } => object.field("event", "join").user(user, name),
            Change::Leave { user, name } => object.field("event", "leave").user(user, name),
            Change::Count => object.field("event", "count"),
        };
        object.field("count", self.count).end();
    }
}
