//! Removing what is kept no longer: one transaction, of few conversations and few rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::{integer, number, statements};
use crate::log::engine::{Rules, Tidied, Window};
use crate::log::{Millis, Seq};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

/// Conversations that one step looks at: about as much work as a small batch.
const CONVERSATIONS_MAX: u64 = 256;

/// Bodies that one step removes, in bytes, but for the one that exceeds it.
pub(super) const STEP_BYTES_MAX: u64 = 1024 * 1024;

/// By which terms a step decides.
pub(super) struct Terms<'a> {
    pub(super) rules: &'a Rules,
    pub(super) window: Window,
    pub(super) now: Millis,
    /// Messages and keys that may go.
    pub(super) budget: usize,
}

/// What a step did.
pub(super) struct Done {
    pub(super) tidied: Tidied,
    /// The conversations of which messages are gone.
    pub(super) trimmed: Vec<Trimmed>,
}

/// A conversation of which messages are gone.
pub(super) struct Trimmed {
    pub(super) conversation: Conversation,
    pub(super) removed_to: Seq,
    /// Nothing is known of it any more.
    pub(super) is_forgotten: bool,
}

/// Removes what is due of the conversations behind `place`, a row's number, and moves that on; to the beginning when
/// all have been looked at.
pub(super) fn step(
    connection: &Connection,
    terms: &Terms<'_>,
    place: &mut i64,
) -> rusqlite::Result<Done> {
    let rows = conversations(connection, *place)?;
    let is_last = (rows.len() as u64) < CONVERSATIONS_MAX;
    let end = rows.last().filter(|_| !is_last).map_or(0, |row| row.id);
    let mut due = Vec::new();
    for row in rows {
        if row.is_due(connection, terms)? {
            due.push(row);
        }
    }
    let keys = ended_keys(connection, terms)?;
    let mut step =
        Step { connection, terms, left: terms.budget, bytes: 0, removed: 0, trimmed: Vec::new() };
    let mut stopped = None;
    if !due.is_empty() || !keys.is_empty() {
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(connection, behavior)?;
        step.purge(&keys)?;
        for row in due {
            if step.is_exhausted() {
                stopped = Some(row.id - 1);
                break;
            }
            // The rest of a conversation that is too much for one step is the beginning of the next.
            if !step.trim(&row)? {
                stopped = Some(row.id - 1);
                break;
            }
        }
        transaction.commit()?;
    }
    *place = stopped.unwrap_or(end);
    let is_over = stopped.is_none() && is_last && !step.is_exhausted();
    Ok(Done { tidied: Tidied { removed: step.removed, is_over }, trimmed: step.trimmed })
}

/// A conversation's row.
struct Found {
    id: i64,
    conversation: Conversation,
    last_seq: Seq,
    removed_to: Seq,
    forgotten_to: Seq,
    messages: u64,
    oldest: Millis,
}

impl Found {
    fn is_due(&self, connection: &Connection, terms: &Terms<'_>) -> rusqlite::Result<bool> {
        if self.messages == 0 {
            return has_keys(connection, self.id).map(|has_keys| !has_keys);
        }
        let rule = (terms.rules)(&self.conversation);
        Ok(rule.excess(self.messages) > 0 || self.oldest < rule.since(terms.now))
    }
}

fn conversations(connection: &Connection, place: i64) -> rusqlite::Result<Vec<Found>> {
    let mut statement = connection.prepare_cached(statements::CONVERSATIONS)?;
    let rows = statement.query_map(params![place, integer(CONVERSATIONS_MAX)], |row| {
        Ok(Found {
            id: row.get(0)?,
            conversation: conversation(row, 1)?,
            last_seq: number(row, 2)?,
            removed_to: number(row, 3)?,
            forgotten_to: number(row, 4)?,
            messages: number(row, 5)?,
            oldest: number(row, 6)?,
        })
    })?;
    rows.collect()
}

/// The conversation whose key is in a column.
pub(super) fn conversation(row: &Row<'_>, column: usize) -> rusqlite::Result<Conversation> {
    let key = str::from_utf8(row.get_ref(column)?.as_blob()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
    })?;
    Ok(Conversation::from_key(key))
}

/// Whether keys are kept of messages of a conversation that are gone.
fn has_keys(connection: &Connection, conversation: i64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(statements::HAS_KEPT_KEYS)?;
    Ok(statement.query_row([conversation], |_| Ok(())).optional()?.is_some())
}

/// A key of a message that is gone.
type Key = (Vec<u8>, String, i64);

