//! The engine that lasts: a SQLite database in the data directory, written by one connection and read by others.
//!
//! Write-ahead logging lets readers go on while a group of messages is committed. A connection that failed is thrown
//! away, and the next batch or query opens another: what was wrong with the disk may be over by then.

mod batch;
mod cache;
pub(crate) mod feed;
mod open;
mod read;
mod recent;
mod recovered;
mod removal;
mod retention;
mod schema;
mod statements;
pub(crate) mod tool;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use self::cache::Cache;
use self::feed::Feed;
pub(crate) use self::open::OpenError;
use crate::log::counters::Counters;
use crate::log::data_dir::DataDir;
use crate::log::engine::{Engine, Outcome, Reader, Rules, Tidied, Unavailable, Window};
use crate::log::removal::{Errand, Removed};
use crate::log::{Draft, Epoch, Message, Millis, Seq};
use crate::rooms::conversation::Conversation;

/// The database's name in the data directory.
pub(crate) const FILE: &str = "uproar.db";

/// What there is to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) synchronous: Synchronous,
    /// How long keys of idempotency are kept.
    pub(crate) window: Window,
    /// What the latest messages may take in memory, in bytes.
    pub(crate) cache_bytes_max: usize,
    /// From one position to the next: 1, or more for tests of what relies on positions that follow one another.
    pub(crate) seq_step: u64,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// The disk: an acknowledged message survives the loss of power.
    Full,
    /// The kernel: an acknowledged message survives the end of the process.
    Normal,
}

/// The writing end of a database.
pub(crate) struct Sqlite {
    /// Locked for as long as there is a writer.
    directory: Arc<DataDir>,
    options: Options,
    epoch: Epoch,
    connection: Option<Connection>,
    /// No position up to this is given any more, also those of batches that failed.
    given: Seq,
    /// Everything up to this position was handed on.
    handed: Seq,
    /// What was found behind it, of batches that failed and are there all the same.
    recovered: Vec<(Conversation, Message)>,
    /// The last batch failed; said once, not with every batch.
    is_failing: bool,
    /// The last step of retention failed; said once, too.
    is_untidy: bool,
    /// The row of the last conversation that retention has looked at.
    place: i64,
    /// What was removed may still stand in the write-ahead log.
    is_scrub_due: bool,
    cache: Arc<Cache>,
    counters: Arc<Counters>,
}

impl Sqlite {
    /// Opens the database of a data directory, and makes it if there is none.
    pub(crate) fn open(
        directory: Arc<DataDir>,
        options: Options,
        counters: Arc<Counters>,
    ) -> Result<Self, OpenError> {
        let path = directory.path().join(FILE);
        let (connection, epoch) = open::create(&path, options.synchronous)?;
        let handed = last_seq(&connection).map_err(|error| OpenError::new(&path, error.into()))?;
        let cache = Arc::new(Cache::new(options.cache_bytes_max, counters.clone()));
        Ok(Self {
            directory,
            options,
            epoch,
            connection: Some(connection),
            given: 0,
            handed,
            recovered: Vec::new(),
            is_failing: false,
            is_untidy: false,
            place: 0,
            // Whoever removed something may have had no time to.
            is_scrub_due: true,
            cache,
            counters,
        })
    }

    /// Everything that is stored, in order.
    pub(crate) fn feed(&self) -> Feed {
        Feed::new(self.path(), self.epoch.clone())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(FILE)
    }

    fn try_store(&mut self, drafts: &[Draft], now: Millis) -> rusqlite::Result<Vec<Outcome>> {
        let connection = self.take_connection()?;
        let outcomes = batch::store(&connection, drafts, now, self.options, &mut self.given)?;
        self.handed = self.given;
        self.connection = Some(connection);
        Ok(outcomes)
    }

    /// The connection, to be put back when all went well with it.
    fn take_connection(&mut self) -> rusqlite::Result<Connection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let connection = open::again(&self.path(), self.options.synchronous, &self.epoch)?;
                let recovered = recovered::after(&connection, self.handed)?;
                self.handed = recovered.last().map_or(self.handed, |(_, message)| message.seq);
                self.recovered.extend(recovered);
                Ok(connection)
            }
        }
    }

    fn try_tidy(&mut self, terms: &retention::Terms<'_>) -> rusqlite::Result<retention::Done> {
        let connection = self.take_connection()?;
        open::unhurried(&connection)?;
        let done = retention::step(&connection, terms, &mut self.place)?;
        open::hurried(&connection, self.options.synchronous)?;
        self.connection = Some(connection);
        Ok(done)
    }
}

