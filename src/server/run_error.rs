//! Why a server ended that was not told to.

use std::io;

/// Why a server ended that was not told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A shard panicked, and with it a part of the sessions is gone: the process should end.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// Its number.
        shard: usize,
        /// What it said.
        message: String,
    },
    /// A thread of the log panicked, and with it nothing could be stored or nothing read: the process should end.
    #[error("the log panicked: {message}")]
    Log {
        /// What it said.
        message: String,
    },
    /// A shard's poll failed.
    #[error("shard {shard} failed: {source}")]
    Failed {
        /// Its number.
        shard: usize,
        /// What the system says.
        source: io::Error,
    },
    /// A shard's thread could not be started.
    #[error("a shard's thread could not be started: {0}")]
    Thread(io::Error),
}
