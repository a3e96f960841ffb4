//! Messages of batches that failed and are in the log all the same: the commit was written, and then something went
//! wrong. Whoever sent them was told that nothing was stored, and may never send them again; but who reads the log
//! sees them, so everybody else is to be told, too.

use rusqlite::{Connection, params};

use super::{integer, read, statements};
use crate::log::{Message, Seq};
use crate::rooms::conversation::Conversation;

/// The messages after the last position that was handed on, in order.
pub(super) fn after(
    connection: &Connection,
    handed: Seq,
) -> rusqlite::Result<Vec<(Conversation, Message)>> {
    let mut statement = connection.prepare_cached(statements::EVERYTHING)?;
    let mut key_of = connection.prepare_cached(statements::KEY_OF)?;
    let mut rows = statement.query(params![integer(handed)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let conversation: i64 = row.get(8)?;
        let key: Vec<u8> = key_of.query_row([conversation], |row| row.get(0))?;
        // What is not text was not written by a server, and nobody looks at it.
        if let Ok(key) = str::from_utf8(&key) {
            found.push((Conversation::from_key(key), read::message(row)?));
        }
    }
    Ok(found)
}
