//! The server: puts shards, hub, control plane and telemetry together, runs them, and stops them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::{Poll, Waker};
use tokio::runtime::Runtime;

use crate::config::{Announce, Config, Problem, Problems};
use crate::descriptors::Descriptors;
use crate::gate::origin::OriginRule;
use crate::handle::Handle;
use crate::http::{
    Admin, Connections, Door, Limits, Phase, Readiness, Route, RouteError, Routes, Settings, Site,
    serve_admin,
};
use crate::hub::Hub;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Capacity, Mailbox, mailbox};
use crate::protocol::{Echo, Handler, Relay};
use crate::shard::state::{Bounds, Parts};
use crate::shard::{Shard, WAKER, Wiring, listener, ticks};
use crate::telemetry::{self, ShardMetrics};

/// Upgraded connections that wait to be adopted by one shard.
const ADOPTIONS_MAX: usize = 1024;

/// What tasks with handles may have waiting at one shard.
const REQUESTS_MAX: usize = 4096;

/// Threads of the control runtime.
const CONTROL_THREADS: usize = 2;

/// How long shards that were told not to wait any more may take to notice.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);

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
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The configuration's key for it.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The process has a metrics recorder already.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The system refuses threads, polls or pipes.
    #[error("the system refuses what the server needs: {0}")]
    System(#[from] io::Error),
}

/// Why a server ended that was not told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A shard panicked, and with it a part of the sessions is gone: the process should end.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// Its number.
        shard: usize,
        /// What it said.
        message: String,
    },
    /// A shard's poll failed.
    #[error("shard {shard} failed: {source}")]
    Failed {
        /// Its number.
        shard: usize,
        /// What the system says.
        source: io::Error,
    },
    /// A shard's thread could not be started.
    #[error("a shard's thread could not be started: {0}")]
    Thread(io::Error),
}

/// Puts a server together.
pub struct Builder {
    config: Config,
    routes: Vec<Route>,
    handlers: Vec<Arc<dyn Handler>>,
    protocols: Vec<String>,
}

impl Builder {
    /// Serves `pattern` with `handler`: a path such as `/rooms`, or one such as `/rooms/{room}` whose last segment
    /// is the name of a room. Earlier routes, those of the configuration first, win.
    #[must_use]
    pub fn route(self, pattern: &str, handler: impl Handler) -> Self {
        self.route_as(pattern, pattern, handler)
    }

    /// `protocol` is the value of that label in the metrics.
    fn route_as(mut self, pattern: &str, protocol: &str, handler: impl Handler) -> Self {
        self.routes.push(Route { pattern: pattern.into(), subprotocols: Vec::new() });
        self.handlers.push(Arc::new(handler));
        self.protocols.push(protocol.into());
        self
    }

    fn configured_routes(mut self) -> Self {
        let relay = Relay { announces: self.config.relay.announce == Announce::Json };
        if self.config.relay.enabled {
            self = self.route_as("/", "relay", relay).route_as("/relay/{room}", "relay", relay);
        }
        if self.config.echo.enabled {
            self = self.route_as("/echo", "echo", Echo);
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
        let connections_max =
            Descriptors::raise().connections_max(&self.config).map_err(refused)?;
        let routes = Routes::new(self.routes.clone())?;
        let recorder = telemetry::recorder()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("uproar-control")
            .enable_all()
            .build()?;
        let listeners = bind_shards(&self.config)?;
        let admin = bind(self.config.server.admin_listen, "server.admin_listen")?;
        let address = listeners[0].local_addr()?;
        let readiness = Arc::new(Readiness::default());
        let connections = Arc::new(Connections::new(connections_max));
        let site = Arc::new(Site::new(Settings {
            routes,
            limits: handshake_limits(&self.config),
            origin_rule: origin_rule(&self.config),
            demo: self.config.shows_demo(),
            connections: Arc::clone(&connections),
            readiness: Arc::clone(&readiness),
            runtime: runtime.handle().clone(),
        }));
        let (hub, polls) = hub(&self.config, self.handlers.len(), listeners.len())?;
        let (events, ended) = bounded(listeners.len() + 2);
        let mut server = Server {
            address,
            admin_address: admin.local_addr()?,
            connections_max,
            shards: Vec::new(),
            threads: Vec::new(),
            stopper: Stopper {
                readiness,
                hub,
                events,
                drain: Duration::from_secs(self.config.server.drain_secs),
            },
            ended,
            runtime,
            config: self.config,
        };
        let shards =
            server.wire(listeners, polls, &site, &connections, self.handlers, &self.protocols);
        let (shards, metrics) = shards.into_iter().unzip();
        server.shards = shards;
        server.serve_operators(admin, recorder, metrics);
        Ok(server)
    }
}

/// A server whose addresses are bound.
pub struct Server {
    address: SocketAddr,
    admin_address: SocketAddr,
    connections_max: usize,
    config: Config,
    runtime: Runtime,
    shards: Vec<Ready>,
    threads: Vec<JoinHandle<()>>,
    stopper: Stopper,
    ended: Receiver<Event>,
}

/// A shard that waits for its thread.
struct Ready {
    wiring: Wiring,
    shard: usize,
    hub: Arc<Hub>,
    handlers: Vec<Arc<dyn Handler>>,
    bounds: Bounds,
    connections: Arc<Connections>,
}

enum Event {
    Stop,
    Ended(Result<(), RunError>),
}

impl Server {
    /// A server with the routes that `config` enables; more can be added.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        let (routes, handlers, protocols) = (Vec::new(), Vec::new(), Vec::new());
        Builder { config, routes, handlers, protocols }.configured_routes()
    }

