//! Opens the connections that the sessions of one thread ask for, some at a time, and hands them over.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::board::Board;
use super::worker::Command;
use crate::client::connection::Connection;
use crate::client::dial::{DialError, Dialer};
use crate::client::opened::Opened;

/// A session wants to be connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) session: usize,
    /// Whether everyone is to come, before the first message; not a late one, nor one that comes back.
    pub(super) gathering: bool,
}

/// What came of all wishes.
#[derive(Debug)]
pub(super) struct Dials {
    /// Of sessions that were to come before the first message.
    pub(super) first: Opened,
    /// Of those that came late or came back.
    pub(super) later: Opened,
}

/// What a thread that dials needs.
pub(super) struct Dialling {
    pub(super) dialer: Arc<Dialer>,
    pub(super) board: Arc<Board>,
    pub(super) worker: usize,
    /// Handshakes under way at a time.
    pub(super) concurrency: usize,
}

struct Dialled {
    wish: Wish,
    began: Instant,
    ended: Instant,
    outcome: Result<Connection, DialError>,
}

impl Dialling {
    /// Starts a thread that dials until nobody can wish any more.
    pub(super) fn start_thread(
        self,
        wishes: mpsc::Receiver<Wish>,
    ) -> Result<JoinHandle<Result<Dials>>> {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start the runtime that dials")?;
            Ok(runtime.block_on(self.dial_all(wishes)))
        };
        let thread = std::thread::Builder::new().name("dialler".into());
        thread.spawn(run).context("cannot start a thread that dials")
    }

    async fn dial_all(self, mut wishes: mpsc::Receiver<Wish>) -> Dials {
        let began = Instant::now();
        let mut dials = Dials { first: Opened::nothing(), later: Opened::nothing() };
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                Some(dialled) = under_way.join_next() => self.take(dialled, &mut dials, began),
                wish = wishes.recv() => {
                    let Some(wish) = wish else { break };
                    let (dialer, permits) = (self.dialer.clone(), permits.clone());
                    under_way.spawn(async move {
                        let _permit = permits.acquire().await;
                        let (began, path) = (Instant::now(), dialer.target.path(""));
                        let outcome = dialer.dial(wish.session, &path).await;
                        Dialled { wish, began, ended: Instant::now(), outcome }
                    });
                }
            }
        }
        dials
    }

    fn take(&self, dialled: Result<Dialled, JoinError>, dials: &mut Dials, since: Instant) {
        // A dial that panics shows as a session that never comes.
        let Ok(Dialled { wish, began, ended, outcome }) = dialled else { return };
        let opened = if wish.gathering { &mut dials.first } else { &mut dials.later };
        opened.elapsed = ended.duration_since(since);
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let command = match opened.note(began, ended, outcome) {
            Some(connection) => Command::Adopt { session: wish.session, connection },
            None => Command::Fail { session: wish.session, why: failure.unwrap_or_default() },
        };
        self.board.tell(self.worker, command);
    }
}
