//! What the rows of a log must say of each other, which no constraint of the database holds them to.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::check::Problems;
use super::export::conversation;
use super::lines;
use super::progress::Progress;
use crate::log::sqlite::{integer, number, read, statements};
use crate::log::{Millis, Seq};
use crate::rooms::conversation::Conversation;

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) rooms: u64,
    pub(super) directs: u64,
    pub(super) messages: u64,
    pub(super) keys: u64,
    /// The times of the first and the last message.
    pub(super) first: Millis,
    pub(super) last: Millis,
}

/// A conversation's row.
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) conversation: Conversation,
    pub(super) last_seq: Seq,
    pub(super) removed_to: Seq,
    pub(super) messages: u64,
    pub(super) oldest: Millis,
}

/// The conversation of the next row.
pub(super) fn next(connection: &Connection, after: i64) -> rusqlite::Result<Option<Stored>> {
    let mut statement = connection.prepare_cached(statements::CONVERSATIONS)?;
    let stored = |row: &Row<'_>| {
        Ok(Stored {
            id: row.get(0)?,
            conversation: conversation(row, 1)?,
            last_seq: number(row, 2)?,
            removed_to: number(row, 3)?,
            messages: number(row, 5)?,
            oldest: number(row, 6)?,
        })
    };
    statement.query_row([after, 1], stored).optional()
}

/// Looks at the log's own row; where it stands.
pub(super) fn log(connection: &Connection, problems: &mut Problems) -> rusqlite::Result<Seq> {
    let last_seq = connection.query_row(statements::LOG, [], |row| number(row, 0))?;
    let last: Option<i64> = connection.query_row(statements::LAST_MESSAGE, [], |row| row.get(0))?;
    if let Some(last) = last.filter(|last| *last > integer(last_seq)) {
        problems.add(format!("it has a message at {last}, beyond its end at {last_seq}"));
    }
    Ok(last_seq)
}

/// Looks at everything else.
pub(super) fn all(
    connection: &Connection,
    is_quick: bool,
    problems: &mut Problems,
) -> rusqlite::Result<Totals> {
    let progress = Progress::open_end("checking messages:");
    let mut totals = Totals { first: Millis::MAX, ..Totals::default() };
    let mut after = i64::MIN;
    while let Some(stored) = next(connection, after)? {
        after = stored.id;
        let mut look = Look { connection, stored: &stored, problems, totals: &mut totals };
        look.at_messages(is_quick, &progress)?;
        look.at_directs()?;
    }
    owners(connection, statements::NEXT_WITH_MESSAGES, "messages", problems)?;
    owners(connection, statements::NEXT_WITH_KEYS, "kept keys", problems)?;
    directs(connection, problems)?;
    let mut keys = connection.prepare(statements::KEPT_KEYS)?;
    let mut rows = keys.query([])?;
    while rows.next()?.is_some() {
        totals.keys += 1;
    }
    Ok(totals)
}

struct Look<'a> {
    connection: &'a Connection,
    stored: &'a Stored,
    problems: &'a mut Problems,
    totals: &'a mut Totals,
}

