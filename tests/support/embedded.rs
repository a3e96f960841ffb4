//! A server within the test's own process, for handlers of its own.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use super::data_dir::DataDir;
use super::server::metric;
use super::wait_for;

use uproar::{Builder, Config, RunError, Server, Stopper};

/// One running server.
pub struct Embedded {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), RunError>>>,
    /// Removed when the server has ended.
    _data: DataDir,
}

impl Embedded {
    /// Starts what `build` makes of a server on free loopback ports with so many shards.
    pub fn start(shards: usize, build: impl FnOnce(Builder) -> Server) -> Self {
        Self::start_with(|config| config.server.shards = shards, build)
    }

    /// The same with other settings.
    pub fn start_with(
        set: impl FnOnce(&mut Config),
        build: impl FnOnce(Builder) -> Server,
    ) -> Self {
        let data = DataDir::new();
        let mut config = data.config();
        config.relay.enabled = false;
        set(&mut config);
        let server = build(Server::builder(config));
        let (address, admin, stopper) =
            (server.address(), server.admin_address(), server.stopper());
        let thread = Some(thread::spawn(move || server.run()));
        Self { address, admin, stopper, thread, _data: data }
    }

    /// Waits until a metric has a value, all its samples added up. The servers of one process share them.
    pub fn wait_for_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        wait_for(name, || Some(metric(self.admin, name, &[])).filter(|value| wanted(*value)))
    }

    /// Stops it and gives what came of it.
    pub fn stop(mut self) -> Result<(), RunError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), RunError> {
        self.stopper.stop();
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("no panic"))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end().expect("it stops");
        }
    }
}
