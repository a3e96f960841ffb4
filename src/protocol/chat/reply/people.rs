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
