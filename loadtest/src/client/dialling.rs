//! Opens connections one after the other, each when it is due, with a bound on the handshakes under way, and hands each
//! to the thread that drives it. [`storm`](super::storm) and [`churn`](super::churn) say which and when.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::connection::Connection;
use super::dial::{DialError, Dialer};
use super::opened::Opened;
use crate::clock::{Clock, nanos};
use crate::plan::{Plan, Seat};
use crate::worker::Adoption;
use crate::worker::crew::Doorman;

/// One connection to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Number of the connection in the run.
    pub(crate) index: usize,
    /// Who it is to be.
    pub(crate) seat: Seat,
    /// When to open it; `None` is as soon as there is room for a handshake.
    pub(crate) due: Option<Instant>,
    /// How long it stays; `None` is to the end of the run.
    pub(crate) stay: Option<Duration>,
}

/// What a thread that dials needs.
#[derive(Debug)]
pub(crate) struct Dialling<'a> {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) plan: &'a Plan,
    pub(crate) doorman: Doorman,
    pub(crate) clock: Clock,
    pub(crate) progress: &'a ProgressBar,
    /// Handshakes under way at a time.
    pub(crate) concurrency: usize,
    /// Set by a failure; then nothing further is dialled. `None` goes on whatever fails.
    pub(crate) failed: Option<&'a AtomicBool>,
}

struct Dialled {
    job: Job,
    began: Instant,
    ended: Instant,
    outcome: Result<Connection, DialError>,
}

impl Dialling<'_> {
    /// Opens them all, on a runtime of its own in this thread.
    pub(crate) fn run(self, jobs: impl Iterator<Item = Job>) -> Result<Opened> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime that dials")?;
        Ok(runtime.block_on(self.dial_all(jobs)))
    }

    async fn dial_all(self, jobs: impl Iterator<Item = Job>) -> Opened {
        let began = Instant::now();
        let mut opened = Opened::nothing();
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let mut under_way = JoinSet::new();
        for job in jobs {
            let due = wait_until(job.due).await;
            let Ok(permit) = permits.clone().acquire_owned().await else { break };
            while let Some(dialled) = under_way.try_join_next() {
                self.take(dialled, &mut opened);
            }
            if self.failed.is_some_and(|failed| failed.load(Ordering::Relaxed)) {
                break;
            }
            let dialer = self.dialer.clone();
            let path = dialer.target.path(&self.plan.room(job.seat).name);
            under_way.spawn(async move {
                let began = due.unwrap_or_else(Instant::now);
                let outcome = dialer.dial(job.index, &path).await;
                drop(permit);
                Dialled { job, began, ended: Instant::now(), outcome }
            });
        }
        while let Some(dialled) = under_way.join_next().await {
            self.take(dialled, &mut opened);
        }
        opened.elapsed = began.elapsed();
        opened
    }

    fn take(&self, dialled: Result<Dialled, JoinError>, opened: &mut Opened) {
        let Ok(Dialled { job, began, ended, outcome }) = dialled else {
            let now = Instant::now();
            let panicked = DialError::Other(io::Error::other("the dialling task panicked"));
            opened.note(now, now, Err(panicked));
            return;
        };
        if let Some(connection) = opened.note(began, ended, outcome) {
            self.progress.inc(1);
            let leave_ns = job.stay.map(|stay| self.clock.now_ns() + nanos(stay));
            self.doorman.adopt(job.index, Adoption { connection, seat: job.seat, leave_ns });
        } else if let Some(failed) = self.failed {
            failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Waits until then. The time that it is after the wait counts as due, since the timer's whole milliseconds are not the
/// server's fault; to be behind already when it comes to it is.
async fn wait_until(due: Option<Instant>) -> Option<Instant> {
    let due = due?;
    if Instant::now() >= due {
        return Some(due);
    }
    tokio::time::sleep_until(due).await;
    Some(Instant::now())
}
