//! Connects to the host of a URL: its name is resolved here, and what was checked is what is connected to, so that a
//! name which means another address the next time leads nowhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tower_service::Service;

use super::networks::Networks;

/// Opens connections for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    pub(super) networks: Networks,
    /// A connection that nobody waits for any more is not tried for longer either.
    pub(super) timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("the name has only addresses that must not be connected to")]
    Forbidden,
    #[error("it took too long")]
    Timeout,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = *self;
        Box::pin(async move {
            let connecting = timeout(connector.timeout, connector.connect(&uri));
            connecting.await.unwrap_or(Err(ConnectError::Timeout)).map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(self, uri: &Uri) -> Result<TcpStream, ConnectError> {
        let mut error = ConnectError::Io(io::ErrorKind::NotFound.into());
        for address in resolve(uri).await? {
            if !self.networks.allows(address.ip()) {
                error = ConnectError::Forbidden;
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(failed) => error = failed.into(),
            }
        }
        Err(error)
    }
}

async fn resolve(uri: &Uri) -> io::Result<Vec<SocketAddr>> {
    let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default);
    match literal(host) {
        Some(address) => Ok(vec![(address, port).into()]),
        None => Ok(lookup_host((host, port)).await?.collect()),
    }
}

/// The address that a host is, where it is one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}