impl Sqlite {
    fn try_remove(
        &mut self,
        errand: &mut Errand,
        terms: removal::Terms,
    ) -> rusqlite::Result<Removed> {
        let connection = self.take_connection()?;
        let removed = removal::step(&connection, errand, terms, &mut self.given)?;
        self.handed = self.given;
        self.connection = Some(connection);
        Ok(removed)
    }

    /// Empties the write-ahead log if nobody reads at the moment.
    fn try_scrub(&mut self) -> rusqlite::Result<()> {
        let connection = self.take_connection()?;
        open::unhurried(&connection)?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy = connection.query_row(checkpoint, [], |row| row.get::<_, bool>(0))?;
        open::hurried(&connection, self.options.synchronous)?;
        self.connection = Some(connection);
        self.is_scrub_due = is_busy;
        Ok(())
    }
}

impl Engine for Sqlite {
    fn is_durable(&self) -> bool {
        true
    }

    fn store(&mut self, drafts: &[Draft], now: Millis) -> Result<Vec<Outcome>, Unavailable> {
        let result = self.try_store(drafts, now);
        match &result {
            Ok(outcomes) => self.cache.stored(drafts, outcomes),
            Err(_) => self.cache.clear(),
        }
        let (path, was_failing) = (self.path(), self.is_failing);
        self.is_failing = result.is_err();
        match &result {
            Ok(_) if was_failing => tracing::info!(?path, "the log can be written again"),
            Err(error) if !was_failing => {
                tracing::error!(?path, %error, "the log cannot be written: messages are refused");
            }
            _ => {}
        }
        result.map_err(|_| Unavailable)
    }

    fn tidy(&mut self, rules: &Rules, now: Millis, budget: usize) -> Result<Tidied, Unavailable> {
        let terms = retention::Terms { rules, window: self.options.window, now, budget };
        let result = self.try_tidy(&terms);
        if let Err(error) = &result
            && !self.is_untidy
        {
            tracing::warn!(path = ?self.path(), %error, "retention cannot remove anything");
        }
        self.is_untidy = result.is_err();
        if result.is_err() {
            self.cache.clear();
        }
        let done = result.map_err(|_| Unavailable)?;
        if self.is_scrub_due && done.tidied.is_over {
            // It is tried again with every pass until it goes well.
            let _ = self.try_scrub();
        }
        self.cache.trimmed(&done.trimmed);
        self.counters.removed.add(done.tidied.removed);
        self.counters.forgotten.add(done.trimmed.iter().filter(|room| room.is_forgotten).count());
        Ok(done.tidied)
    }

    fn remove(
        &mut self,
        errand: &mut Errand,
        now: Millis,
        budget: usize,
    ) -> Result<Removed, Unavailable> {
        let terms = removal::Terms { options: self.options, now, budget };
        self.is_scrub_due = true;
        match self.try_remove(errand, terms) {
            Ok(removed) => {
                self.cache.forget(removed.events.iter().map(|(conversation, _)| conversation));
                if let Some(conversation) = errand.removal.conversation() {
                    self.cache.forget([conversation]);
                }
                Ok(removed)
            }
            Err(error) => {
                self.cache.clear();
                tracing::error!(path = ?self.path(), %error, "the log cannot be written: nothing is removed");
                Err(Unavailable)
            }
        }
    }

    fn take_recovered(&mut self) -> Vec<(Conversation, Message)> {
        std::mem::take(&mut self.recovered)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(read::SqliteReader::new(
            self.path(),
            self.epoch.clone(),
            self.cache.clone(),
            self.counters.clone(),
        ))
    }

    fn close(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // The database alone then holds everything. Where that fails the write-ahead log still does.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = connection.query_row(checkpoint, [], |_| Ok(())) {
            tracing::warn!(path = ?self.path(), %error, "the log could not be tidied up");
        }
    }
}

/// The highest position that the log knows to be given.
fn last_seq(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.prepare_cached(statements::LOG)?.query_row([], |row| number(row, 0))
}

/// A number as SQLite keeps it. Positions are below 2^53 and times far below; whatever is not means "all of them".
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column that holds such a number.
fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}
