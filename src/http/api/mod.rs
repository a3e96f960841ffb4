//! The API of the application's own backend, under `/api/v1`: JSON over HTTP, for whoever has a key.
//!
//! `endpoints` has the paths, `input` reads what comes, `problem` says what is wrong; what is done stands in `publish`,
//! `rooms`, `users` and `moderation`. The document that describes all of it is `openapi.json`; a test holds both to each other.

mod endpoints;
mod input;
mod moderation;
mod problem;
mod publish;
mod rooms;
mod users;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{self, HeaderValue},
    http::request,
};
use serde_json::json;
use tokio::{
    sync::{Mutex, Semaphore},
    time,
};

pub use self::endpoints::API_SCOPES;
pub(crate) use self::endpoints::ROUTES;
use self::endpoints::{Action, PREFIX, Place};
use self::input::Query;
use self::problem::Problem;
use crate::{
    gate::{
        keys::AccessKey,
        keys::Keys,
        rate::{Debt, Rate},
        standing::Measure,
    },
    handle::Handle,
    http::{connections::Connections, refusal::Refusal},
    hub::Hub,
    log::client::Client,
    log::writer::system_time,
    measures::Measures,
    metrics::{API_REQUEST_DURATION, API_REQUESTS},
    rooms::rules::RoomRules,
    users::Users,
};

/// The document that describes the API.
const DOCUMENT: &str = include_str!("openapi.json");

/// Every status that an answer can have: the values of the label `status`.
pub(crate) const STATUSES: [&str; 14] = [
    "200", "204", "400", "401", "403", "404", "405", "408", "409", "413", "415", "422", "429",
    "503",
];

/// Bounds on what comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) body_bytes_max: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) requests_in_flight_max: usize,
    pub(crate) message_bytes_max: usize,
    pub(crate) rate: Option<Rate>,
}

/// What the API acts on.
pub(crate) struct Parts {
    pub(crate) keys: Vec<AccessKey>,
    pub(crate) bounds: Bounds,
    pub(crate) hub: Arc<Hub>,
    pub(crate) users: Users,
    pub(crate) measures: Measures,
    pub(crate) chat: Option<Chat>,
    pub(crate) relay: Option<Relay>,
    pub(crate) connections: Arc<Connections>,
    /// Whether it is only for those who show a certificate, beside the key.
    pub(crate) asks_certificate: bool,
}

/// The chat, where it is served.
pub(crate) struct Chat {
    /// Its position among the routes.
    pub(crate) route: usize,
    pub(crate) log: Client,
    pub(crate) rules: Arc<RoomRules>,
    pub(crate) message_bytes_max: usize,
    pub(crate) history_messages_max: u64,
}

/// The relay, where it is served.
pub(crate) struct Relay {
    pub(crate) rooms: Handle,
    /// Those whose path names no room.
    pub(crate) lobby: Handle,
}

/// Answers requests.
pub(crate) struct Api {
    keys: Keys,
    /// What the key of that name has run up; one request at a time looks at it, and waits for nothing meanwhile.
    debts: Vec<(String, Mutex<Debt>)>,
    rate: Option<Rate>,
    start: Instant,
    body_bytes_max: usize,
    message_bytes_max: usize,
    request_timeout: Duration,
    places: Semaphore,
    hub: Arc<Hub>,
    users: Users,
    measures: Measures,
    chat: Option<Chat>,
    relay: Option<Relay>,
    connections: Arc<Connections>,
    asks_certificate: bool,
    duration: metrics::Histogram,
}

/// What a request is answered with that was done: JSON, or nothing.
type Answer = Result<Option<String>, Problem>;