    /// The public address, with the port that was taken where the configuration says 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operator's address.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Stops the server, from any thread or task.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops at the first SIGTERM or SIGINT; at the second the process exits at once, with 130.
    pub fn stop_on_signals(&self) {
        let stopper = self.stopper();
        self.runtime.spawn(crate::shutdown::watch_signals(stopper));
    }

    /// Serves until stopped, and returns when every session has been closed or the time for that is over.
    ///
    /// # Errors
    ///
    /// A shard ended by itself. The others may still run, as threads of the process: exit.
    pub fn run(mut self) -> Result<(), RunError> {
        let cores = crate::cores::usable();
        for (index, ready) in std::mem::take(&mut self.shards).into_iter().enumerate() {
            let core = cores.get(index).copied();
            let thread =
                ready.spawn(core, self.stopper.events.clone()).map_err(RunError::Thread)?;
            self.threads.push(thread);
        }
        self.stopper.readiness.set(Phase::Ready);
        self.log_start();
        match self.ended.recv() {
            Ok(Event::Ended(ended)) => ended?,
            Ok(Event::Stop) | Err(_) => self.drain()?,
        }
        tracing::info!("stopped");
        Ok(())
    }

    fn drain(&self) -> Result<(), RunError> {
        let deadline = Instant::now() + self.stopper.drain;
        tracing::info!(drain_secs = self.stopper.drain.as_secs(), "stopping");
        for port in &self.stopper.hub.ports {
            port.stop();
        }
        let mut running = self.threads.len();
        running -= self.await_shards(running, deadline)?;
        if running > 0 {
            tracing::warn!(
                shards = running,
                "the time to stop in is over; cutting off who is left"
            );
            self.stopper.hub.abandoned.store(true, Ordering::Relaxed);
            self.await_shards(running, Instant::now() + ABANDON_TIMEOUT)?;
        }
        Ok(())
    }

    /// Waits for shards to end; how many did.
    fn await_shards(&self, running: usize, deadline: Instant) -> Result<usize, RunError> {
        let mut ended = 0;
        while ended < running {
            match self.ended.recv_deadline(deadline) {
                Ok(Event::Ended(result)) => {
                    result?;
                    ended += 1;
                }
                Ok(Event::Stop) => {}
                Err(_) => break,
            }
        }
        Ok(ended)
    }

    fn log_start(&self) {
        let limits = &self.config.limits;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            listen = %self.address,
            admin_listen = %self.admin_address,
            shards = self.threads.len(),
            connections_max = self.connections_max,
            message_bytes_max = limits.message_bytes_max,
            outbox_bytes_max = limits.outbox_bytes_max,
            pending_handshakes_max = limits.pending_handshakes_max,
            handshake_timeout_secs = limits.handshake_timeout_secs,
            message_timeout_secs = limits.message_timeout_secs,
            heartbeat_secs = limits.heartbeat_secs,
            heartbeat_timeout_secs = limits.heartbeat_timeout_secs,
            "listening"
        );
    }

    fn wire(
        &self,
        listeners: Vec<TcpListener>,
        polls: Vec<(Poll, Mailbox)>,
        site: &Arc<Site>,
        connections: &Arc<Connections>,
        handlers: Vec<Arc<dyn Handler>>,
        protocols: &[String],
    ) -> Vec<(Ready, ShardMetrics)> {
        let hub = &self.stopper.hub;
        let bounds = bounds(&self.config);
        let next = Arc::new(AtomicUsize::new(0));
        let one = |(shard, (listener, (poll, mailbox)))| {
            let door = door(site, shard, hub, &next);
            let (telemetry, counters) = bounded(1);
            let wiring = Wiring { poll, listener, mailbox, door, telemetry };
            let (hub, connections) = (Arc::clone(hub), Arc::clone(connections));
            let ready =
                Ready { wiring, shard, hub, handlers: handlers.clone(), bounds, connections };
            (ready, ShardMetrics::new(shard, protocols, counters))
        };
        listeners.into_iter().zip(polls).enumerate().map(one).collect()
    }

    fn serve_operators(
        &self,
        listener: TcpListener,
        recorder: metrics_exporter_prometheus::PrometheusHandle,
        shards: Vec<ShardMetrics>,
    ) {
        let admin =
            Admin { metrics: recorder.clone(), readiness: Arc::clone(&self.stopper.readiness) };
        self.runtime.spawn(async move {
            if let Err(error) = serve_admin(listener, admin).await {
                tracing::error!(%error, "the admin address is not served");
            }
        });
        self.runtime.spawn(telemetry::run(recorder, shards, Arc::clone(&self.stopper.hub)));
    }

    /// For acting on the sessions and rooms of the route with that pattern; `None` if there is no such route.
    #[must_use]
    pub fn handle(&self, route: usize) -> Handle {
        Handle::new(Arc::clone(&self.stopper.hub), route)
    }
}

