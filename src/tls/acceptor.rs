//! The rules of the handshake, and the threads that it is made on: apart from those that answer HTTP, few, and behind
//! the shards in the kernel's order, so that a storm of handshakes takes what the others leave.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{self, Instant};

use crate::tls::failure::{self, Failure};
use crate::tls::shake::{Shaken, shake};
use crate::tls::stream::Stream;

/// Accepts connections that speak TLS.
#[derive(Clone)]
pub struct Acceptor {
    rules: Arc<ServerConfig>,
    threads: Handle,
}

impl Acceptor {
    pub(super) fn new(rules: ServerConfig, threads: Handle) -> Self {
        Self { rules: Arc::new(rules), threads }
    }

    /// Makes the handshake, counts what came of it, and gives the socket back where it failed.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
        deadline: Instant,
    ) -> Result<Stream, (Option<TcpStream>, Failure)> {
        let rules = Arc::clone(&self.rules);
        let handshake = self.threads.spawn(async move {
            let mut socket = socket;
            let shaken = time::timeout_at(deadline, shake(rules, &mut socket)).await;
            (socket, shaken.unwrap_or(Err(Failure::Timeout)))
        });
        let (socket, shaken) = handshake.await.map_err(|error| {
            tracing::error!(%error, "a TLS handshake broke down");
            Failure::Internal.count();
            (None, Failure::Internal)
        })?;
        match shaken {
            Ok(Shaken { channel, plain, is_resumed, is_known }) => {
                failure::count_success(is_resumed);
                Ok(Stream::new(socket, Box::new(channel), plain).known(is_known))
            }
            Err(failure) => {
                failure.count();
                Err((Some(socket), failure))
            }
        }
    }
}
