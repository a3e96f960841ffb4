//! The shards' threads: made ready while the server is put together, started when it runs, and caught when they panic.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use crate::http::Connections;
use crate::hub::Hub;
use crate::panics;
use crate::server::run_error::RunError;
use crate::server::stopper::Event;
use crate::shard::chat::Settings;
use crate::shard::service::Service;
use crate::shard::state::{Authorize, Bounds, Parts};
use crate::shard::{Shard, Wiring};

/// A shard that waits for its thread.
pub(super) struct Ready {
    pub(super) wiring: Wiring,
    pub(super) shard: usize,
    pub(super) hub: Arc<Hub>,
    pub(super) services: Vec<Service>,
    pub(super) chat: Option<Settings>,
    pub(super) authorize: Option<Authorize>,
    pub(super) bounds: Bounds,
    pub(super) connections: Arc<Connections>,
}

impl Ready {
    /// Starts the thread. However it ends, `events` is told.
    pub(super) fn spawn(
        self,
        core: Option<usize>,
        events: Sender<Event>,
    ) -> io::Result<JoinHandle<()>> {
        let shard = self.shard;
        thread::Builder::new().name(format!("uproar-shard-{shard}")).spawn(move || {
            if let Some(core) = core {
                crate::cores::pin(core);
            }
            let ended = match catch_unwind(AssertUnwindSafe(|| self.run())) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(RunError::Failed { shard, source }),
                Err(panic) => {
                    Err(RunError::Panicked { shard, message: panics::message(&*panic).to_owned() })
                }
            };
            if let Err(error) = &ended {
                tracing::error!(%error, "the server cannot go on");
            }
            // A server that is gone does not want to know.
            let _ = events.send(Event::Ended(ended));
        })
    }

    fn run(self) -> io::Result<()> {
        let Self { wiring, shard, hub, services, chat, authorize, bounds, connections } = self;
        let routes: Rc<[Service]> = services.into();
        Shard::new(wiring, Parts { shard, hub, routes, chat, authorize, bounds, connections })?
            .run()
    }
}
