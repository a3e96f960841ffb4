//! Looking whether a log is whole: its pages by SQLite's own check, and what its rows say of each other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::progress::Progress;
use super::relations::{self, Totals};
use super::{ToolError, existing};
use crate::log::Millis;
use crate::log::sqlite::schema::{self, SchemaError, VERSION};
use crate::log::sqlite::{open, statements};

/// So many problems are told in words.
const PROBLEMS_MAX: usize = 100;

/// What a check has found.
#[derive(Debug)]
pub(crate) struct Checked {
    path: PathBuf,
    problems: Problems,
    /// What there is, where that could be found out.
    summary: Option<Summary>,
}

/// What is wrong with a log.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<String>,
    count: u64,
}

impl Problems {
    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.count += 1;
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(problem.into());
        }
    }
}

#[derive(Debug)]
struct Summary {
    totals: Totals,
    epoch: String,
    last_seq: u64,
    bytes: u64,
    free_bytes: u64,
}

impl Checked {
    /// How much is wrong.
    pub(crate) fn problems(&self) -> u64 {
        self.problems.count
    }
}

/// Checks the log of a data directory; a quick check leaves out whether indexes agree with tables, and bodies.
pub(crate) fn check(data_dir: &Path, is_quick: bool) -> Result<Checked, ToolError> {
    let path = existing(data_dir)?;
    let mut problems = Problems::default();
    let connection = open::inspect(&path)?;
    let summary = match schema::version(&connection) {
        Ok(VERSION) => {
            pages(&connection, is_quick, &mut problems);
            rows(&connection, &path, is_quick, &mut problems)
        }
        Ok(version) => {
            problems.add(format!("it has version {version}: a server brings it to {VERSION}"));
            None
        }
        Err(error) => {
            problems.add(error.to_string());
            if let SchemaError::Newer(_) = error {
                pages(&connection, is_quick, &mut problems);
                problems.add("no more than its pages was checked: use that version's own check");
            }
            None
        }
    };
    Ok(Checked { path, problems, summary })
}

/// What SQLite says.
fn pages(connection: &Connection, is_quick: bool, problems: &mut Problems) {
    let _progress = Progress::open_end("checking the pages");
    let pragma = if is_quick { "quick_check" } else { "integrity_check" };
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}({PROBLEMS_MAX})"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            text.lines().filter(|line| *line != "ok").for_each(|line| problems.add(line));
        }
        Ok(())
    };
    if let Err(error) = read() {
        problems.add(format!("its pages cannot be checked to the end: {error}"));
    }
}

fn rows(
    connection: &Connection,
    path: &Path,
    is_quick: bool,
    problems: &mut Problems,
) -> Option<Summary> {
    let mut look = || -> rusqlite::Result<Summary> {
        let snapshot = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
        let epoch = snapshot.query_row(statements::EPOCH, [], |row| row.get(0))?;
        let last_seq = relations::log(&snapshot, problems)?;
        let totals = relations::all(&snapshot, is_quick, problems)?;
        let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let free_bytes = (pragma("freelist_count")? * pragma("page_size")?).unsigned_abs();
        Ok(Summary { totals, epoch, last_seq, bytes: bytes(path), free_bytes })
    };
    let looked = look();
    looked.inspect_err(|error| problems.add(format!("its rows cannot be read: {error}"))).ok()
}

/// What a log takes on the disk, its write-ahead log included.
pub(super) fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |data| data.len());
    size(path) + size(&path.with_extension("db-wal"))
}

/// A time as RFC 3339 has it.
fn time(millis: Millis) -> String {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .filter(|_| millis < 253_402_300_800_000) // the year 10,000, where its form ends
        .map_or_else(
            || format!("{millis} ms"),
            |time| humantime::format_rfc3339_millis(time).to_string(),
        )
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problems { list, count } = &self.problems;
        writeln!(f, "{}: {}", self.path.display(), if *count == 0 { "ok" } else { "damaged" })?;
        list.iter().try_for_each(|problem| writeln!(f, "  {problem}"))?;
        if *count > list.len() as u64 {
            writeln!(f, "  … and {} more", count - list.len() as u64)?;
        }
        self.summary.as_ref().map_or(Ok(()), |summary| write!(f, "{summary}"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { rooms, directs, messages, keys, first, last } = self.totals;
        writeln!(f, "  rooms                 {rooms}")?;
        writeln!(f, "  direct conversations  {directs}")?;
        writeln!(f, "  messages              {messages}")?;
        writeln!(f, "  kept keys             {keys}")?;
        writeln!(
            f,
            "  bytes                 {}, of which {} are free",
            self.bytes, self.free_bytes
        )?;
        writeln!(f, "  epoch                 {}", self.epoch)?;
        writeln!(f, "  last position         {}", self.last_seq)?;
        if messages > 0 {
            writeln!(f, "  first message         {}", time(first))?;
            writeln!(f, "  last message          {}", time(last))?;
        }
        Ok(())
    }
}
