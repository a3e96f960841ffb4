//! Stops a server, from wherever it is known that it should.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::http::{Phase, Readiness};
use crate::hub::Hub;
use crate::server::run_error::RunError;

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    pub(super) readiness: Arc<Readiness>,
    pub(super) hub: Arc<Hub>,
    pub(super) events: Sender<Event>,
    pub(super) drain: Duration,
}

impl Stopper {
    /// Has the server take no more connections, flush what is queued, close every session with 1001 and
    /// [`run`](crate::Server::run) return, within `server.drain_secs`.
    pub fn stop(&self) {
        self.readiness.set(Phase::Draining);
        // Full only of events that end the server just as well.
        let _ = self.events.try_send(Event::Stop);
    }
}

/// What a running server waits for.
pub(super) enum Event {
    /// Somebody wants it to stop.
    Stop,
    /// A shard has ended, of itself or because it was told to.
    Ended(Result<(), RunError>),
}
