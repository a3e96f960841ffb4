//! Puts a server together: checks, binds, wires.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use mio::Poll;
use tokio::runtime::{Handle, Runtime};

use crate::config::{Announce, Config, Problem};
use crate::descriptors::Descriptors;
use crate::exposition::Exposition;
use crate::gate::access::Access;
use crate::gate::auth::Authenticator;
use crate::gate::origin::{Listed, OriginRule, Pages};
use crate::gate::verify::Unverified;
use crate::http::api::Api;
use crate::http::{
    Connections, Entrance, Limits, Readiness, Route, Routes, Settings, Site, TokenPlaces,
};
use crate::hub::Hub;
use crate::hub::mailbox::Mailbox;
use crate::protocol::chat::{Identity, SUBPROTOCOL};
use crate::protocol::{Echo, Handler, LOBBY, Relay, Request};
use crate::screening::Plan;
use crate::server::admission::{Admission, is_sound};
use crate::server::start_error::StartError;
use crate::server::stopper::Stopper;
use crate::server::threads::Ready;
use crate::server::{Server, api, chat, wiring};
use crate::shard::Wiring;
use crate::shard::chat::Settings as ChatSettings;
use crate::shard::service::Service;
use crate::shard::state::{Authorize, Bounds};
use crate::telemetry::ShardMetrics;
use crate::tls::{Acceptor, Tls};
use crate::webhooks::Webhooks;

/// Threads of the control runtime.
const CONTROL_THREADS: usize = 2;

/// Puts a server together.
pub struct Builder {
    config: Config,
    routes: Vec<Route>,
    services: Vec<Service>,
    protocols: Vec<String>,
    admission: Admission,
}

impl Builder {
    /// Serves `pattern` with `handler`: a path such as `/rooms`, or one such as `/rooms/{room}` whose last segment
    /// is the name of a room. Earlier routes, those of the configuration first, win.
    #[must_use]
    pub fn route(self, pattern: &str, handler: impl Handler) -> Self {
        self.route_as(pattern, pattern, Entrance::Token, handler)
    }

    /// Says who a handshake comes from: a user, who has direct conversations and whose id is the same wherever it
    /// connects from; or, with `None`, a guest. Called on the thread of a shard: it must not block.
    ///
    /// An id that begins with `guest-`, or breaks a rule of [`Identity`], is nobody's: its session is a guest's.
    #[must_use]
    pub fn authenticate(
        self,
        authenticate: impl Fn(&Request) -> Option<Identity> + Send + Sync + 'static,
    ) -> Self {
        self.authorize(move |request| authenticate(request).map(Access::full))
    }

