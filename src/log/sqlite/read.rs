//! Answering queries: from the cache, or from one snapshot of the database over a connection that cannot write.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::cache::{Cache, Look};
use super::recent::{Beyond, Recent};
use super::{integer, number, open, statements};
use crate::log::counters::Counters;
use crate::log::engine::{Reader, Standing};
use crate::log::kind::Kind;
use crate::log::page::{self, PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, Shelf, Take};
use crate::log::{Epoch, Finding, Message, Millis, Page, Query, Seq, Unreadable};
use crate::protocol::chat::ClientId;

/// One reading connection, opened when it is needed.
pub(super) struct SqliteReader {
    path: PathBuf,
    epoch: Epoch,
    connection: Option<Connection>,
    cache: Arc<Cache>,
    counters: Arc<Counters>,
    /// The last query failed; said once, not with every query.
    is_failing: bool,
}

impl SqliteReader {
    pub(super) fn new(
        path: PathBuf,
        epoch: Epoch,
        cache: Arc<Cache>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { path, epoch, connection: None, cache, counters, is_failing: false }
    }

    fn try_find(&mut self, query: &Query, since: Millis) -> rusqlite::Result<Finding> {
        if let Query::Conversations { user, after, limit } = query {
            let after = after.as_deref();
            return self.read(|snapshot, _, _| conversations(snapshot, user, after, *limit));
        }
        let page = match self.cache.look(query, since) {
            Look::Here(slice) => match page::page(query, &self.epoch, &slice, since) {
                Ok(page) => {
                    self.counters.reads_cached.add(1);
                    page
                }
                Err(Beyond) => self.read(|snapshot, epoch, counters| {
                    let stored = Stored::new(snapshot, query, counters)?;
                    page::page(query, epoch, &stored, since)
                })?,
            },
            Look::Load => self.load(query, since)?,
        };
        page.map(Finding::Page).ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Reads from one snapshot.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&Connection, &Epoch, &Counters) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open::read_only(&self.path, &self.epoch)?,
        };
        let behavior = TransactionBehavior::Deferred;
        let snapshot = Transaction::new_unchecked(&connection, behavior)?;
        self.counters.reads_disk.add(1);
        let result = read(&snapshot, &self.epoch, &self.counters)?;
        drop(snapshot);
        self.connection = Some(connection);
        Ok(result)
    }

    /// Reads the latest messages into the cache, and answers the query with them or from the same snapshot.
    fn load(&mut self, query: &Query, since: Millis) -> rusqlite::Result<Option<Page>> {
        let cache = self.cache.clone();
        let mut loaded = None;
        let page = self.read(|snapshot, epoch, counters| {
            let stored = Stored::new(snapshot, query, counters)?;
            let recent = loaded.insert(stored.recent()?);
            match page::page(query, epoch, &recent.whole(), since) {
                Ok(page) => Ok(page),
                Err(Beyond) => page::page(query, epoch, &stored, since),
            }
        });
        cache.loaded(&query.conversation(), loaded);
        page
    }
}

impl Reader for SqliteReader {
    fn find(&mut self, query: &Query, since: Millis) -> Result<Finding, Unreadable> {
        let result = self.try_find(query, since);
        if let Err(error) = &result
            && !self.is_failing
        {
            tracing::error!(path = ?self.path, %error, "the log cannot be read");
        }
        self.is_failing = result.is_err();
        result.map_err(|_| Unreadable)
    }
}

fn conversations(
    connection: &Connection,
    user: &str,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Finding> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(PAGE_MESSAGES_MAX);
    // No id is empty, so all come after this.
    let after = after.unwrap_or_default();
    let mut statement = connection.prepare_cached(statements::DIRECTS)?;
    let mut rows = statement.query(params![user, after, integer(limit as u64 + 1)])?;
    let mut list: Vec<(Arc<str>, Seq)> = Vec::new();
    while let Some(row) = rows.next()? {
        list.push((row.get_ref(0)?.as_str()?.into(), number(row, 1)?));
    }
    let more = list.len() > limit;
    list.truncate(limit);
    Ok(Finding::Conversations { list, more })
}

/// One conversation in a snapshot.
struct Stored<'a> {
    connection: &'a Connection,
    /// Its row, if it has one.
    id: Option<i64>,
    standing: Standing,
    counters: &'a Counters,
}

impl<'a> Stored<'a> {
    fn new(
        connection: &'a Connection,
        query: &Query,
        counters: &'a Counters,
    ) -> rusqlite::Result<Self> {
        counters.read_statements.add(1);
        let found = connection
            .prepare_cached(statements::CONVERSATION)?
            .query_row([query.conversation().key().as_bytes()], |row| {
                let (last, removed_to) = (number(row, 1)?, number(row, 2)?);
                let forgotten_to = number(row, 3)?;
                Ok((row.get(0)?, Standing { last, removed_to, forgotten_to }))
            })
            .optional()?;
        if let Some((id, standing)) = found {
            return Ok(Self { connection, id: Some(id), standing, counters });
        }
        let mut log = connection.prepare_cached(statements::LOG)?;
        let forgotten_to = log.query_row([], |row| number(row, 2))?;
        let standing = Standing { forgotten_to, ..Standing::default() };
        Ok(Self { connection, id: None, standing, counters })
    }

    /// The latest messages: enough for any page of them.
    fn recent(&self) -> rusqlite::Result<Recent> {
        let (mut messages, mut bytes, mut from) = (VecDeque::new(), 0, 0);
        self.before(Seq::MAX, PAGE_MESSAGES_MAX + 1, &mut |message| {
            bytes += message.body.len();
            messages.push_front(Arc::new(message.clone()));
            from = message.prev;
            bytes <= PAGE_BYTES_MAX
        })?;
        // Where all there are were taken, none is left before the first; what is gone was before it, too.
        Ok(Recent::new(self.standing, from, messages))
    }

    fn each(&self, sql: &str, position: Seq, limit: usize, take: Take<'_>) -> rusqlite::Result<()> {
        let Some(id) = self.id else { return Ok(()) };
        self.counters.read_statements.add(1);
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![id, integer(position), integer(limit as u64)])?;
        while let Some(row) = rows.next()? {
            if !take(&message(row)?) {
                break;
            }
        }
        Ok(())
    }
}

impl Shelf for Stored<'_> {
    type Error = rusqlite::Error;

    fn standing(&self) -> Standing {
        self.standing
    }

    fn after(&self, after: Seq, limit: usize, take: Take<'_>) -> rusqlite::Result<()> {
        self.each(statements::AFTER, after, limit, take)
    }

    fn before(&self, before: Seq, limit: usize, take: Take<'_>) -> rusqlite::Result<()> {
        self.each(statements::BEFORE, before, limit, take)
    }
}

pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let client_id = row.get_ref(3)?.as_blob()?.try_into().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, Type::Blob, Box::new(error))
    })?;
    Ok(Message {
        seq: number(row, 0)?,
        prev: number(row, 1)?,
        time: number(row, 2)?,
        client_id: ClientId::from_bytes(client_id),
        user: row.get_ref(4)?.as_str()?.into(),
        name: row.get_ref(5)?.as_str()?.into(),
        body: row.get_ref(6)?.as_str()?.into(),
        kind: kind(row, 7)?,
    })
}

fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    let number = row.get(column)?;
    Kind::numbered(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
