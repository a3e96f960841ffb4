//! What an operator does with a log while no server needs to run: look whether it is whole, write it out, read it in,
//! make it smaller.
//!
//! Here is what these have in common: how a log is opened, and what can go wrong. [`check`] and [`export`] only read,
//! from one snapshot, and may do so beside a running server; [`import`] and [`prune`] have the data directory to
//! themselves. What an export looks like is in [`lines`].

pub(crate) mod check;
pub(crate) mod export;
pub(crate) mod import;
mod lines;
mod progress;
pub(crate) mod prune;
mod relations;
mod salvage;

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::schema::{self, SchemaError};
use super::{FILE, OpenError, open};
use crate::log::data_dir::{DataDir, DataDirError};

/// Why nothing, or no more, was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("there is no log at {path} (server.data_dir)")]
    Missing { path: PathBuf },
    #[error("the data directory {path} is in use by a running server: stop it first")]
    InUse { path: PathBuf },
    #[error(transparent)]
    Directory(DataDirError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the log {path} has no room {room:?}")]
    NoRoom { path: PathBuf, room: String },
    /// What was to be imported is wrong.
    #[error("line {number} {problem}. Nothing was imported")]
    Line { number: u64, problem: String },
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("the log failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The lock of a data directory, for who writes.
fn lock(data_dir: &Path) -> Result<DataDir, ToolError> {
    DataDir::lock(data_dir).map_err(|error| match error {
        DataDirError::InUse { path } => ToolError::InUse { path },
        unusable @ DataDirError::Unusable { .. } => ToolError::Directory(unusable),
    })
}

/// Where the log of a data directory is, if there is one.
fn existing(data_dir: &Path) -> Result<PathBuf, ToolError> {
    let path = data_dir.join(FILE);
    if path.exists() { Ok(path) } else { Err(ToolError::Missing { path }) }
}

/// Opens a log for reading whose tables this program knows, however damaged they are.
fn open_known(path: &Path) -> Result<Connection, ToolError> {
    let connection = open::inspect(path)?;
    // A file that is cut off can then be read up to there.
    connection.pragma_update(None, "writable_schema", true)?;
    match schema::version(&connection) {
        Ok(schema::VERSION) => Ok(connection),
        Ok(0) => Err(OpenError::new(path, SchemaError::Foreign).into()),
        Ok(older) => Err(OpenError::new(path, SchemaError::Older(older)).into()),
        Err(error) => Err(OpenError::new(path, error).into()),
    }
}