    /// The same, and what the user may do, and for how long.
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: impl Fn(&Request) -> Option<Access> + Send + Sync + 'static,
    ) -> Self {
        self.admission.authorize =
            Some(Arc::new(move |request| authorize(request).filter(is_sound).map(Arc::new)));
        self
    }

    /// Says who a token is of that a chat session shows in `hello` or `refresh`, and what that user may do, and for how
    /// long; `None` where it does not count. Runs on the control runtime, for at most `limits.handshake_timeout_secs`.
    ///
    /// An id that begins with `guest-`, or breaks a rule of [`Identity`], counts for nothing.
    #[must_use]
    pub fn verify_tokens<F, V>(mut self, verify: V) -> Self
    where
        V: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Access>> + Send + 'static,
    {
        self.admission.verify = Some(Arc::new(move |token| {
            let found = verify(token);
            Box::pin(
                async move { found.await.filter(is_sound).map(Arc::new).ok_or(Unverified::Bad) },
            )
        }));
        self
    }

    /// Lets nobody into the chat as a guest: who has not shown at the handshake who they are has to show a token.
    #[must_use]
    pub fn without_guests(mut self) -> Self {
        self.admission.is_open = false;
        self
    }

    /// `protocol` is the value of that label in the metrics.
    fn route_as(
        self,
        pattern: &str,
        protocol: &str,
        entrance: Entrance,
        handler: impl Handler,
    ) -> Self {
        let route = Route { pattern: pattern.into(), subprotocols: Vec::new(), entrance };
        self.serve(route, protocol, Service::Handler(Arc::new(handler)))
    }

    fn serve(mut self, route: Route, protocol: &str, service: Service) -> Self {
        self.routes.push(route);
        self.services.push(service);
        self.protocols.push(protocol.into());
        self
    }

    /// A server with the routes that `config` enables.
    pub(super) fn new(config: Config) -> Self {
        let (routes, services, protocols) = (Vec::new(), Vec::new(), Vec::new());
        let admission = Admission::default();
        Self { config, routes, services, protocols, admission }.configured_routes()
    }

    fn configured_routes(mut self) -> Self {
        let relay = Relay { announces: self.config.relay.announce == Announce::Json };
        if self.config.relay.enabled {
            let entrance = Entrance::Member(LOBBY);
            self = self.route_as("/", "relay", entrance, relay).route_as(
                "/relay/{room}",
                "relay",
                entrance,
                relay,
            );
        }
        if self.config.echo.enabled {
            self = self.route_as("/echo", "echo", Entrance::Token, Echo);
        }
        if self.config.chat.enabled {
            let route = Route {
                pattern: "/chat".into(),
                subprotocols: vec![SUBPROTOCOL.into()],
                entrance: Entrance::Hello,
            };
            self = self.serve(route, "chat", Service::Chat);
        }
        self
    }

    /// Checks everything, then binds the addresses. Connections are accepted once the server [runs](Server::run).
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, the routes, the addresses or the system.
    pub fn bind(self) -> Result<Server, StartError> {
        self.config.validate().map_err(StartError::Config)?;
        let (connections_max, sockets_max) = self.connections_max()?;
        let tls = Tls::load(&self.config).map_err(refused)?;
        let patterns: Vec<_> = self.routes.iter().map(|route| route.pattern.clone()).collect();
        let routes = Routes::new(self.routes)?;
        let exposition = Exposition::install()?;
        let authenticator = Arc::new(self.config.authenticator().map_err(refused)?);
        let (webhooks, screening) = outbound(&self.config).map_err(refused)?;
        let admission = self.admission.with(&authenticator);
        let runtime = control_runtime()?;
        let listeners = wiring::bind_shards(&self.config)?;
        let admin = wiring::bind(self.config.server.admin_listen, "server.admin_listen")?;
        let address = listeners[0].local_addr()?;
        let readiness = Arc::new(Readiness::default());
        let connections = Arc::new(Connections::new(connections_max).with_sockets_max(sockets_max));
        let public = tls.as_ref().map(|tls| tls.public.clone());
        let (hub, polls) = wiring::hub(&self.config, self.services.len(), listeners.len())?;
        let (events, ended) = bounded(listeners.len() + 2);
        let (handle, protocols) = (runtime.handle(), self.protocols.clone());
        let telling =
            webhooks.map(|webhooks| chat::Telling { webhooks, runtime: handle, protocols });
        let directory = wiring::data_dir(&self.config)?;
        let place = chat_route(&self.services).zip(directory.clone());
        let chat = chat::begin(&self.config, &hub, place, telling, &events)?
            .map(|chat| admission.settle(chat, &self.config, &hub, runtime.handle()))
            .map(|chat| chat.screened(screening, runtime.handle(), &hub, &events));
        let acted_on = (&connections, &patterns[..]);
        let api = api::new(&self.config, &hub, directory, chat.as_ref(), acted_on)?;
        let parts = (runtime.handle(), public, api);
        let shared = (Arc::clone(&connections), Arc::clone(&readiness));
        let site = site(&self.config, routes, authenticator, shared, parts);
        let shared = Shared {
            hub: Arc::clone(&hub),
            site,
            connections,
            bounds: wiring::bounds(&self.config),
            services: self.services,
            chat: chat.as_ref().map(|chat| chat.settings.clone()),
            authorize: admission.authorize,
            protocols: self.protocols,
        };
        let addresses = Arc::clone(shared.site.addresses());
        let (shards, metrics) = shared.shards(listeners, polls);
        let mut server = Server {
            address,
            admin_address: admin.local_addr()?,
            connections_max,
            patterns,
            shards,
            threads: Vec::new(),
            log: chat.map(|chat| chat.running),
            stopper: Stopper { readiness, hub, events, drain: drain(&self.config) },
            ended,
            runtime,
            config: self.config,
            tls: None,
        };
        let tls = server.speak(tls);
        server.serve_operators((admin, tls), exposition, metrics, addresses);
        Ok(server)
    }

    /// The bounds on sessions and on sockets, as far as the system grants descriptors for them.
    fn connections_max(&self) -> Result<(usize, usize), StartError> {
        let descriptors = Descriptors::raise();
        let connections_max = descriptors.connections_max(&self.config).map_err(refused)?;
        Ok((connections_max, descriptors.sockets_max(&self.config)))
    }
}

