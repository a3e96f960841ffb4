//! A new certificate while the server runs: looked for now and then, and at once when asked. Sessions that are open go
//! on with the secrets that they have; only handshakes from then on see it.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use tokio::sync::Notify;
use tokio::task;
use tokio::time::{self, MissedTickBehavior};

use crate::tls::certificate::{CertificateError, Contents, Files, InForce};
use crate::tls::failure::count_reload;

/// How often the files are looked at. A change is taken once two looks have seen the same, because two files are
/// hardly ever changed in one moment.
const PERIOD: Duration = Duration::from_secs(2);

/// Has a [`Reloader`] look at once.
#[derive(Clone, Default)]
pub(crate) struct Nudge(Arc<Notify>);

impl Nudge {
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }
}

/// Looks for a new certificate.
pub(crate) struct Reloader {
    files: Files,
    provider: Arc<CryptoProvider>,
    in_force: Arc<InForce>,
    /// What was tried last.
    tried: Option<Contents>,
    /// What the last look saw, if that is something else.
    seen: Option<Contents>,
    nudge: Nudge,
}

impl Reloader {
    pub(super) fn new(
        files: Files,
        contents: Contents,
        provider: Arc<CryptoProvider>,
        in_force: Arc<InForce>,
    ) -> Self {
        let (tried, seen) = (Some(contents), None);
        Self { files, provider, in_force, tried, seen, nudge: Nudge::default() }
    }

    /// What makes it look at once.
    pub(crate) fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Looks until dropped; for the control runtime.
    pub(crate) async fn run(mut self) {
        let mut period = time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let nudge = self.nudge.clone();
            let is_asked = tokio::select! {
                _ = period.tick() => false,
                () = nudge.0.notified() => true,
            };
            let files = self.files.clone();
            let Ok(read) = task::spawn_blocking(move || files.read()).await else { return };
            self.look(read, is_asked);
        }
    }

    fn look(&mut self, read: Result<Contents, CertificateError>, is_asked: bool) {
        let contents = match read {
            Ok(contents) => contents,
            Err(error) => {
                // Told once, and again when asked: what is missing may be about to come.
                if is_asked || self.tried.take().is_some() {
                    self.fail(&error);
                }
                self.seen = None;
                return;
            }
        };
        if !is_asked {
            if self.tried.as_ref() == Some(&contents) {
                self.seen = None;
                return;
            }
            if self.seen.as_ref() != Some(&contents) {
                self.seen = Some(contents);
                return;
            }
        }
        match self.files.understand(&contents, &self.provider) {
            Ok(certificate) => {
                self.in_force.replace(certificate);
                count_reload(true);
                let file = self.files.certificate.display();
                tracing::info!(certificate_file = %file, "the certificate was loaded");
            }
            Err(error) => self.fail(&error),
        }
        (self.tried, self.seen) = (Some(contents), None);
    }

    #[allow(clippy::unused_self, reason = "it says whose failure it is")]
    fn fail(&self, error: &CertificateError) {
        count_reload(false);
        tracing::error!(%error, "the new certificate is not used; the one before stays in force");
    }
}
