//! Removing old messages, and giving the disk back what they took.
//!
//! It is retention's work by other rules: of each conversation the oldest messages go, in steps that each leave the log
//! right, and the keys under which they came are kept as long as they may be sent again.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::check::bytes;
use super::progress::Progress;
use super::{ToolError, existing, lock, open_known, relations};
use crate::log::Millis;
use crate::log::engine::{Keeping, Rule, Window};
use crate::log::sqlite::retention::{self, Terms};
use crate::log::sqlite::{Synchronous, integer, number, open, statements};
use crate::rooms::conversation::Conversation;
use crate::rooms::rules::RoomRule;

/// Messages and keys that go in one transaction.
const STEP_ROWS_MAX: usize = 4096;

/// What is to go: messages of which either bound says so.
#[derive(Clone, Debug)]
pub(crate) struct Pruning {
    /// Rooms whose names this matches; otherwise all rooms and direct conversations.
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
    /// What the log takes on the disk.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

impl Pruning {
    fn rule(&self, conversation: &Conversation) -> Rule {
        let is_room = conversation.ends().is_none();
        let is_meant = |rule: &RoomRule| is_room && rule.matches(conversation.key());
        let is_meant = self.rooms.as_ref().is_none_or(is_meant);
        let age = |before| Duration::from_millis(self.now.saturating_sub(before));
        Rule {
            keeping: Keeping::Durable,
            age_max: self.before.filter(|_| is_meant).map(age),
            messages_max: self.keep.filter(|_| is_meant),
        }
    }
}

/// Removes messages from the log of a data directory.
pub(crate) fn prune(data_dir: &Path, pruning: &Pruning) -> Result<Pruned, ToolError> {
    // Before the lock, which makes the directory.
    existing(data_dir)?;
    let directory = lock(data_dir)?;
    let path = existing(directory.path())?;
    let bytes_before = bytes(&path);
    let (connection, _) = open::create(&path, Synchronous::Full)?;
    let messages = remove(&connection, pruning)?;
    if pruning.vacuum {
        vacuum(&connection)?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(connection);
    Ok(Pruned { messages, bytes_before, bytes_after: bytes(&path) })
}

fn remove(connection: &Connection, pruning: &Pruning) -> rusqlite::Result<u64> {
    let progress = Progress::open_end("messages removed:");
    let rules = {
        let pruning = pruning.clone();
        move |conversation: &Conversation| pruning.rule(conversation)
    };
    let Pruning { window, now, .. } = *pruning;
    let terms = Terms { rules: &rules, window, now, budget: STEP_ROWS_MAX };
    let (mut place, mut messages) = (0, 0);
    loop {
        let tidied = retention::step(connection, &terms, &mut place)?.tidied;
        messages += tidied.removed as u64;
        progress.set(messages);
        if tidied.is_over {
            return Ok(messages);
        }
    }
}

/// Says what [`prune`] would remove, and changes nothing.
pub(crate) fn rehearse(data_dir: &Path, pruning: &Pruning) -> Result<Pruned, ToolError> {
    let path = existing(data_dir)?;
    let connection = open_known(&path)?;
    let snapshot = Transaction::new_unchecked(&connection, TransactionBehavior::Deferred)?;
    let (mut messages, mut after) = (0, i64::MIN);
    while let Some(stored) = relations::next(&snapshot, after)? {
        after = stored.id;
        let rule = pruning.rule(&stored.conversation);
        let since = rule.since(pruning.now);
        let mut count = snapshot.prepare_cached(statements::COUNT_BEFORE)?;
        let older = count.query_row(params![stored.id, integer(since)], |row| number(row, 0))?;
        // Both are the first ones.
        messages += rule.excess(stored.messages).max(older);
    }
    let bytes = bytes(&path);
    Ok(Pruned { messages, bytes_before: bytes, bytes_after: bytes })
}

/// Gives free pages back to the file system.
fn vacuum(connection: &Connection) -> rusqlite::Result<()> {
    let _progress = Progress::open_end("making the file smaller");
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 0 { connection.execute_batch("VACUUM") } else { Ok(()) }
}
