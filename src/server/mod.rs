//! The server: runs what the [`Builder`] put together, and stops it.

mod builder;
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
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::handle::Handle;
use crate::http::{Admin, Phase, serve_admin};
use crate::server::stopper::Event;
use crate::server::threads::Ready;
use crate::telemetry::{self, ShardMetrics};

/// How long shards that were told not to wait any more may take to notice.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(2);

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

    fn serve_operators(
        &self,
        listener: TcpListener,
        recorder: PrometheusHandle,
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
