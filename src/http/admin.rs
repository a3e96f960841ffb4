//! The operator's endpoints: `/metrics`, `/healthz`, `/readyz`. They have an address of their own and share nothing
//! with the shards, so they answer while every shard is busy.

use std::{convert::Infallible, io, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};

use crate::{
    exposition::Exposition,
    gate::{keys::Keys, origin::OriginRule, proxies},
    http::{
        linger, pages,
        readiness::{Phase, Readiness},
        reception,
        refusal::Refusal,
        socket::Socket,
        upgrade,
    },
    tls::Acceptor,
};

/// Connections at once: a few scrapers and probes. More wait in the listener's backlog. Less than what is kept of the
/// descriptors for the process as a whole.
pub(super) const CONNECTIONS_MAX: usize = 32;
/// How long a connection may take for a request, or idle between two, in seconds: idle
/// ones must not keep a probe out for long, and a scraper loses nothing by connecting anew.
const IDLE_TIMEOUT_SECS: u64 = 10;
/// How long a connection lives at most, in seconds, whatever it does: one that never reads its answers ends too.
const LIFETIME_SECS: u64 = 600;
/// Request line and fields together, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long to wait after an accept failed, in seconds: the cause is most often that file descriptors ran out.
const ACCEPT_BACKOFF_SECS: u64 = 1;

/// What keys can be good for here: `/metrics`, and the other two.
pub const ADMIN_SCOPES: [&str; 2] = [METRICS, HEALTH];
const METRICS: &str = "metrics";
const HEALTH: &str = "health";

/// What the endpoints tell about.
pub struct Admin {
    /// Renders the metrics.
    pub metrics: Exposition,
    /// Whether the server is in service.
    pub readiness: Arc<Readiness>,
    /// Who is answered beside the programs of this machine.
    pub keys: Keys,
    /// What speaks TLS with the holders of certificates; without it plain HTTP is spoken.
    pub tls: Option<Acceptor>,
}

/// Answers on `listener` until dropped; to be run on the control runtime. It answers this machine's own programs and
/// pages, as the [`OriginRule`] has it, and from elsewhere whoever shows a key; over TLS whoever has a
/// certificate.
///
/// # Errors
///
/// If the listener cannot be used at all.
pub async fn serve_admin(listener: std::net::TcpListener, admin: Admin) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let admin = Arc::new(admin);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    let lifetime = Duration::from_secs(LIFETIME_SECS);
                    // Whatever ends the connection, nobody is left to be told.
                    let _ = time::timeout(lifetime, admin.serve(stream, peer.ip())).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin address cannot accept a connection");
                time::sleep(Duration::from_secs(ACCEPT_BACKOFF_SECS)).await;
            }
        }
    }
}

impl Admin {
    async fn serve(&self, stream: TcpStream, peer: IpAddr) -> hyper::Result<()> {
        let Some(socket) = self.shake_hands(stream).await else { return Ok(()) };
        let service = service_fn(async |request| {
            let answer = self.answer(&request, peer);
            Ok::<_, Infallible>(answer.unwrap_or_else(Refusal::response))
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(IDLE_TIMEOUT_SECS))
            .max_buf_size(HEADER_BYTES_MAX)
            .max_header_size(HEADER_BYTES_MAX)
            .half_close(true)
            .serve_connection(TokioIo::new(socket), service)
            .await
    }

    /// `None` for a peer that cannot prove who it is.
    async fn shake_hands(&self, stream: TcpStream) -> Option<Socket> {
        let Some(acceptor) = &self.tls else { return Some(Socket::Plain(stream)) };
        let deadline = time::Instant::now() + Duration::from_secs(IDLE_TIMEOUT_SECS);
        match acceptor.accept(stream, deadline).await {
            Ok(stream) => Some(Socket::Sealed(Box::new(stream))),
            Err((stream, failure)) => {
                let reason = failure.label();
                tracing::debug!(reason, "TLS handshake failed on the admin address");
                if let Some(stream) = stream {
                    linger::close(Socket::Plain(stream), None).await;
                }
                None
            }
        }
    }

    fn answer(
        &self,
        request: &Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let path = request.uri().path();
        let scope = if path == "/metrics" { METRICS } else { HEALTH };
        self.authorise(request, peer, scope).inspect_err(|refusal| refusal.count())?;
        let render: fn(&Self) -> Response<Full<Bytes>> = match path {
            "/metrics" => Self::metrics,
            "/healthz" => |_| plain(StatusCode::OK, "ok\n"),
            "/readyz" => Self::readyz,
            _ => return Err(Refusal::NotFound),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::Method { allow: pages::METHODS });
        }
        Ok(render(self))
    }

    /// Whoever shows a key has what it is good for. Without one only this machine's own programs and pages are answered.
    fn authorise(
        &self,
        request: &Request<Incoming>,
        peer: IpAddr,
        scope: &str,
    ) -> Result<(), Refusal> {
        let headers = request.headers();
        let authority = reception::authority(request)?;
        // Whoever got that far has a certificate.
        if self.tls.is_some() {
            return Ok(());
        }
        if let Some(shown) = upgrade::only(headers, &header::AUTHORIZATION) {
            let key = bearer(shown).and_then(|key| self.keys.find(key)).ok_or(Refusal::NoKey)?;
            return if key.has(scope) { Ok(()) } else { Err(Refusal::KeyScope) };
        }
        if !peer.to_canonical().is_loopback() || proxies::is_forwarded(headers, peer) {
            return Err(Refusal::NoKey);
        }
        let origins = headers.get_all(header::ORIGIN).iter().map(|origin| origin.as_bytes());
        OriginRule::Loopback { files: false }
            .check(authority, origins)
            .map(drop)
            .map_err(Refusal::Foreign)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.metrics.render()));
        let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, version);
        response
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        match self.readiness.phase() {
            Phase::Starting => plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Phase::Ready => plain(StatusCode::OK, "ok\n"),
            Phase::Draining => plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }
}

/// The key of `Authorization: Bearer …`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
