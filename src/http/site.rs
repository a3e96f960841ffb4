//! What every shard's door shares: the routes, the rules, the limits, the counts.

use std::{sync::Arc, time::Duration};

use hyper::server::conn::http1;
use tokio::runtime::Handle;

use crate::{
    gate::{
        addresses::Addresses, auth::Authenticator, origin::OriginRule, proxies::Proxies,
        turnstile::Turnstile,
    },
    http::{
        api::{self, Api},
        connections::Connections,
        credentials::TokenPlaces,
        pages::Pages,
        readiness::Readiness,
        refusal,
        routes::Routes,
    },
    metrics::HANDSHAKE_DURATION,
    tls::Acceptor,
};

/// hyper takes no smaller read buffer than this, in bytes; a smaller `header_bytes_max` is enforced all the same.
const BUFFER_BYTES_MIN: usize = 8192;

/// Bounds on a connection that is not a session yet.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Handshakes in flight on each shard.
    pub pending_handshakes_max: usize,
    /// From the accept to the 101, a peer that sends nothing included.
    pub handshake_timeout: Duration,
    /// Request line and fields together, in bytes.
    pub header_bytes_max: usize,
    /// Fields of a request.
    pub headers_max: usize,
}

/// What a [`Site`] is made of.
pub struct Settings {
    /// The WebSocket paths.
    pub routes: Routes,
    /// Bounds on handshakes.
    pub limits: Limits,
    /// Whom the server answers.
    pub origin_rule: OriginRule,
    /// The counts of those who come in, and their bounds.
    pub turnstile: Arc<Turnstile>,
    /// Whose word on a client's address is taken.
    pub proxies: Proxies,
    /// Who knows who somebody is.
    pub authenticator: Arc<Authenticator>,
    /// Where tokens may be.
    pub token_places: TokenPlaces,
    /// Whether the demo page is served.
    pub demo: bool,
    /// The count of sessions on all shards.
    pub connections: Arc<Connections>,
    /// Whether sessions are taken at all.
    pub readiness: Arc<Readiness>,
    /// The control runtime, on which every handshake runs.
    pub runtime: Handle,
    /// What speaks TLS on the public address, which speaks nothing else then.
    pub tls: Option<Acceptor>,
    /// The API, where there are keys for it.
    pub(crate) api: Option<Api>,
}

/// The server as its visitors meet it; one for all shards.
pub struct Site {
    pub(super) routes: Routes,
    pub(super) limits: Limits,
    pub(super) origin_rule: OriginRule,
    pub(super) turnstile: Arc<Turnstile>,
    pub(super) proxies: Proxies,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) token_places: TokenPlaces,
    pub(super) pages: Pages,
    pub(super) connections: Arc<Connections>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) runtime: Handle,
    pub(super) tls: Option<Acceptor>,
    pub(super) api: Option<Api>,
    pub(super) http: http1::Builder,
    pub(super) duration: metrics::Histogram,
}

impl Site {
    /// Puts the parts together and registers the metrics: install the recorder first.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        refusal::register();
        api::register();
        Self {
            http: http(&settings.limits),
            routes: settings.routes,
            limits: settings.limits,
            origin_rule: settings.origin_rule,
            turnstile: settings.turnstile,
            proxies: settings.proxies,
            authenticator: settings.authenticator,
            token_places: settings.token_places,
            pages: Pages::new(settings.demo),
            connections: settings.connections,
            readiness: settings.readiness,
            runtime: settings.runtime,
            tls: settings.tls,
            api: settings.api,
            duration: metrics::histogram!(HANDSHAKE_DURATION),
        }
    }

    /// What is remembered of the addresses that the server is called from.
    #[must_use]
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.turnstile.addresses
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES_MIN))
        .max_header_size(limits.header_bytes_max)
        .max_headers(limits.headers_max)
        // One deadline of our own covers everything from the accept on.
        .header_read_timeout(None)
        // Who sends a request and closes its half still gets the answer.
        .half_close(true);
    http
}
