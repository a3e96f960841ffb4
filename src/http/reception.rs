//! The judge of each request: a page, a refusal, or a 101 and what the session needs to begin.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{self, HeaderValue},
    service::Service,
};
use tokio::sync::Mutex;

use crate::{
    gate::{
        addresses::Arrival,
        host::Authority,
        origin::{self, Visitor},
        proxies,
        turnstile::Place,
    },
    http::{
        api::Api,
        connections::Admission,
        credentials,
        identity::{identify, is_failed_attempt},
        pages::{self, Page},
        patience::Patience,
        readiness::Phase,
        refusal::Refusal,
        routes::Match,
        site::Site,
        upgrade,
        wire::Tap,
    },
    protocol,
};

/// What became of the last request of a connection.
pub(super) enum Outcome {
    /// There was none yet.
    Nothing,
    /// It was answered and another may follow.
    Page,
    /// It was turned away, answered and counted.
    Refused,
    /// It is a WebSocket from here on; the 101 is held back in the wire.
    Accepted(Box<Accepted>),
}

/// A handshake that is right.
pub(super) struct Accepted {
    pub(super) route: usize,
    pub(super) request: protocol::Request,
    pub(super) admission: Admission,
    pub(super) place: Option<Box<Place>>,
}

/// Serves one connection's requests.
pub(super) struct Reception {
    desk: Arc<Desk>,
    /// One request at a time is served, so nobody ever waits for it.
    outcome: Arc<Mutex<Outcome>>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// It has shown a certificate that it was asked for.
    pub(super) is_known: bool,
}

/// Where one connection's requests are judged.
struct Desk {
    site: Arc<Site>,
    peer: Peer,
    /// Counts whoever this is; `None` for a proxy, each of whose requests may be somebody else's.
    arrival: Option<Arrival>,
    tap: Tap,
    patience: Patience,
}

/// Whose request it is.
#[derive(Clone, Copy)]
struct Caller<'a> {
    address: SocketAddr,
    arrival: &'a Arrival,
}

impl Reception {
    pub(super) fn new(
        site: Arc<Site>,
        peer: Peer,
        arrival: Option<Arrival>,
        (tap, patience): (Tap, Patience),
    ) -> Self {
        let desk = Arc::new(Desk { site, peer, arrival, tap, patience });
        Self { desk, outcome: Arc::new(Mutex::new(Outcome::Nothing)) }
    }

    /// To be asked once the connection is done with.
    pub(super) fn into_outcome(self) -> Outcome {
        Arc::into_inner(self.outcome).map_or(Outcome::Nothing, Mutex::into_inner)
    }
}

impl Desk {
    /// The answer to a request for one of the API's paths.
    async fn answer(&self, api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let client = self.client(request.headers());
        let counted = self.count_in(client);
        let refusal = match &counted {
            _ if self.site.readiness.phase() == Phase::Draining => Some(Refusal::Draining),
            Err(refusal) => Some(*refusal),
            // A key is as good as a token, where who names no page needs one.
            Ok(_) => self
                .visitor(&request)
                .and_then(|visitor| visitor.admit(true).map_err(Refusal::Foreign))
                .err(),
        };
        let shows_key = request.headers().contains_key(header::AUTHORIZATION);
        // So that a body may be asked for, and comes; and for the next request when this one is answered.
        self.tap.keep_open();
        if api.knows(request.headers()) {
            self.patience.extend(api.patience());
        }
        let response = api.answer(request, refusal, self.peer.is_known).await;
        if shows_key && response.status() == StatusCode::UNAUTHORIZED {
            self.site.turnstile.addresses.note_failure(client.ip());
        }
        self.tap.set(true);
        response
    }

    /// Whose request it is: the peer's, or whom a proxy names that is one of ours.
    fn client(&self, headers: &HeaderMap) -> SocketAddr {
        let proxies = &self.site.proxies;
        let Some(name) = proxies.header.name() else { return self.peer.address };
        let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        proxies.client(self.peer.address, lines)
    }

