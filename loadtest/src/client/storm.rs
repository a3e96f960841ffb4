//! A storm: one connection for every seat, at a rate or as fast as they go, from several threads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::time::Instant;

use super::dial::Dialer;
use super::dialling::{Dialling, Job};
use super::opened::Opened;
use crate::clock::Clock;
use crate::plan::Plan;
use crate::worker::crew::Doorman;

/// How connections are to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// Threads that dial.
    pub(crate) threads: usize,
    /// Connections per second in all; 0 is as fast as they go.
    pub(crate) rate: f64,
    /// Handshakes under way at a time, in all.
    pub(crate) concurrency: usize,
    /// Whether the first failure ends it: the rest is not dialled.
    pub(crate) stop_at_first_failure: bool,
    /// The run's clock.
    pub(crate) clock: Clock,
}

impl Storm {
    /// Opens a connection for each seat of the plan.
    pub(crate) fn run(
        self,
        dialer: &Arc<Dialer>,
        plan: &Plan,
        doorman: &Doorman,
        progress: &ProgressBar,
    ) -> Result<Opened> {
        let began = Instant::now();
        let due = |index: usize| {
            let after = index as f64 / self.rate;
            (self.rate > 0.0).then(|| began + Duration::from_secs_f64(after))
        };
        let jobs: Vec<_> = (0..)
            .zip(plan.seats())
            .map(|(index, seat)| Job { index, seat, due: due(index), stay: None })
            .collect();
        let failed = AtomicBool::new(false);
        let mut opened = Opened::nothing();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let own = jobs.iter().copied().skip(thread).step_by(self.threads);
                    let dialling = Dialling {
                        dialer: dialer.clone(),
                        plan,
                        doorman: doorman.clone(),
                        clock: self.clock,
                        progress,
                        concurrency: self.concurrency.div_ceil(self.threads),
                        failed: self.stop_at_first_failure.then_some(&failed),
                    };
                    scope.spawn(move || dialling.run(own))
                })
                .collect();
            for thread in threads {
                opened.add(thread.join().ok().context("a thread that dials panicked")??);
            }
            opened.elapsed = began.elapsed();
            Ok(opened)
        })
    }
}