/// Those that are of no use any more.
fn ended_keys(connection: &Connection, terms: &Terms<'_>) -> rusqlite::Result<Vec<Key>> {
    let mut statement = connection.prepare_cached(statements::ENDED_KEYS)?;
    let bounds = params![integer(terms.now), integer(terms.budget as u64)];
    let keys = statement.query_map(bounds, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    keys.collect()
}

/// A step on its way.
struct Step<'a> {
    connection: &'a Connection,
    terms: &'a Terms<'a>,
    left: usize,
    bytes: u64,
    removed: usize,
    trimmed: Vec<Trimmed>,
}

impl Step<'_> {
    fn is_exhausted(&self) -> bool {
        self.left == 0 || self.bytes >= STEP_BYTES_MAX
    }

    fn purge(&mut self, keys: &[Key]) -> rusqlite::Result<()> {
        let mut remove = self.connection.prepare_cached(statements::REMOVE_KEPT_KEY)?;
        for (id, user, conversation) in keys {
            remove.execute(params![id, user, conversation])?;
        }
        self.left -= keys.len().min(self.left);
        Ok(())
    }

    /// Removes the first messages of a conversation, and the conversation with the last of what is known of it. Whether
    /// nothing is left to be removed.
    fn trim(&mut self, row: &Found) -> rusqlite::Result<bool> {
        let rule = (self.terms.rules)(&row.conversation);
        let (since, excess) = (rule.since(self.terms.now), rule.excess(row.messages));
        let mut first = self.connection.prepare_cached(statements::FIRST)?;
        let mut rows = first.query(params![row.id, integer(self.left as u64 + 1)])?;
        let (mut removed, mut removed_to) = (0, row.removed_to);
        // When the first was said that stays, and whether it has to go as well.
        let mut rest = None;
        while let Some(message) = rows.next()? {
            let (seq, time) = (number(message, 0)?, number(message, 1)?);
            let goes = removed < excess || time < since;
            if !goes || self.is_exhausted() {
                rest = Some((time, goes));
                break;
            }
            let Terms { window, now, .. } = *self.terms;
            keep_key(self.connection, (window, now), row.id, message)?;
            self.bytes += number(message, 4)?;
            self.left -= 1;
            (removed, removed_to) = (removed + 1, seq);
        }
        drop(rows);
        if removed > 0 {
            let mut remove = self.connection.prepare_cached(statements::REMOVE_MESSAGES)?;
            remove.execute(params![row.id, integer(removed_to)])?;
            let messages = rest.map_or(0, |_| row.messages.saturating_sub(removed));
            let oldest = rest.map_or(0, |(time, _)| time);
            let mut set = self.connection.prepare_cached(statements::TRIM_CONVERSATION)?;
            set.execute(params![row.id, integer(removed_to), integer(messages), integer(oldest)])?;
        }
        self.removed += usize::try_from(removed).unwrap_or(usize::MAX);
        let is_forgotten = rest.is_none() && !has_keys(self.connection, row.id)?;
        if is_forgotten {
            self.forget(row)?;
        }
        let conversation = row.conversation.clone();
        self.trimmed.push(Trimmed { conversation, removed_to, is_forgotten });
        Ok(rest.is_none_or(|(_, goes)| !goes))
    }

    fn forget(&mut self, row: &Found) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statements::FORGET)?.execute([row.id])?;
        if let Some((one, other)) = row.conversation.ends() {
            let mut forget = self.connection.prepare_cached(statements::FORGET_DIRECT)?;
            forget.execute([one, other])?;
            forget.execute([other, one])?;
        }
        let floor = row.last_seq.max(row.forgotten_to);
        self.connection.prepare_cached(statements::RAISE_FLOOR)?.execute([integer(floor)])?;
        self.left = self.left.saturating_sub(1);
        Ok(())
    }
}

/// Remembers the key of a message that goes, if it may be sent again. That of one that was replaced is kept already.
pub(super) fn keep_key(
    connection: &Connection,
    (window, now): (Window, Millis),
    conversation: i64,
    message: &Row<'_>,
) -> rusqlite::Result<()> {
    let (seq, time) = (number(message, 0)?, number(message, 1)?);
    let id: [u8; 16] = message.get(2)?;
    let until = window.end(time, ClientId::from_bytes(id));
    let user = message.get_ref(3)?.as_str()?;
    // Nobody sends events.
    if until < now || user.is_empty() {
        return Ok(());
    }
    let hash: [u8; 32] = Sha256::digest(message.get_ref(5)?.as_str()?.as_bytes()).into();
    let mut keep = connection.prepare_cached(statements::ADD_KEY)?;
    let (seq, time, until) = (integer(seq), integer(time), integer(until));
    keep.execute(params![id, user, conversation, seq, time, hash, until])?;
    Ok(())
}
