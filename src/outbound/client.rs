//! One URL of the configuration, and the way to ask it.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use metrics::{Gauge, Histogram};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::breaker::{Breaker, Terms, Turn};
use super::connector::{ConnectError, Connector, literal};
use super::trust::{self, TrustError};
use super::{ANSWERED, Failure, Networks, Purpose};
use crate::metrics::{
    OUTBOUND_BREAKER_OPEN, OUTBOUND_DURATION, OUTBOUND_PENDING, OUTBOUND_REQUESTS,
};

/// An answer's status line and fields, in bytes and in number.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// What a client is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) url: &'a str,
    /// From the request to the last byte of its answer, everything between counted.
    pub(crate) timeout: Duration,
    pub(crate) answer_bytes_max: usize,
    /// Requests on their way at once; a further one fails.
    pub(crate) requests_max: usize,
    pub(crate) networks: Networks,
    /// Authorities beside those of the system.
    pub(crate) ca_file: Option<&'a Path>,
    pub(crate) breaker: Terms,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Of the URL.
    #[error("{0}")]
    Url(&'static str),
    /// Of the file with authorities, or for want of one.
    #[error("{0}")]
    Trust(TrustError),
}

/// An answer that is no redirect and does not say that something is down. Its body may be anything.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// What a request is made of, beside what all have.
type Asked = (Method, HeaderMap, Bytes);

/// Asks one URL. Its connections are kept for the next request.
pub(crate) struct Client {
    purpose: Purpose,
    url: Uri,
    timeout: Duration,
    answer_bytes_max: usize,
    http: legacy::Client<HttpsConnector<Connector>, Full<Bytes>>,
    permits: Semaphore,
    requests_max: usize,
    breaker: Breaker,
    since: Instant,
    duration: Histogram,
    pending: Gauge,
    is_open: Gauge,
}

/// The URL, if requests can be made to it: nothing in it is secret, as URLs are logged by whoever sees them.
pub(crate) fn check_url(url: &str, networks: Networks) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with http:// or https://");
    }
    let authority = uri.authority().ok_or("names no host")?;
    if authority.host().is_empty() {
        return Err("names no host");
    }
    if authority.as_str().contains('@') {
        return Err("must have no user and no password");
    }
    if literal(authority.host()).is_some_and(|address| !networks.allows(address)) {
        return Err("is a private address, which allow_private_networks = false forbids");
    }
    Ok(uri)
}

