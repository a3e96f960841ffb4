//! Reading an export in, all of it or nothing: one transaction, whose pages SQLite moves out of memory as they come.
//!
//! Messages keep their positions, client ids, times and bodies. The log gets a new epoch, because positions that its
//! clients were given of another log, or of messages that are not here any more, mean nothing now.

use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Deserialize;

use super::lines::{self, End, FORMAT, Head, KeyLine, MessageLine, Typed};
use super::progress::Progress;
use super::{ToolError, lock};
use crate::log::Seq;
use crate::log::sqlite::{FILE, Synchronous, open, statements};
use crate::protocol::chat::SEQ_MAX;

pub(super) mod arrivals;

use self::arrivals::Arrivals;

/// The longest line, in bytes: above that of the largest message there can be.
const LINE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What became of an import.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) messages: u64,
    pub(crate) keys: u64,
    /// Conversations that were not there before.
    pub(crate) conversations: u64,
    /// Messages whose one before is not the one that they name.
    pub(crate) relinked: u64,
    /// Pieces that the export could not read.
    pub(crate) skipped: u64,
    /// The end of the log now.
    pub(crate) last_seq: Seq,
    pub(crate) epoch: String,
}

/// Adds what `input` has to the log of a data directory, which is made if there is none. A partial input may lack lines
/// that it once had, the end among them.
pub(crate) fn import(
    data_dir: &Path,
    input: &mut dyn BufRead,
    is_partial: bool,
) -> Result<Imported, ToolError> {
    let directory = lock(data_dir)?;
    let path = directory.path().join(FILE);
    let is_new = !path.exists();
    let imported = import_into(&path, input, is_partial);
    if imported.is_err() && is_new {
        for name in [FILE.to_owned(), format!("{FILE}-wal"), format!("{FILE}-shm")] {
            // An empty log that stays behind does no harm.
            let _ = fs::remove_file(directory.path().join(name));
        }
    }
    imported
}

fn import_into(
    path: &Path,
    input: &mut dyn BufRead,
    is_partial: bool,
) -> Result<Imported, ToolError> {
    let (connection, _) = open::create(path, Synchronous::Full)?;
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
    let mut lines = Lines { input, number: 0, buffer: Vec::new() };
    let mut import = Import::begin(&transaction, is_partial)?;
    loop {
        let end_of_input = !lines.next()?;
        let number = lines.number;
        let wrong = |fault| match fault {
            Fault::Line(problem) => ToolError::Line { number, problem },
            Fault::Sqlite(error) => error.into(),
        };
        if end_of_input {
            import.at_end_of_input().map_err(wrong)?;
            break;
        }
        import.line(&lines.buffer).map_err(wrong)?;
    }
    let done = import.finish()?;
    transaction.commit()?;
    // The database alone then holds everything.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(done)
}

/// Why a line cannot be taken.
pub(super) enum Fault {
    /// It is wrong.
    Line(String),
    /// The log is.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self::Line(problem)
    }
}

impl From<&str> for Fault {
    fn from(problem: &str) -> Self {
        Self::Line(problem.to_owned())
    }
}

/// The lines of the input, one at a time.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    /// That of the line in the buffer, from 1.
    number: u64,
    buffer: Vec<u8>,
}

impl Lines<'_> {
    /// Reads one; false at the end.
    fn next(&mut self) -> Result<bool, ToolError> {
        self.buffer.clear();
        let mut bounded = Read::take(&mut *self.input, LINE_BYTES_MAX);
        let bytes = bounded.read_until(b'\n', &mut self.buffer).map_err(|source| {
            let what = format!("line {} cannot be read", self.number + 1);
            ToolError::Io { what, source }
        })?;
        self.number += 1;
        if bytes as u64 == LINE_BYTES_MAX {
            let problem = format!("is longer than {LINE_BYTES_MAX} bytes");
            return Err(ToolError::Line { number: self.number, problem });
        }
        Ok(bytes > 0)
    }
}

/// Where an input may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Lines,
    End,
}

struct Import<'a> {
    arrivals: Arrivals<'a>,
    stage: Stage,
    is_partial: bool,
    skipped: u64,
    progress: Progress,
}

impl<'a> Import<'a> {
    fn begin(connection: &'a Connection, is_partial: bool) -> rusqlite::Result<Self> {
        let arrivals = Arrivals::begin(connection)?;
        let progress = Progress::open_end("messages imported:");
        Ok(Self { arrivals, stage: Stage::Head, is_partial, skipped: 0, progress })
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let Typed { kind } = parse(text)?;
        match (self.stage, &*kind) {
            (Stage::Head, lines::HEAD) => self.head(&parse(text)?),
            (Stage::Head, _) => Err(Fault::from("is not the head of an export (type \"log\")")),
            (Stage::Lines, lines::MESSAGE) => {
                self.arrivals.message(&parse::<MessageLine<'_>>(text)?)?;
                self.progress.set(self.arrivals.messages);
                Ok(())
            }
            (Stage::Lines, lines::KEY) => self.arrivals.key(&parse::<KeyLine<'_>>(text)?),
            (Stage::Lines, lines::END) => self.end(&parse(text)?),
            (Stage::Lines, lines::HEAD) => Err(Fault::from("is the head of another export")),
            (Stage::Lines, other) => Err(format!("has the unknown type {other:?}").into()),
            (Stage::End, _) => Err(Fault::from("comes after the end of the export")),
        }
    }

    fn head(&mut self, head: &Head<'_>) -> Result<(), Fault> {
        if head.format != FORMAT {
            let format = head.format;
            let problem = format!("has format {format}, and this program reads format {FORMAT}");
            return Err(problem.into());
        }
        if head.last_seq > SEQ_MAX || head.last_time > SEQ_MAX {
            return Err(Fault::from("has a last_seq or last_time that is not below 2^53"));
        }
        self.arrivals.reached(head.last_seq, head.last_time);
        self.stage = Stage::Lines;
        Ok(())
    }

    fn end(&mut self, end: &End<'_>) -> Result<(), Fault> {
        let (messages, keys) = (self.arrivals.messages, self.arrivals.keys);
        if !self.is_partial && (messages, keys) != (end.messages, end.keys) {
            let problem = format!(
                "says that there are {} messages and {} keys before it, and there are {messages} and {keys} \
                 (--partial takes them all the same)",
                end.messages, end.keys
            );
            return Err(problem.into());
        }
        self.skipped = end.skipped;
        self.stage = Stage::End;
        Ok(())
    }

    fn at_end_of_input(&self) -> Result<(), Fault> {
        match self.stage {
            Stage::End => Ok(()),
            Stage::Lines if self.is_partial => Ok(()),
            Stage::Lines => Err(Fault::from(
                "is missing: the export is cut off, it has no end (--partial takes it all the same)",
            )),
            Stage::Head => Err(Fault::from("is missing: there is nothing in it")),
        }
    }

    fn finish(self) -> rusqlite::Result<Imported> {
        let Self { arrivals, skipped, .. } = self;
        let connection = arrivals.connection;
        let imported = arrivals.finish()?;
        connection.execute(statements::NEW_EPOCH, [])?;
        let epoch = connection.query_row(statements::EPOCH, [], |row| row.get(0))?;
        Ok(Imported { skipped, epoch, ..imported })
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| {
        let (whole, column) = (error.to_string(), error.column());
        let place = format!(" at line {} column {column}", error.line());
        let what = whole.strip_suffix(&place).unwrap_or(&whole);
        Fault::Line(format!("is no line of an export: {what} (column {column})"))
    })
}
