//! Why a server cannot start.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use crate::config::Problems;
use crate::http::RouteError;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong; nothing was bound.
    #[error("the configuration is refused:\n{0}")]
    Config(Problems),
    /// A route is wrong; nothing was bound.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// An address could not be listened on.
    #[error("cannot listen on {address} ({key})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The configuration's key for it.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The process has a metrics recorder already.
    #[error("the metrics cannot be recorded")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The log of the chat cannot be used: its directory, its file.
    #[error(transparent)]
    Log(Box<dyn Error + Send + Sync>),
    /// The system refuses threads, polls or pipes.
    #[error("the system refuses what the server needs")]
    System(#[from] io::Error),
}

impl StartError {
    pub(super) fn log(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Log(error.into())
    }
}