impl Ready {
    fn spawn(self, core: Option<usize>, events: Sender<Event>) -> io::Result<JoinHandle<()>> {
        let shard = self.shard;
        thread::Builder::new().name(format!("uproar-shard-{shard}")).spawn(move || {
            if let Some(core) = core {
                crate::cores::pin(core);
            }
            let ended = match catch_unwind(AssertUnwindSafe(|| self.run())) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(RunError::Failed { shard, source }),
                Err(panic) => Err(RunError::Panicked { shard, message: message(&*panic) }),
            };
            // A server that is gone does not want to know.
            let _ = events.send(Event::Ended(ended));
        })
    }

    fn run(self) -> io::Result<()> {
        let Self { wiring, shard, hub, handlers, bounds, connections } = self;
        let routes: Rc<[Arc<dyn Handler>]> = handlers.into();
        Shard::new(wiring, Parts { shard, hub, routes, bounds, connections })?.run()
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    readiness: Arc<Readiness>,
    hub: Arc<Hub>,
    events: Sender<Event>,
    drain: Duration,
}

impl Stopper {
    /// Has the server take no more connections, flush what is queued, close every session with 1001 and
    /// [`run`](Server::run) return, within `server.drain_secs`.
    pub fn stop(&self) {
        self.readiness.set(Phase::Draining);
        // Full only of events that end the server just as well.
        let _ = self.events.try_send(Event::Stop);
    }
}

fn refused(problem: Problem) -> StartError {
    StartError::Config(problem.into())
}

fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Listen { address, key, source })
}

/// One listener a shard, all on one port.
fn bind_shards(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut address = config.server.listen;
    let key = "server.listen";
    // Listeners that share a port would share one with another server of the same user, too.
    drop(bind(address, key)?);
    let mut listeners = Vec::new();
    for _ in 0..config.shards() {
        let listener = listener::bind(address).map_err(|source| StartError::Listen {
            address,
            key,
            source,
        })?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn hub(
    config: &Config,
    routes: usize,
    shards: usize,
) -> io::Result<(Arc<Hub>, Vec<(Poll, Mailbox)>)> {
    let capacity = Capacity {
        adoptions: ADOPTIONS_MAX,
        batches: config.limits.mailbox_batches_max,
        requests: REQUESTS_MAX,
    };
    let (mut ports, mut polls) = (Vec::new(), Vec::new());
    for _ in 0..shards {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (port, mailbox) = mailbox(capacity, waker);
        ports.push(port);
        polls.push((poll, mailbox));
    }
    let directory = Directory::new(routes);
    Ok((Arc::new(Hub { directory, ports: ports.into(), abandoned: AtomicBool::new(false) }), polls))
}

fn door(site: &Arc<Site>, shard: usize, hub: &Arc<Hub>, next: &Arc<AtomicUsize>) -> Door {
    let (hub, next) = (Arc::clone(hub), Arc::clone(next));
    let port = Arc::clone(&hub.ports[shard]);
    let has_room = move || port.ring();
    let adopt = move |adopt| {
        // Elsewhere than on Linux one listener of those that share a port may get all connections.
        let balanced = cfg!(target_os = "linux");
        let target =
            if balanced { shard } else { next.fetch_add(1, Ordering::Relaxed) % hub.ports.len() };
        hub.ports[target].adopt(adopt)
    };
    Door::new(Arc::clone(site), shard, Arc::new(adopt), Arc::new(has_room))
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

/// A loopback address that nobody has to authenticate at is for this machine's own programs and pages.
fn origin_rule(config: &Config) -> OriginRule {
    if config.server.listen.ip().is_loopback() && !config.auth.open_to_network {
        OriginRule::Loopback
    } else {
        OriginRule::Any
    }
}

fn bounds(config: &Config) -> Bounds {
    let limits = &config.limits;
    Bounds {
        message_bytes_max: limits.message_bytes_max,
        outbox_bytes_max: limits.outbox_bytes_max,
        rooms_per_session_max: limits.rooms_per_session_max,
        message_timeout_ticks: ticks(limits.message_timeout_secs),
        heartbeat_ticks: ticks(limits.heartbeat_secs),
        heartbeat_timeout_ticks: ticks(limits.heartbeat_timeout_secs),
        close_timeout_ticks: ticks(limits.close_timeout_secs),
    }
}
