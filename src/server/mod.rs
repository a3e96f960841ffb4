//! The server: runs what the [`Builder`] put together, and stops it.

mod admission;
mod api;
mod builder;
mod chat;
mod run_error;
mod start_error;
mod stopper;
mod threads;
mod wiring;

pub use builder::Builder;
pub use run_error::RunError;
pub use start_error::StartError;
pub use stopper::Stopper;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::exposition::Exposition;
use crate::gate::addresses::Addresses;
use crate::gate::keys::Keys;
use crate::handle::Handle;
use crate::http::{Admin, Phase, serve_admin};
use crate::log::figures::Figures;
use crate::log::handle::Running;
use crate::server::stopper::Event;
use crate::server::threads::Ready;
use crate::shutdown::{self, Signals};
use crate::telemetry::{self, ShardMetrics};
use crate::tls::{Acceptor, Nudge, Tls};
use crate::users::Users;

/// How long shards that were told not to wait any more may take to notice, out of the time that stopping may take.
const CUT_OFF: Duration = Duration::from_millis(500);

/// A server whose addresses are bound.
pub struct Server {
    address: SocketAddr,
    admin_address: SocketAddr,
    connections_max: usize,
    config: Config,
    /// Of the routes, in their order.
    patterns: Vec<String>,
    runtime: Runtime,
    /// Where TLS is spoken.
    tls: Option<Speaking>,
    shards: Vec<Ready>,
    threads: Vec<JoinHandle<()>>,
    /// Of the chat, if that is served.
    log: Option<Running>,
    stopper: Stopper,
    ended: Receiver<Event>,
}

/// What speaking TLS takes.
struct Speaking {
    nudge: Nudge,
    /// Threads that make handshakes, for as long as this is kept.
    #[allow(dead_code, reason = "only kept going")]
    threads: Runtime,
}

impl Server {
    /// A server with the routes that `config` enables; more can be added.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
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

    /// At SIGHUP looks for a new certificate, where TLS is spoken. Stops at the first SIGTERM or SIGINT; at the second
    /// the process exits at once, with 130.
    pub fn stop_on_signals(&self) {
        let _runtime = self.runtime.enter();
        let nudge = self.tls.as_ref().map(|speaking| speaking.nudge.clone());
        self.runtime.spawn(shutdown::reload_at_hangup(nudge));
        match Signals::watch() {
            Ok(signals) => drop(self.runtime.spawn(signals.obey(self.stopper()))),
            Err(error) => tracing::error!(%error, "signals cannot be watched"),
        }
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
        self.stop_log();
        tracing::info!("stopped");
        Ok(())
    }

    /// What was sent before the stop is stored, although nobody is left to be told.
    fn stop_log(&mut self) {
        if self.log.take().is_some_and(|log| !log.stop(Instant::now() + CUT_OFF)) {
            tracing::error!("a thread of the log panicked");
        }
    }

    fn drain(&self) -> Result<(), RunError> {
        let drain = self.stopper.drain;
        let deadline = Instant::now() + drain;
        let cut_off = deadline - CUT_OFF.min(drain / 4);
        tracing::info!(drain_secs = drain.as_secs(), "stopping");
        let hub = &self.stopper.hub;
        for port in &hub.ports {
            port.stop(cut_off);
        }
        let mut running = self.threads.len();
        running -= self.await_shards(running, cut_off)?;
        if running > 0 {
            tracing::warn!(
                shards = running,
                "the time to stop in is over; cutting off who is left"
            );
            hub.abandoned.store(true, Ordering::Relaxed);
            hub.ports.iter().for_each(|port| port.wake());
            running -= self.await_shards(running, deadline.max(Instant::now() + CUT_OFF))?;
        }
        if running > 0 {
            tracing::warn!(shards = running, "a handler blocks its shard; not waiting for it");
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

    /// Keeps what speaks TLS going; what does so on the operator's address.
    fn speak(&mut self, tls: Option<Tls>) -> Option<Acceptor> {
        crate::tls::register();
        let Tls { admin, reloader, threads, .. } = tls?;
        self.tls = Some(Speaking { nudge: reloader.nudge(), threads });
        self.runtime.spawn(reloader.run());
        admin
    }

    fn serve_operators(
        &self,
        (listener, tls): (TcpListener, Option<Acceptor>),
        exposition: Exposition,
        shards: Vec<ShardMetrics>,
        addresses: Arc<Addresses>,
    ) {
        let admin = Admin {
            metrics: exposition.clone(),
            readiness: Arc::clone(&self.stopper.readiness),
            keys: Keys::new(self.config.server.admin_keys.clone()),
            tls,
        };
        // Where there is no log its metrics are there all the same.
        let counters = self.log.as_ref().map(|log| log.log().counters()).unwrap_or_default();
        let hub = Arc::clone(&self.stopper.hub);
        self.runtime.spawn(telemetry::run(exposition, shards, Figures::new(counters), hub));
        self.runtime.spawn(telemetry::watch(addresses, Arc::clone(&self.stopper.hub)));
        self.runtime.spawn(async move {
            if let Err(error) = serve_admin(listener, admin).await {
                tracing::error!(%error, "the admin address is not served");
            }
        });
    }

    /// For acting on users, wherever on this server they are.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(Arc::clone(&self.stopper.hub))
    }

    /// For acting on the sessions and rooms of the route with that pattern; `None` if there is no such route.
    #[must_use]
    pub fn handle(&self, pattern: &str) -> Option<Handle> {
        let route = self.patterns.iter().position(|found| found == pattern)?;
        Some(Handle::new(Arc::clone(&self.stopper.hub), route))
    }
}
