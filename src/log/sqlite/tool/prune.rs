//! Removing old messages, and giving the disk back what they took.
//!
//! Of each conversation the oldest go, a few at a time, each few in a transaction that leaves the log right: what is
//! gone is known to be gone, and the keys under which it came are kept as long as it may be sent again.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::check::bytes;
use super::progress::Progress;
use super::relations::{self, Stored};
use super::{ToolError, existing, lock, open_known};
use crate::log::engine::Window;
use crate::log::sqlite::{Synchronous, integer, number, open, read, statements};
use crate::log::{Message, Millis, Seq};
use crate::rooms::rules::RoomRule;

/// Messages removed by one transaction.
const REMOVED_MAX: usize = 1000;

/// What is to go: messages that either bound says.
#[derive(Clone, Debug)]
pub(crate) struct Pruning {
    /// Rooms of these names only; otherwise all rooms and direct conversations.
    pub(crate) rooms: Option<RoomRule>,
    /// Messages from before this time.
    pub(crate) before: Option<Millis>,
    /// All but so many of a conversation's latest.
    pub(crate) keep: Option<u64>,
    /// Whether the file is to become smaller.
    pub(crate) vacuum: bool,
    /// How long keys are kept.
    pub(crate) window: Window,
    pub(crate) now: Millis,
}

/// What went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pruned {
    pub(crate) messages: u64,
    pub(crate) conversations: u64,
    /// What the log takes on the disk.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

/// Removes messages from the log of a data directory.
pub(crate) fn prune(data_dir: &Path, pruning: &Pruning) -> Result<Pruned, ToolError> {
    // Before the lock, which makes the directory.
    existing(data_dir)?;
    let directory = lock(data_dir)?;
    let path = existing(directory.path())?;
    let bytes_before = bytes(&path);
    let (connection, _) = open::create(&path, Synchronous::Full)?;
    let mut pruned = Pruned { bytes_before, ..Pruned::default() };
    let progress = Progress::open_end("messages removed:");
    each(&connection, pruning, |stored, up_to| {
        let mut after = 0;
        while let Some((last, removed)) = remove(&connection, stored.id, (after, up_to), pruning)? {
            after = last;
            pruned.messages += removed;
            progress.set(pruned.messages);
        }
        pruned.conversations += 1;
        Ok(())
    })?;
    connection.execute(statements::REMOVE_KEYS_UNTIL, [integer(pruning.now)])?;
    drop(progress);
    if pruning.vacuum {
        vacuum(&connection)?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(connection);
    Ok(Pruned { bytes_after: bytes(&path), ..pruned })
}

/// Says what [`prune`] would remove, and changes nothing.
pub(crate) fn rehearse(data_dir: &Path, pruning: &Pruning) -> Result<Pruned, ToolError> {
    let path = existing(data_dir)?;
    let connection = open_known(&path)?;
    let snapshot = Transaction::new_unchecked(&connection, TransactionBehavior::Deferred)?;
    let mut pruned = Pruned::default();
    each(&snapshot, pruning, |stored, up_to| {
        let mut count = snapshot.prepare_cached(statements::COUNT_UP_TO)?;
        let key = params![stored.id, integer(up_to)];
        pruned.messages += count.query_row(key, |row| number(row, 0))?;
        pruned.conversations += 1;
        Ok(())
    })?;
    let bytes = bytes(&path);
    Ok(Pruned { bytes_before: bytes, bytes_after: bytes, ..pruned })
}

/// Finds the conversations that lose something, and up to which position.
fn each(
    connection: &Connection,
    pruning: &Pruning,
    mut act: impl FnMut(&Stored, Seq) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut after = i64::MIN;
    while let Some(stored) = relations::next(connection, after)? {
        after = stored.id;
        let is_room = stored.conversation.ends().is_none();
        let is_meant = |rule: &RoomRule| is_room && rule.matches(stored.conversation.key());
        if pruning.rooms.as_ref().is_none_or(is_meant) {
            let up_to = up_to(connection, &stored, pruning)?;
            if let Some(up_to) = up_to {
                act(&stored, up_to)?;
            }
        }
    }
    Ok(())
}

/// The last message of a conversation that is to go.
fn up_to(
    connection: &Connection,
    stored: &Stored,
    pruning: &Pruning,
) -> rusqlite::Result<Option<Seq>> {
    let by_count = match pruning.keep {
        None => None,
        Some(keep) => connection
            .prepare_cached(statements::FROM_END)?
            .query_row(params![stored.id, integer(keep)], |row| number(row, 0))
            .optional()?,
    };
    let Some(before) = pruning.before else { return Ok(by_count) };
    let mut by_time = None;
    let mut times = connection.prepare_cached(statements::TIMES)?;
    let mut rows = times.query(params![stored.id, 0])?;
    while let Some(row) = rows.next()? {
        if number(row, 1)? >= before {
            break;
        }
        by_time = Some(number(row, 0)?);
    }
    Ok(by_count.max(by_time))
}

/// Removes some of a conversation's messages after and up to a position: the last of them, and how many they were.
fn remove(
    connection: &Connection,
    conversation: i64,
    (after, up_to): (Seq, Seq),
    pruning: &Pruning,
) -> rusqlite::Result<Option<(Seq, u64)>> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let messages = some(connection, conversation, (after, up_to))?;
    let Some(last) = messages.last().map(|message| message.seq) else { return Ok(None) };
    for message in &messages {
        keep_key(connection, conversation, message, pruning)?;
        let mut remove = connection.prepare_cached(statements::REMOVE_MESSAGE)?;
        remove.execute([integer(message.seq)])?;
    }
    let mut times = connection.prepare_cached(statements::TIMES)?;
    let oldest: Option<i64> =
        times.query_row(params![conversation, integer(last)], |row| row.get(1)).optional()?;
    let removed = messages.len() as u64;
    connection.prepare_cached(statements::SET_PRUNED)?.execute(params![
        conversation,
        integer(last),
        integer(removed),
        oldest.unwrap_or_default()
    ])?;
    transaction.commit()?;
    Ok(Some((last, removed)))
}

fn some(
    connection: &Connection,
    conversation: i64,
    (after, up_to): (Seq, Seq),
) -> rusqlite::Result<Vec<Message>> {
    let mut statement = connection.prepare_cached(statements::AFTER)?;
    let limit = integer(REMOVED_MAX as u64);
    let mut rows = statement.query(params![conversation, integer(after), limit])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let message = read::message(row)?;
        if message.seq > up_to {
            break;
        }
        messages.push(message);
    }
    Ok(messages)
}

/// What is sent again must be known for what it is, also when it is gone.
fn keep_key(
    connection: &Connection,
    conversation: i64,
    message: &Message,
    pruning: &Pruning,
) -> rusqlite::Result<()> {
    let until = pruning.window.end(message.time, message.client_id);
    if until < pruning.now {
        return Ok(());
    }
    let hash: [u8; 32] = Sha256::digest(message.body.as_bytes()).into();
    connection.prepare_cached(statements::ADD_KEY)?.execute(params![
        message.client_id.to_bytes(),
        message.user,
        conversation,
        integer(message.seq),
        integer(message.time),
        hash,
        integer(until),
    ])?;
    Ok(())
}

/// Gives free pages back to the file system.
fn vacuum(connection: &Connection) -> rusqlite::Result<()> {
    let _progress = Progress::open_end("making the file smaller");
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("freelist_count")? == 0 {
        return Ok(());
    }
    // 2: the database knows which page is whose, and its last ones can be moved into the gaps.
    if pragma("auto_vacuum")? == 2 {
        let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok(());
    }
    connection.execute_batch("VACUUM")
}
