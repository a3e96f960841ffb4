//! What the signals of an operator or a supervisor do: the first stops the server, the second ends the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::server::Stopper;

/// What a shell shows for a process that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// Waits for SIGTERM or SIGINT, twice.
pub(crate) async fn watch_signals(stopper: Stopper) {
    let signals = signal(SignalKind::terminate()).and_then(|terminate| {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok((terminate, interrupt))
    });
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be watched");
            return;
        }
    };
    for received in 1.. {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "signal received");
        if received > 1 {
            std::process::exit(EXIT_INTERRUPTED);
        }
        stopper.stop();
    }
}