    /// Counts a request for whoever it is of, where that was not known before.
    async fn receive(
        &self,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<(Response<Full<Bytes>>, Outcome), Refusal> {
        let turnstile = &self.site.turnstile;
        if self.site.proxies.is_empty() && proxies::is_forwarded(request.headers(), client.ip()) {
            turnstile.note_forwarded(client.ip());
        }
        let forwarded = self.count_in(client)?;
        let Some(arrival) = self.arrival.as_ref().or(forwarded.as_ref()) else {
            return Err(Refusal::Lost);
        };
        self.judge(request, Caller { address: client, arrival }).await
    }

    /// Counts whoever it is of, where that was not known when the connection came.
    fn count_in(&self, client: SocketAddr) -> Result<Option<Arrival>, Refusal> {
        if self.arrival.is_some() {
            return Ok(None);
        }
        let addresses = &self.site.turnstile.addresses;
        let forwarded = addresses.arrive(client.ip()).map_err(Refusal::Excess)?;
        forwarded.check().map_err(Refusal::Excess)?;
        Ok(Some(forwarded))
    }

    fn visitor(&self, request: &Request<Incoming>) -> Result<Visitor, Refusal> {
        let origins =
            request.headers().get_all(header::ORIGIN).iter().map(|origin| origin.as_bytes());
        let visitor = self.site.origin_rule.check(authority(request)?, origins);
        visitor.map_err(Refusal::Foreign)
    }

    /// Checks from the outside in, so that a stranger learns nothing about the inside.
    async fn judge(
        &self,
        request: Request<Incoming>,
        caller: Caller<'_>,
    ) -> Result<(Response<Full<Bytes>>, Outcome), Refusal> {
        if self.site.readiness.phase() == Phase::Draining {
            return Err(Refusal::Draining);
        }
        let visitor = self.visitor(&request)?;
        let is_upgrade = upgrade::is_wanted(request.headers());
        let path = request.uri().path();
        if !is_upgrade && let Some(page) = self.site.pages.find(path) {
            return Ok((show(page, &request)?, Outcome::Page));
        }
        let found = self.site.routes.find(path)?;
        if request.method() != Method::GET {
            return Err(Refusal::Method { allow: "GET" });
        }
        if !is_upgrade {
            return Err(if request.body().is_end_stream() {
                Refusal::UpgradeRequired
            } else {
                Refusal::Body
            });
        }
        upgrade::check(&request)?;
        self.admit(request, found, visitor, caller).await
    }

    async fn admit(
        &self,
        mut request: Request<Incoming>,
        found: Match,
        visitor: Visitor,
        caller: Caller<'_>,
    ) -> Result<(Response<Full<Bytes>>, Outcome), Refusal> {
        let access = identify(&self.site, &mut request, &found, caller.address).await.inspect_err(
            |refusal| {
                if is_failed_attempt(*refusal) {
                    self.site.turnstile.addresses.note_failure(caller.address.ip());
                }
            },
        )?;
        // Who is let in without a token where one is needed has to show it in the session's first message.
        let has_token = access.is_some() || !self.site.authenticator.is_open();
        visitor.admit(has_token).map_err(Refusal::Foreign)?;
        let admission = self.site.connections.admit().ok_or(Refusal::ConnectionsMax)?;
        let total = self.site.connections.count();
        let place = self.site.turnstile.admit(caller.arrival, total);
        let place = place.map_err(Refusal::Excess)?;
        let Match { route, room } = found;
        let subprotocol = self.site.routes.negotiate(route, upgrade::offered(request.headers()));
        let offers_token = || {
            upgrade::offered(request.headers())
                .any(|name| name == credentials::SUBPROTOCOL.as_bytes())
        };
        let subprotocol = match subprotocol {
            None if self.site.authenticator.takes_tokens() && offers_token() => {
                Some(&TOKEN_SUBPROTOCOL)
            }
            subprotocol => subprotocol,
        };
        let response = upgrade::accept(&mut request, subprotocol)?;
        let (head, _) = request.into_parts();
        let request = protocol::Request {
            uri: head.uri,
            headers: head.headers,
            address: caller.address,
            room,
            access,
        };
        let accepted = Accepted { route, request, admission, place };
        Ok((response, Outcome::Accepted(Box::new(accepted))))
    }
}

/// Taken where a client offers it beside its token.
static TOKEN_SUBPROTOCOL: HeaderValue = HeaderValue::from_static(credentials::SUBPROTOCOL);

impl Service<Request<Incoming>> for Reception {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (desk, last) = (Arc::clone(&self.desk), Arc::clone(&self.outcome));
        Box::pin(async move {
            if let Some(api) = desk.site.api.as_ref().filter(|_| Api::is_at(request.uri().path())) {
                let response = desk.answer(api, request).await;
                *last.lock().await = Outcome::Page;
                return Ok(response);
            }
            let client = desk.client(request.headers());
            let origin = request.headers().get(header::ORIGIN).cloned();
            let received = desk.receive(request, client).await;
            let (response, outcome) = received.unwrap_or_else(|refusal| {
                refusal.count();
                let (reason, origin) = (refusal.label(), origin.as_ref().and_then(origin::told));
                tracing::debug!(peer = %client, reason, origin, "refused: {}", refusal.text());
                (refusal.response(), Outcome::Refused)
            });
            desk.tap.set(!matches!(outcome, Outcome::Accepted(_)));
            *last.lock().await = outcome;
            Ok(response)
        })
    }
}

/// The authority that the request is for: the target's own where it has one (RFC 9112, section 3.2.2), else the `Host`
/// field, which has to be there in any case.
pub(super) fn authority(request: &Request<Incoming>) -> Result<Authority<'_>, Refusal> {
    let field =
        upgrade::only(request.headers(), &header::HOST).and_then(|value| value.to_str().ok());
    let field = field.and_then(Authority::parse).ok_or(Refusal::Host)?;
    let Some(authority) = request.uri().authority() else { return Ok(field) };
    Authority::parse(authority.as_str()).ok_or(Refusal::Host)
}

fn show(page: &Page, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Refusal::Method { allow: pages::METHODS });
    }
    if !request.body().is_end_stream() {
        return Err(Refusal::Body);
    }
    Ok(page.answer(request.headers()))
}
