//! Opening the database: the first time, again after a failure, and for readers; and why that cannot be done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, SchemaError};
use super::{Synchronous, statements};
use crate::log::Epoch;

/// How long a lock of some other program is waited for. Longer, and those who send would rather be told.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Above this the write-ahead log is cut when it begins anew, in bytes.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// The pages that the writing connection keeps in memory, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// Why a server cannot start with a database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(
        "the log {path} is damaged: {problem}. \
         `uproar log check` says more, `uproar log export` saves what can be read; \
         restore a backup, or move the file away to begin anew"
    )]
    Corrupt { path: PathBuf, problem: String },
    #[error(
        "the log {path} was written by a newer version of Uproar: {problem}. \
         Start that version, or let its `uproar log export` write what this one can import"
    )]
    Newer { path: PathBuf, problem: String },
    #[error(
        "the log {path} was written by an older version of Uproar: {problem}. \
         Start the server once, or read it with that version"
    )]
    Older { path: PathBuf, problem: String },
    #[error("{path} cannot be the log: {problem}. Move it away, or choose another server.data_dir")]
    Foreign { path: PathBuf, problem: String },
    #[error("the log {path} cannot be opened: {source}")]
    Unusable { path: PathBuf, source: rusqlite::Error },
}

impl OpenError {
    pub(super) fn new(path: &Path, error: SchemaError) -> Self {
        let (path, problem) = (path.to_owned(), error.to_string());
        match error {
            SchemaError::Foreign => Self::Foreign { path, problem },
            SchemaError::Newer(_) => Self::Newer { path, problem },
            SchemaError::Older(_) => Self::Older { path, problem },
            SchemaError::Sqlite(error) if is_damage(&error) => Self::Corrupt { path, problem },
            SchemaError::Sqlite(source) => Self::Unusable { path, source },
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, QueryReturnedNoRows};
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            QueryReturnedNoRows | IntegralValueOutOfRange(..) | FromSqlConversionFailure(..)
        )
}

/// Opens the database for writing, makes it if there is none, and looks whether it can be relied on.
pub(super) fn create(
    path: &Path,
    synchronous: Synchronous,
) -> Result<(Connection, Epoch), OpenError> {
    let try_create = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = connect(path, flags)?;
        // Before anything is written to what may not be ours.
        schema::version(&connection)?;
        write_ahead(&connection, synchronous)?;
        schema::prepare(&mut connection)?;
        let epoch = epoch(&connection)?;
        Ok((connection, epoch))
    };
    let (connection, epoch) = try_create().map_err(|error| OpenError::new(path, error))?;
    match check(&connection) {
        Ok(None) => Ok((connection, epoch)),
        Ok(Some(problem)) => Err(OpenError::Corrupt { path: path.to_owned(), problem }),
        Err(error) => Err(OpenError::new(path, error.into())),
    }
}

/// Opens the database for writing once more. It must be the one that it was.
pub(super) fn again(
    path: &Path,
    synchronous: Synchronous,
    epoch: &Epoch,
) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    write_ahead(&connection, synchronous)?;
    same(connection, epoch)
}

/// Opens the database for reading. It must be the one that is written.
pub(super) fn read_only(path: &Path, epoch: &Epoch) -> rusqlite::Result<Connection> {
    same(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?, epoch)
}

/// Opens a database for reading, whatever it is.
pub(super) fn inspect(path: &Path) -> Result<Connection, OpenError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| OpenError::new(path, error.into()))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread has it, so it needs no lock of its own.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn write_ahead(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_MAX, |_| Ok(()))?;
    set_synchronous(connection, synchronous)?;
    // What is removed is not to be found in the file any more.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}

fn set_synchronous(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// For retention: nothing is promised of what it does, and what a loss of power undoes it does again. So it neither
/// waits for the disk nor for other programs.
pub(super) fn unhurried(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    set_synchronous(connection, Synchronous::Normal)
}

/// For batches again. What their commits sync includes what was written before.
pub(super) fn hurried(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    set_synchronous(connection, synchronous)
}

fn epoch(connection: &Connection) -> rusqlite::Result<Epoch> {
    connection.query_row(statements::EPOCH, [], |row| Ok(row.get_ref(0)?.as_str()?.into()))
}

fn same(connection: Connection, expected: &Epoch) -> rusqlite::Result<Connection> {
    if epoch(&connection)? == *expected {
        Ok(connection)
    } else {
        Err(rusqlite::Error::InvalidPath("another log has taken its place".into()))
    }
}

/// Looks at both ends of what matters most; a whole check takes as long as reading everything.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let last_seq: i64 = connection.query_row(statements::LOG, [], |row| row.get(0))?;
    let last: Option<i64> = connection.query_row(statements::LAST_MESSAGE, [], |row| row.get(0))?;
    let is_beyond = last.is_some_and(|last| last > last_seq);
    Ok(is_beyond.then(|| format!("it has a message at {last:?}, beyond its end at {last_seq}")))
}
