//! The whole log in the order of its positions, for who follows it.

use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::{integer, number, open, read, statements};
use crate::log::{Epoch, Message, Seq};
use crate::rooms::conversation::Conversation;

/// What is read at once, but for the last message, in bytes of bodies.
const BYTES_MAX: usize = 1024 * 1024;

/// A connection of its own, opened when it is needed.
pub(crate) struct Feed {
    path: PathBuf,
    epoch: Epoch,
    connection: Option<Connection>,
}

impl Feed {
    pub(super) const fn new(path: PathBuf, epoch: Epoch) -> Self {
        Self { path, epoch, connection: None }
    }

    pub(crate) const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The last position that was ever given.
    pub(crate) fn end(&mut self) -> rusqlite::Result<Seq> {
        self.with(end)
    }

    /// Messages after a position, in order, at most so many; and where the log ends.
    pub(crate) fn after(
        &mut self,
        after: Seq,
        max: usize,
    ) -> rusqlite::Result<(Vec<(Conversation, Message)>, Seq)> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(statements::EVERYTHING)?;
            let mut key_of = connection.prepare_cached(statements::KEY_OF)?;
            let mut rows = statement.query(params![integer(after)])?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while found.len() < max
                && bytes < BYTES_MAX
                && let Some(row) = rows.next()?
            {
                let conversation: i64 = row.get(8)?;
                let key: Vec<u8> = key_of.query_row([conversation], |row| row.get(0))?;
                let message = read::message(row)?;
                bytes += message.body.len();
                let key = String::from_utf8_lossy(&key);
                found.push((Conversation::from_key(&key), message));
            }
            Ok((found, end(connection)?))
        })
    }

    /// A connection that failed is thrown away.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open::read_only(&self.path, &self.epoch)?,
        };
        let done = work(&connection)?;
        self.connection = Some(connection);
        Ok(done)
    }
}

fn end(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.prepare_cached(statements::LOG)?.query_row([], |row| number(row, 0))
}
