//! The keys of an issuer that publishes them under a URL: fetched at the start, again from time to time, and when a token
//! names one that is not known. Those that are known hold until others were fetched.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hyper::StatusCode;
use tokio::sync::watch;
use tokio::time;

use super::key::Key;
use super::key_source::key_set;
use crate::metrics::KEY_FETCHES;
use crate::outbound::{Answer, Client};

/// The largest document that is read, in bytes: several times what as many keys as are taken need.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// How long a document may take to come. Somebody may be waiting for it.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What becomes of fetches, for their label.
pub(crate) const FETCHES: [&str; 3] = ["fetched", "invalid", "failed"];

/// Makes the counter of each exist at zero, whatever is configured.
pub(crate) fn register() {
    for result in FETCHES {
        metrics::counter!(KEY_FETCHES, "result" => result).increment(0);
    }
}

/// How often keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one fetch to the next where nothing else happens.
    pub(crate) refresh: Duration,
    /// The same where a token names a key that is not known, or the last fetch failed: at least.
    pub(crate) pause: Duration,
}

/// One issuer's keys.
pub(crate) struct RemoteKeys {
    /// Its position among the keys of the configuration, which is all that is said of it.
    at: usize,
    client: Client,
    issuer: Box<str>,
    audience: Option<Box<str>>,
    pace: Pace,
    /// None before the first that were fetched.
    keys: ArcSwap<Vec<Key>>,
    progress: watch::Sender<Progress>,
    /// Somebody waits for a fetch.
    wanted: watch::Sender<()>,
}

/// How far the fetching is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    is_fetching: bool,
    /// Fetches that have ended, and when the last one did.
    fetches: u64,
    ended: Option<Instant>,
}

impl RemoteKeys {
    /// Those at the client's URL. A token must be from that issuer to be verified with one of them.
    pub(crate) fn new(
        (at, client): (usize, Client),
        issuer: &str,
        audience: Option<&str>,
        pace: Pace,
    ) -> Self {
        // The first fetch is as good as begun: whoever comes before it waits for it.
        let progress = Progress { is_fetching: true, fetches: 0, ended: None };
        Self {
            at,
            client,
            issuer: issuer.into(),
            audience: audience.map(Into::into),
            pace,
            keys: ArcSwap::default(),
            progress: watch::Sender::new(progress),
            wanted: watch::Sender::new(()),
        }
    }

    /// The keys as they are known now.
    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        self.keys.load_full()
    }

    /// Fetches them, from now on.
    pub(super) async fn keep_up(self: Arc<Self>) {
        let (mut is_well, mut wanted) = (true, self.wanted.subscribe());
        loop {
            let result = self.fetch().await;
            metrics::counter!(KEY_FETCHES, "result" => result).increment(1);
            let was_well = std::mem::replace(&mut is_well, result == FETCHES[0]);
            self.report(result, was_well);
            self.progress.send_modify(|progress| {
                progress.is_fetching = false;
                progress.fetches += 1;
                progress.ended = Some(Instant::now());
            });
            let least = time::sleep(self.pace.pause);
            let rest = if is_well { self.pace.refresh } else { self.pace.pause };
            tokio::select! {
                () = time::sleep(rest) => {}
                _ = wanted.changed() => least.await,
            }
            self.progress.send_modify(|progress| progress.is_fetching = true);
            // Whoever wanted it before gets it now.
            wanted.mark_unchanged();
        }
    }

    /// Has them fetched for a token whose key is not known, if that was not tried just now; comes back when it was.
    pub(super) async fn renew(&self) {
        let mut progress = self.progress.subscribe();
        let before = *progress.borrow_and_update();
        if !before.is_fetching {
            if before.ended.is_some_and(|ended| ended.elapsed() < self.pace.pause) {
                return;
            }
            self.wanted.send_replace(());
        }
        // The sender is in this very struct.
        let _ = progress.wait_for(|now| now.fetches > before.fetches).await;
    }

    async fn fetch(&self) -> &'static str {
        let Ok(Answer { status, body }) = self.client.get().await else { return "failed" };
        let Some(found) = key_set(&body).filter(|_| status == StatusCode::OK) else {
            return "invalid";
        };
        let (issuer, audience) = (Some(&*self.issuer), self.audience.as_deref());
        let keys =
            found.into_iter().map(|(id, pair)| Key::new(pair, id.as_deref(), issuer, audience));
        self.keys.store(Arc::new(keys.collect()));
        "fetched"
    }

    /// Says it once when it begins to fail and once when it ends.
    fn report(&self, result: &'static str, was_well: bool) {
        let key = format_args!("auth.keys[{}]", self.at).to_string();
        let is_well = result == FETCHES[0];
        let known = self.keys.load().len();
        if was_well && !is_well {
            tracing::warn!(key, result, known, "keys cannot be fetched; those that are known hold");
        } else if is_well && !was_well {
            tracing::info!(key, known, "keys were fetched again");
        }
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").field("at", &self.at).finish_non_exhaustive()
    }
}
