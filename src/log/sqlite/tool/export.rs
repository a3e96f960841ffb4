//! Writing a log out as lines of JSON, from one snapshot, in memory that does not grow with it.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use serde::Serialize;

use super::lines::{self, End, FORMAT, Head, KeyLine, MessageLine};
use super::progress::Progress;
use super::salvage::{self, Sink};
use super::{ToolError, existing, open_known};
use crate::log::sqlite::{number, statements};
use crate::log::{Message, Seq};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

/// What could not be read is told of up to so many pieces.
const SKIPPED_MAX: usize = 100;

/// What became of an export.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    pub(crate) messages: u64,
    pub(crate) keys: u64,
    /// Pieces that could not be read.
    pub(crate) skipped: u64,
    /// The first of them, in words.
    pub(crate) details: Vec<String>,
    /// Whoever read the lines has seen enough; there are more.
    pub(crate) is_cut: bool,
}

/// Writes the log of a data directory, or one room of it, to `out`.
pub(crate) fn export(
    data_dir: &Path,
    room: Option<&str>,
    out: &mut dyn Write,
) -> Result<Exported, ToolError> {
    let path = existing(data_dir)?;
    let connection = open_known(&path)?;
    let snapshot = Transaction::new_unchecked(&connection, TransactionBehavior::Deferred)?;
    let only = match room {
        None => None,
        Some(room) => match row_of(&snapshot, room)? {
            Some(id) => Some(id),
            None => return Err(ToolError::NoRoom { path, room: room.to_owned() }),
        },
    };
    let mut writing = Writing {
        connection: &snapshot,
        out,
        done: Exported::default(),
        latest: None,
        progress: None,
    };
    match writing.all(only) {
        Ok(()) => Ok(writing.done),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(Exported { is_cut: true, ..writing.done })
        }
        Err(source) => Err(ToolError::Io { what: "the export cannot be written".into(), source }),
    }
}

fn row_of(connection: &Connection, room: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare(statements::CONVERSATION)?;
    statement.query_row([Conversation::room(room).key().as_bytes()], |row| row.get(0)).optional()
}

struct Writing<'a> {
    connection: &'a Connection,
    out: &'a mut dyn Write,
    done: Exported,
    /// The conversation that was looked up last: the next message often is of the same.
    latest: Option<(i64, Conversation)>,
    progress: Option<Progress>,
}

impl Writing<'_> {
    fn all(&mut self, only: Option<i64>) -> io::Result<()> {
        self.head()?;
        salvage::each(self.connection, only, self)?;
        self.progress = None;
        self.keys(only)?;
        let Exported { messages, keys, skipped, .. } = self.done;
        self.line(&End { kind: lines::END.into(), messages, keys, skipped })?;
        self.out.flush()
    }

    fn head(&mut self) -> io::Result<()> {
        let numbers = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?));
        let log = self.connection.query_row(statements::LOG, [], numbers);
        let epoch = |row: &Row<'_>| row.get::<_, String>(0);
        let epoch = self.connection.query_row(statements::EPOCH, [], epoch);
        let (last_seq, last_time) = log.unwrap_or_else(|error| {
            self.skip(format!("the log's own row: {error}"));
            (0, 0)
        });
        let epoch = Cow::Owned(epoch.unwrap_or_default());
        self.progress = Some(Progress::of(last_seq, "exporting"));
        self.line(&Head { kind: lines::HEAD.into(), format: FORMAT, epoch, last_seq, last_time })
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, line)?;
        self.out.write_all(b"\n")
    }

    fn skip(&mut self, what: String) {
        self.done.skipped += 1;
        if self.done.details.len() < SKIPPED_MAX {
            self.done.details.push(what);
        }
    }

    /// The conversation of a row, remembered in `latest`.
    fn look_up(&mut self, id: i64) -> rusqlite::Result<()> {
        if self.latest.as_ref().is_some_and(|(latest, _)| *latest == id) {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(statements::KEY_OF)?;
        let conversation = statement.query_row([id], |row| conversation(row, 0))?;
        self.latest = Some((id, conversation));
        Ok(())
    }

    fn keys(&mut self, only: Option<i64>) -> io::Result<()> {
        let connection = self.connection;
        let mut write = || -> rusqlite::Result<io::Result<()>> {
            let mut statement = connection.prepare(statements::KEPT_KEYS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(2)?;
                if only.is_some_and(|only| only != id) {
                    continue;
                }
                if let Err(error) = self.key(id, row)? {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        write().unwrap_or_else(|error| {
            self.skip(format!("keys of messages that are gone: {error}"));
            Ok(())
        })
    }

    fn key(&mut self, id: i64, row: &Row<'_>) -> rusqlite::Result<io::Result<()>> {
        self.look_up(id)?;
        let Some((_, conversation)) = self.latest.clone() else { return Ok(Ok(())) };
        let (room, users) = lines::place(&conversation);
        let client_id = row.get(0).map(ClientId::from_bytes)?.to_string().into();
        let line = KeyLine {
            kind: lines::KEY.into(),
            room,
            users,
            seq: number(row, 3)?,
            time: number(row, 4)?,
            user: row.get_ref(1)?.as_str()?.into(),
            client_id,
            body_sha256: lines::hex(row.get_ref(5)?.as_blob()?).into(),
            until: number(row, 6)?,
        };
        self.done.keys += 1;
        Ok(self.line(&line))
    }
}

impl Sink for Writing<'_> {
    type Stop = io::Error;

    fn message(&mut self, id: i64, message: &Message) -> io::Result<()> {
        let Message { seq, prev, time, user, name, client_id, kind, body } = message;
        if let Some(progress) = &self.progress {
            progress.set(*seq);
        }
        if let Err(error) = self.look_up(id) {
            self.lost(*seq, *seq, &format!("its conversation is not known: {error}"));
            return Ok(());
        }
        let Some((body, body_text)) = lines::body(body) else {
            self.lost(*seq, *seq, "its body is no JSON");
            return Ok(());
        };
        let Some((_, conversation)) = self.latest.clone() else { return Ok(()) };
        let (room, users) = lines::place(&conversation);
        self.line(&MessageLine {
            kind: lines::MESSAGE.into(),
            room,
            users,
            seq: *seq,
            prev: *prev,
            time: *time,
            user: (&**user).into(),
            name: (&**name).into(),
            client_id: client_id.to_string().into(),
            event: kind.is_event().then(|| kind.name().into()),
            body,
            body_text,
        })?;
        self.done.messages += 1;
        Ok(())
    }

    fn lost(&mut self, from: Seq, to: Seq, why: &str) {
        let what = if from == to {
            format!("position {from}")
        } else {
            format!("positions {from} to {to}")
        };
        self.skip(format!("{what}: {why}"));
    }
}

/// The conversation whose key is in a column.
pub(super) fn conversation(row: &Row<'_>, column: usize) -> rusqlite::Result<Conversation> {
    let key = row.get_ref(column)?;
    let bytes = match key {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes,
        _ => return Err(rusqlite::Error::InvalidColumnType(column, "key".into(), key.data_type())),
    };
    let text = str::from_utf8(bytes).map_err(|error| rusqlite::Error::Utf8Error(column, error))?;
    Ok(Conversation::from_key(text))
}