impl Api {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            keys,
            bounds,
            hub,
            users,
            measures,
            chat,
            relay,
            connections,
            asks_certificate,
        } = parts;
        let debt = |key: &AccessKey| (key.name.clone(), Mutex::new(Debt::default()));
        Self {
            debts: keys.iter().map(debt).collect(),
            keys: Keys::new(keys),
            rate: bounds.rate,
            start: Instant::now(),
            body_bytes_max: bounds.body_bytes_max,
            message_bytes_max: bounds.message_bytes_max,
            request_timeout: bounds.request_timeout,
            places: Semaphore::new(bounds.requests_in_flight_max),
            hub,
            users,
            measures,
            chat,
            relay,
            connections,
            asks_certificate,
            duration: metrics::histogram!(API_REQUEST_DURATION),
        }
    }

    /// Whether a path is the API's.
    pub(super) fn is_at(path: &str) -> bool {
        path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether a request shows a key.
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        self.key(headers).is_some()
    }

    /// How long a connection may take for a request that has begun, its body and its answer, and then for the next.
    pub(super) fn patience(&self) -> Duration {
        3 * self.request_timeout
    }

    /// Answers a request for one of the API's paths, or what is to be answered to it in any case. `is_known` says
    /// whether it came with a certificate.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        refusal: Option<Refusal>,
        is_known: bool,
    ) -> Response<Full<Bytes>> {
        let start = Instant::now();
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let place = Place::find(path);
        let result = match refusal {
            Some(refusal) => Err(refusal.into()),
            None if self.asks_certificate && !is_known => Err(Problem::no_certificate()),
            None => self.respond(&head, body, place.as_ref()).await,
        };
        let response = result.unwrap_or_else(Problem::response);
        let route = place.map_or(ROUTES[ROUTES.len() - 1], |place| place.endpoint.template);
        let status = response.status();
        let status = STATUSES.iter().find(|known| **known == status.as_str());
        if let Some(status) = status {
            metrics::counter!(API_REQUESTS, "route" => route, "status" => *status).increment(1);
        }
        self.duration.record(start.elapsed());
        response
    }

    /// Checks from the outside in, so that a stranger learns nothing about the inside.
    async fn respond(
        &self,
        head: &request::Parts,
        body: Incoming,
        place: Option<&Place<'_>>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let key = self.key(&head.headers).ok_or_else(Problem::no_key)?;
        self.charge(key).await?;
        let place = place.ok_or_else(|| Problem::not_found("the API has no such path"))?;
        if head.method == Method::OPTIONS {
            return Ok(options(place.allow()));
        }
        let action = place.action(&head.method).ok_or_else(|| Problem::method(place.allow()))?;
        if let Some(scope) = action.scope().filter(|scope| !key.has(scope)) {
            let detail = format!("this key is not for that; it would need the scope {scope}");
            return Err(Problem::new(StatusCode::FORBIDDEN, "scope", detail));
        }
        let _place = self.places.try_acquire().map_err(|_| {
            Problem::unavailable(
                "too many requests are being answered (api.requests_in_flight_max)",
            )
        })?;
        let body = self.body(&head.method, &head.headers, body).await?;
        let done = self.act(action, place, head, &body);
        let done = time::timeout(self.request_timeout, done).await;
        let late = || Problem::unavailable("the answer took too long; it may have been done");
        Ok(respond_with(done.unwrap_or_else(|_| Err(late()))?))
    }

    async fn act(
        &self,
        action: Action,
        place: &Place<'_>,
        head: &request::Parts,
        body: &str,
    ) -> Answer {
        let name = place.name()?;
        let query = Query::read(head.uri.query())?;
        let query = match action {
            Action::Rooms => return self.rooms(query).map(Some),
            Action::History => {
                input::room(&name)?;
                return self.history(&name, query).await.map(Some);
            }
            _ => query,
        };
        query.end()?;
        match action {
            Action::Document => return Ok(Some(DOCUMENT.to_owned())),
            Action::Stats => return Ok(Some(self.stats())),
            Action::Publish => {
                return self.publish(&head.headers, body).await.map(|done| Some(done.to_string()));
            }
            Action::Members => {
                input::room(&name)?;
                return self.members(&name).await.map(Some);
            }
            Action::Redact => {
                input::room(&name)?;
                return self.redact(&name, body).await.map(Some);
            }
            Action::Clear => {
                input::room(&name)?;
                return self.clear(&name).await.map(Some);
            }
            _ => input::user(&name)?,
        }
        match action {
            Action::Disconnect => self.disconnect(&name, body).map(|()| None),
            Action::Mute => self.take_measure(&name, Measure::Mute, body).await.map(Some),
            Action::Unmute => self.lift(&name, Measure::Mute).await.map(|()| None),
            Action::Ban => self.take_measure(&name, Measure::Ban, body).await.map(Some),
            Action::Unban => self.lift(&name, Measure::Ban).await.map(|()| None),
            Action::Direct => {
                let done = self.direct(&name, &head.headers, body).await;
                done.map(|done| Some(done.to_string()))
            }
            Action::RedactDirect => self.redact_direct(&name, body).await.map(Some),
            Action::Erase => self.erase(&name).await.map(Some),
            _ => self.user(&name).await.map(Some),
        }
    }

    fn stats(&self) -> String {
        let measures = self.hub.standings.counts(system_time());
        let measures: serde_json::Map<_, _> = Measure::LABELS
            .into_iter()
            .zip(measures)
            .map(|(label, count)| (label.to_owned(), json!(count)))
            .collect();
        let stats = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_secs": self.start.elapsed().as_secs(),
            "shards": self.hub.ports.len(),
            "sessions": self.connections.count(),
            "rooms": self.hub.directory.len(),
            "users_restricted": measures,
        });
        stats.to_string()
    }

    /// The body, where the method has one; empty else.
    async fn body(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<String, Problem> {
        if method == Method::POST {
            return input::body(headers, body, self.body_bytes_max, self.request_timeout).await;
        }
        if body.is_end_stream() {
            return Ok(String::new());
        }
        Err(Problem::malformed("this method takes no body"))
    }

    fn key(&self, headers: &HeaderMap) -> Option<&AccessKey> {
        let mut lines = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (scheme, shown) = line.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| self.keys.find(shown.trim()))?
    }

    async fn charge(&self, key: &AccessKey) -> Result<(), Problem> {
        let found = self.debts.iter().find(|(name, _)| *name == key.name);
        let (Some(rate), Some((_, debt))) = (self.rate, found) else { return Ok(()) };
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        rate.take(&mut *debt.lock().await, now, 1).map_err(Problem::too_many)
    }

    fn chat(&self) -> Result<&Chat, Problem> {
        self.chat.as_ref().ok_or_else(|| Problem::not_found("the chat is not served"))
    }
}

fn options(allow: String) -> Response<Full<Bytes>> {
    let mut response = respond_with(None);
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn respond_with(json: Option<String>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match json {
        Some(json) => {
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            *response.body_mut() = Full::from(json);
        }
        None => *response.status_mut() = StatusCode::NO_CONTENT,
    }
    response
}

/// Makes the counters exist at zero.
pub(super) fn register() {
    let none = ROUTES[ROUTES.len() - 1];
    for route in ROUTES {
        metrics::counter!(API_REQUESTS, "route" => route, "status" => STATUSES[0]).increment(0);
    }
    for status in STATUSES {
        metrics::counter!(API_REQUESTS, "route" => none, "status" => status).increment(0);
    }
    let _ = metrics::histogram!(API_REQUEST_DURATION);
}