impl Look<'_> {
    fn wrong(&mut self, what: &str) {
        self.problems.add(format!("{}: {what}", self.stored.conversation.in_words()));
    }

    /// Follows the messages from the first to the last.
    fn at_messages(&mut self, is_quick: bool, progress: &Progress) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(statements::ALL_OF)?;
        let mut rows = statement.query(params![0, self.stored.id])?;
        let (mut count, mut last, mut time) = (0_u64, None::<Seq>, 0);
        while let Some(row) = rows.next()? {
            let message = match read::message(row) {
                Ok(message) => message,
                Err(error) => {
                    self.wrong(&format!("a message after {last:?} is damaged: {error}"));
                    continue;
                }
            };
            let (seq, prev) = (message.seq, message.prev);
            match last {
                None => self.at_first(seq, prev, message.time),
                Some(last) if last != prev => self.wrong(&format!(
                    "{seq} names {prev} as the message before it, and that is {last}: some are missing"
                )),
                Some(_) if message.time < time => {
                    self.wrong(&format!("{seq} has a time before that of the message before it"));
                }
                Some(_) => {}
            }
            if !is_quick && lines::body(&message.body).is_none() {
                self.wrong(&format!("the body of {seq} is no JSON"));
            }
            (count, last, time) = (count + 1, Some(seq), message.time);
            self.totals.messages += 1;
            self.totals.first = self.totals.first.min(time);
            self.totals.last = self.totals.last.max(time);
            progress.set(self.totals.messages);
        }
        self.at_end(count, last);
        Ok(())
    }

    fn at_first(&mut self, seq: Seq, prev: Seq, time: Millis) {
        let Stored { removed_to, oldest, .. } = *self.stored;
        if prev > removed_to {
            self.wrong(&format!(
                "its first message, {seq}, names {prev} before it, and only those up to {removed_to} were removed: \
                 some are missing"
            ));
        }
        if seq <= removed_to {
            self.wrong(&format!("{seq} is there, and those up to {removed_to} should be gone"));
        }
        if time != oldest {
            self.wrong(&format!("its oldest message is of {time}, not of {oldest}"));
        }
    }

    fn at_end(&mut self, count: u64, last: Option<Seq>) {
        let Stored { last_seq, removed_to, messages, .. } = *self.stored;
        if count != messages {
            self.wrong(&format!("it should have {messages} messages and has {count}"));
        }
        let should_be_last = if messages == 0 { None } else { Some(last_seq) };
        if last != should_be_last {
            self.wrong(&format!("its last message should be {should_be_last:?} and is {last:?}"));
        }
        if removed_to > last_seq {
            self.wrong(&format!("removed up to {removed_to}, beyond its end at {last_seq}"));
        }
    }

    /// Looks whether a direct conversation is found by both users.
    fn at_directs(&mut self) -> rusqlite::Result<()> {
        let Some((one, other)) = self.stored.conversation.ends() else {
            self.totals.rooms += 1;
            return Ok(());
        };
        self.totals.directs += 1;
        for (user, with) in [(one, other), (other, one)] {
            let mut direct = self.connection.prepare_cached(statements::DIRECT)?;
            let row: Option<i64> = direct.query_row([user, with], |row| row.get(0)).optional()?;
            if row != Some(self.stored.id) {
                self.wrong(&format!("it is not in the list of {user:?}"));
            }
        }
        Ok(())
    }
}

/// Looks whether all conversations that something belongs to have a row.
fn owners(
    connection: &Connection,
    next: &str,
    what: &str,
    problems: &mut Problems,
) -> rusqlite::Result<()> {
    let mut after = i64::MIN;
    let mut next = connection.prepare(next)?;
    while let Some(id) = next.query_row([after], |row| row.get::<_, i64>(0)).optional()? {
        after = id;
        if key_of(connection, id)?.is_none() {
            problems.add(format!("there are {what} of a conversation without a row, {id}"));
        }
    }
    Ok(())
}

/// Looks whether what users find is there.
fn directs(connection: &Connection, problems: &mut Problems) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(statements::ALL_DIRECTS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (user, other): (String, String) = (row.get(0)?, row.get(1)?);
        let found = key_of(connection, row.get(2)?)?;
        if found.as_ref() != Some(&Conversation::direct(&user, &other)) {
            problems.add(format!(
                "the list of {user:?} names a conversation with {other:?} that is not there"
            ));
        }
    }
    Ok(())
}

fn key_of(connection: &Connection, id: i64) -> rusqlite::Result<Option<Conversation>> {
    let mut key = connection.prepare_cached(statements::KEY_OF)?;
    key.query_row([id], |row| conversation(row, 0)).optional()
}
