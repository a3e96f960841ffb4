//! What the signals of an operator or a supervisor do: the first stops the server, the second ends the process; SIGHUP
//! has a new certificate looked for, where there is one.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::server::Stopper;
use crate::tls::Nudge;

/// What a shell shows for a process that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// Has a new certificate looked for at each SIGHUP, where TLS is spoken. To be run on the control runtime.
pub(crate) async fn reload_at_hangup(nudge: Option<Nudge>) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                let Some(nudge) = &nudge else {
                    tracing::info!(signal = "SIGHUP", "signal received: there is nothing to load");
                    continue;
                };
                tracing::info!(signal = "SIGHUP", "signal received: looking for a new certificate");
                nudge.now();
            }
        }
        Err(error) => tracing::error!(%error, "SIGHUP cannot be watched"),
    }
}

/// The signals that end the server.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on SIGTERM and SIGINT do nothing but wake who waits for them here. To be called on the control runtime.
    ///
    /// # Errors
    ///
    /// The system does not let signals be watched.
    pub(crate) fn watch() -> io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Stops the server at the first signal, ends the process at the second.
    pub(crate) async fn obey(mut self, stopper: Stopper) {
        let first = self.next().await;
        tracing::info!(signal = first, "signal received: stopping");
        stopper.stop();
        let second = self.next().await;
        tracing::warn!(signal = second, "second signal received: exiting at once");
        std::process::exit(EXIT_INTERRUPTED);
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
