//! Opens one connection: TCP from a chosen source address, the opening handshake, the check of its answer.

use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fastwebsockets::{WebSocketError, handshake};
use http_body_util::Empty;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, http};
use hyper_util::rt::TokioIo;
use mio::net::TcpStream as MioStream;
use rustls::ClientConnection;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::tls::Trust;
use super::wire::Wire;
use crate::target::Target;

/// Appended to the key before it is hashed (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    /// The server.
    pub(crate) target: Target,
    /// For a server that speaks TLS.
    pub(crate) trust: Option<Trust>,
    /// How long TCP and handshakes together may take.
    pub(crate) timeout: Duration,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("connection refused: nothing listens there, or its backlog is full")]
    Refused,
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the server ended the connection before it answered")]
    Reset,
    #[error("no file descriptor left")]
    Descriptors,
    #[error("no source address or port left")]
    Ports,
    #[error("the server answered HTTP {0} instead of 101")]
    Status(u16),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("not a WebSocket handshake: {0}")]
    Handshake(String),
    #[error("{0}")]
    Other(io::Error),
}

impl DialError {
    /// The kind of failure, as a report counts it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Refused => "refused".to_owned(),
            Self::TimedOut(_) => "timed out".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Descriptors => "no file descriptor".to_owned(),
            Self::Ports => "no address or port".to_owned(),
            Self::Status(status) => format!("HTTP {status}"),
            Self::Tls(_) => "bad TLS handshake".to_owned(),
            Self::Handshake(_) => "bad handshake".to_owned(),
            Self::Other(error) => error.kind().to_string(),
        }
    }
}

impl Dialer {
    /// Opens connection number `index` to that path of the server.
    pub(crate) async fn dial(&self, index: usize, path: &str) -> Result<Connection, DialError> {
        tokio::time::timeout(self.timeout, self.dial_untimed(index, path))
            .await
            .unwrap_or(Err(DialError::TimedOut(self.timeout)))
    }

    async fn dial_untimed(&self, index: usize, path: &str) -> Result<Connection, DialError> {
        let stream = self.connect(index).await.map_err(failed_io)?;
        let key = handshake::generate_key();
        let request = self.request(path, &key).map_err(|e| DialError::Handshake(e.to_string()))?;
        let Some(trust) = &self.trust else {
            let (stream, early) = upgrade(stream, request, &key).await?;
            return connection(stream, None, early);
        };
        let connector = TlsConnector::from(trust.rules.clone());
        let stream = connector.connect(trust.name.clone(), stream).await.map_err(DialError::Tls)?;
        let (stream, mut early) = upgrade(stream, request, &key).await?;
        let (stream, mut tls) = stream.into_inner();
        // What was decrypted and not read. It ends where more would have to come.
        let _ = tls.reader().read_to_end(&mut early);
        connection(stream, Some(Box::new(tls)), early)
    }

    async fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let address = self.target.address();
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = self.target.source(index) {
            socket.bind(source)?;
        }
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }

    fn request(&self, path: &str, key: &str) -> http::Result<Request<Empty<Bytes>>> {
        Request::get(path)
            .header(HOST, self.target.authority())
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "Upgrade")
            .header(SEC_WEBSOCKET_KEY, key)
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::new())
    }
}

/// Makes the opening handshake; the stream, and what came right behind the answer.
async fn upgrade<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
    key: &str,
) -> Result<(S, Vec<u8>), DialError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (socket, response) =
        handshake::client(&Spawn, request, stream).await.map_err(failed_handshake)?;
    verify(response.headers(), key).map_err(DialError::Handshake)?;
    let parts = socket
        .into_inner()
        .into_inner()
        .downcast::<TokioIo<S>>()
        .map_err(|_| DialError::Handshake("the connection was not handed over".to_owned()))?;
    Ok((parts.io.into_inner(), parts.read_buf.into()))
}

fn connection(
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    early: Vec<u8>,
) -> Result<Connection, DialError> {
    let stream = stream.into_std().map_err(DialError::Other)?;
    Ok(Connection::new(Wire::new(MioStream::from_std(stream), tls), early))
}

/// Runs hyper's side of a connection on the runtime of the thread that dials.
struct Spawn;

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawn {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }
}

/// What the crate's handshake leaves to check: that the server computed the accept value from our key, and that it did
/// not choose what was not offered (RFC 6455, section 4.1).
fn verify(headers: &HeaderMap, key: &str) -> Result<(), String> {
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).ok_or("Sec-WebSocket-Accept is missing")?;
    if accept.as_bytes() != accept_for(key).as_bytes() {
        return Err("Sec-WebSocket-Accept does not belong to the key".to_owned());
    }
    for uncalled in [SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL] {
        if headers.contains_key(&uncalled) {
            return Err(format!("{uncalled} was answered but not asked for"));
        }
    }
    Ok(())
}

fn accept_for(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(ACCEPT_SUFFIX);
    STANDARD.encode(hash.finalize())
}

fn failed_io(error: io::Error) -> DialError {
    // EMFILE and ENFILE have no kind of their own.
    const TOO_MANY_OPEN: [i32; 2] = [24, 23];
    match error.kind() {
        ErrorKind::ConnectionRefused => DialError::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => DialError::Reset,
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => DialError::Ports,
        _ if error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN.contains(&code)) => {
            DialError::Descriptors
        }
        _ => DialError::Other(error),
    }
}

fn failed_handshake(error: WebSocketError) -> DialError {
    match error {
        WebSocketError::InvalidStatusCode(status) => DialError::Status(status),
        WebSocketError::IoError(error) => failed_io(error),
        WebSocketError::HTTPError(error) if error.is_parse() => {
            DialError::Handshake(error.to_string())
        }
        WebSocketError::HTTPError(_) => DialError::Reset,
        other => DialError::Handshake(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_accept_value_is_that_of_the_rfc() {
        assert_eq!(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_answer_to_another_key_or_with_extras_is_refused() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let mut headers = HeaderMap::new();
        assert!(verify(&headers, key).unwrap_err().contains("missing"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("AAAA"));
        assert!(verify(&headers, key).unwrap_err().contains("does not belong"));
        headers
            .insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(verify(&headers, key), Ok(()));
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
        assert!(verify(&headers, key).unwrap_err().contains("extensions"));
    }
}