/// The chat's position among the routes.
fn chat_route(services: &[Service]) -> Option<usize> {
    services.iter().position(|service| matches!(service, Service::Chat))
}

/// What all shards are made with.
struct Shared {
    hub: Arc<Hub>,
    site: Arc<Site>,
    connections: Arc<Connections>,
    bounds: Bounds,
    services: Vec<Service>,
    chat: Option<ChatSettings>,
    authorize: Option<Authorize>,
    protocols: Vec<String>,
}

impl Shared {
    fn shards(
        &self,
        listeners: Vec<TcpListener>,
        polls: Vec<(Poll, Mailbox)>,
    ) -> (Vec<Ready>, Vec<ShardMetrics>) {
        let one = |(shard, (listener, (poll, mailbox)))| {
            let door = wiring::door(&self.site, shard, &self.hub);
            let (telemetry, counters) = bounded(1);
            let ready = Ready {
                wiring: Wiring { poll, listener, mailbox, door, telemetry },
                shard,
                hub: Arc::clone(&self.hub),
                services: self.services.clone(),
                chat: self.chat.clone(),
                authorize: self.authorize.clone(),
                bounds: self.bounds,
                connections: Arc::clone(&self.connections),
            };
            (ready, ShardMetrics::new(shard, &self.protocols, counters))
        };
        listeners.into_iter().zip(polls).enumerate().map(one).unzip()
    }
}

/// What answers requests.
fn site(
    config: &Config,
    routes: Routes,
    authenticator: Arc<Authenticator>,
    (connections, readiness): (Arc<Connections>, Arc<Readiness>),
    (runtime, tls, api): (&Handle, Option<Acceptor>, Option<Api>),
) -> Arc<Site> {
    authenticator.start(runtime);
    Arc::new(Site::new(Settings {
        routes,
        limits: handshake_limits(config),
        origin_rule: origin_rule(config),
        turnstile: Arc::new(wiring::turnstile(config)),
        proxies: wiring::proxies(config),
        authenticator,
        token_places: token_places(config),
        demo: config.shows_demo(),
        connections,
        readiness,
        runtime: runtime.clone(),
        tls,
        api,
    }))
}

/// What tells the application, and what asks it about messages.
fn outbound(config: &Config) -> Result<(Option<Webhooks>, Option<Plan>), Problem> {
    Ok((config.webhooks()?, config.publish_callback()?))
}

fn control_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("uproar-control")
        .enable_all()
        .build()
}

fn refused(problem: Problem) -> StartError {
    StartError::Config(problem.into())
}

fn handshake_limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        pending_handshakes_max: limits.pending_handshakes_max,
        handshake_timeout: Duration::from_secs(limits.handshake_timeout_secs),
        header_bytes_max: limits.header_bytes_max,
        headers_max: limits.headers_max,
    }
}

fn drain(config: &Config) -> Duration {
    Duration::from_secs(config.server.drain_secs)
}

fn token_places(config: &Config) -> TokenPlaces {
    let auth = &config.auth;
    TokenPlaces { cookie: auth.cookie.clone(), query_parameter: auth.query_parameter.clone() }
}

/// What the operator lists; without a list an open loopback address is for this machine's own programs and pages.
fn origin_rule(config: &Config) -> OriginRule {
    let origins = &config.origins;
    let is_open = config.auth.open_to_network;
    let is_listed = !origins.allowed.is_empty() || !origins.hosts.is_empty();
    if !is_listed && config.is_private() {
        return OriginRule::Loopback { files: origins.files_allowed };
    }
    let pages = match is_open {
        _ if !origins.allowed.is_empty() => Pages::Of(origins.allowed.clone()),
        true => Pages::Any,
        false if config.tls.certificate_file.is_some() => Pages::OwnSecure,
        false => Pages::Own,
    };
    let lets_programs_in = origins.missing_allowed || pages == Pages::Any;
    OriginRule::Listed(Arc::new(Listed { pages, hosts: origins.hosts.clone(), lets_programs_in }))
}