impl Client {
    /// Nothing is connected before the first request.
    ///
    /// # Errors
    /// The URL is none, or nobody would be trusted.
    pub(crate) fn new(settings: &Settings<'_>) -> Result<Self, ClientError> {
        let Settings { purpose, timeout, networks, requests_max, .. } = *settings;
        let url = check_url(settings.url, networks).map_err(ClientError::Url)?;
        let connector = https(&url, settings).map_err(ClientError::Trust)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(requests_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .build(connector);
        Ok(Self {
            purpose,
            url,
            timeout,
            answer_bytes_max: settings.answer_bytes_max,
            http,
            permits: Semaphore::new(requests_max),
            requests_max,
            breaker: Breaker::new(settings.breaker),
            since: Instant::now(),
            duration: metrics::histogram!(OUTBOUND_DURATION, "purpose" => purpose.label()),
            pending: metrics::gauge!(OUTBOUND_PENDING, "purpose" => purpose.label()),
            is_open: metrics::gauge!(OUTBOUND_BREAKER_OPEN, "purpose" => purpose.label()),
        })
    }

    /// Sends a body of JSON with those fields beside.
    ///
    /// # Errors
    /// There is no answer that counts, and why; counted.
    pub(crate) async fn post(&self, mut fields: HeaderMap, json: Bytes) -> Result<Answer, Failure> {
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.counted((Method::POST, fields, json)).await
    }

    /// Asks for what is there.
    ///
    /// # Errors
    /// There is no answer that counts, and why; counted.
    pub(crate) async fn get(&self) -> Result<Answer, Failure> {
        self.counted((Method::GET, HeaderMap::new(), Bytes::new())).await
    }

    async fn counted(&self, asked: Asked) -> Result<Answer, Failure> {
        let answer = self.ask(&asked).await;
        let result = answer.as_ref().map_or_else(|failure| failure.label(), |_| ANSWERED);
        let purpose = self.purpose.label();
        metrics::counter!(OUTBOUND_REQUESTS, "purpose" => purpose, "result" => result).increment(1);
        answer
    }

    async fn ask(&self, asked: &Asked) -> Result<Answer, Failure> {
        let _permit = self.permits.try_acquire().map_err(|_| Failure::Busy)?;
        if !self.breaker.admits(self.now()) {
            return Err(Failure::Open);
        }
        let _pending = Pending::new(self);
        let start = Instant::now();
        let answer = tokio::time::timeout(self.timeout, self.exchange(asked)).await;
        let answer = answer.unwrap_or(Err(Failure::Timeout));
        self.duration.record(start.elapsed());
        self.learn(answer.as_ref().err().copied());
        answer
    }

    async fn exchange(&self, asked: &Asked) -> Result<Answer, Failure> {
        let response = match self.http.request(self.request(asked)).await {
            // A kept connection may have ended as the request came. Asking twice changes nothing.
            Err(error) if failure(&error) == Failure::Lost => {
                self.http.request(self.request(asked)).await
            }
            response => response,
        };
        self.read(response.map_err(|error| failure(&error))?).await
    }

    fn request(&self, (method, fields, body): &Asked) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.extend(fields.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("uproar/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        request
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, Failure> {
        let (head, mut incoming) = response.into_parts();
        match head.status {
            status if status.is_redirection() => return Err(Failure::Redirect),
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => return Err(Failure::Down),
            _ => {}
        }
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| Failure::Lost)?;
            let Ok(data) = frame.into_data() else { continue };
            if body.len() + data.len() > self.answer_bytes_max {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&data);
        }
        Ok(Answer { status: head.status, body: body.freeze() })
    }

    /// What the breaker makes of it.
    fn learn(&self, failure: Option<Failure>) {
        let turn = match failure {
            Some(failure) if failure.is_outage() => self.breaker.failed(self.now()),
            _ => self.breaker.succeeded(),
        };
        let purpose = self.purpose.label();
        match (turn, failure) {
            (Turn::Opened, Some(failure)) => {
                tracing::warn!(purpose, %failure, "the backend fails; it is asked less for now");
                self.is_open.set(1.0);
            }
            (Turn::Closed, _) => {
                tracing::info!(purpose, "the backend answers again");
                self.is_open.set(0.0);
            }
            _ => {}
        }
    }

    /// Milliseconds on the breaker's clock.
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// Shows how many requests are on their way while one is.
struct Pending<'a>(&'a Client);

impl<'a> Pending<'a> {
    fn new(client: &'a Client) -> Self {
        client.show_pending(0);
        Self(client)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Its permit goes after this.
        self.0.show_pending(1);
    }
}

impl Client {
    fn show_pending(&self, but: usize) {
        let taken = self.requests_max.saturating_sub(self.permits.available_permits());
        self.pending.set(taken.saturating_sub(but) as f64);
    }
}

/// Authorities are only looked for where somebody has to be trusted.
fn https(url: &Uri, settings: &Settings<'_>) -> Result<HttpsConnector<Connector>, TrustError> {
    let connector = Connector { networks: settings.networks, timeout: settings.timeout };
    let is_needed = url.scheme_str() == Some("https") || settings.ca_file.is_some();
    let tls = if is_needed { trust::tls(settings.ca_file)? } else { trust::none()? };
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(builder.enable_http1().wrap_connector(connector))
}

fn failure(error: &legacy::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<ConnectError>() {
            Some(ConnectError::Forbidden) => return Failure::Forbidden,
            Some(ConnectError::Timeout) => return Failure::Timeout,
            Some(ConnectError::Io(_)) => return Failure::Connect,
            None => {}
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
            return Failure::TooLarge;
        }
        cause = error.source();
    }
    if error.is_connect() { Failure::Connect } else { Failure::Lost }
}
