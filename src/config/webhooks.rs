//! What must hold for webhooks, and how they are put together. What is told is in `webhooks`.

use std::time::Duration;

use super::callbacks::{SHORT, file, is_short, networks};
use super::problem::Problem;
use super::{Config, WebhookEvent};
use crate::outbound::{Client, ClientError, Purpose, Settings, Signer, Terms, check_url};
use crate::webhooks::Webhooks;
use crate::webhooks::event::Kinds;

/// What the largest batch is answered with is not looked at.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Stored messages are one after another, and so is everything else.
const REQUESTS_MAX: usize = 2;

/// Everything that is wrong with the webhooks.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let webhooks = &config.webhooks;
    if webhooks.url.is_empty() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut wrong = |path, reason| problems.push(Problem::among(config, &[path], reason));
    if let Err(reason) = check_url(&webhooks.url, networks(webhooks.allow_private_networks)) {
        wrong("webhooks.url", reason);
    }
    if is_short(&webhooks.secret) {
        wrong("webhooks.secret", SHORT);
    }
    if webhooks.events.is_empty() {
        wrong("webhooks.events", "nothing would be told; leave webhooks.url empty then");
    }
    problems
}

impl Config {
    /// What tells the application; `None` where nothing does. The file with authorities is read.
    pub(crate) fn webhooks(&self) -> Result<Option<Webhooks>, Problem> {
        let webhooks = &self.webhooks;
        if webhooks.url.is_empty() {
            return Ok(None);
        }
        let settings = Settings {
            purpose: Purpose::Webhooks,
            url: &webhooks.url,
            timeout: Duration::from_millis(webhooks.timeout_ms),
            answer_bytes_max: ANSWER_BYTES_MAX,
            requests_max: REQUESTS_MAX,
            networks: networks(webhooks.allow_private_networks),
            ca_file: file(&webhooks.ca_file),
            // Whoever sends again waits by itself.
            breaker: Terms { failures_max: u32::MAX, pause_ms: 1 },
        };
        let client = Client::new(&settings).map_err(|error| match error {
            ClientError::Url(reason) => Problem::among(self, &["webhooks.url"], reason),
            ClientError::Trust(error) => {
                Problem::among(self, &["webhooks.ca_file"], error.to_string())
            }
        })?;
        let tells = |event| webhooks.events.contains(&event);
        Ok(Some(Webhooks {
            client,
            signer: Signer::new(webhooks.secret.expose()),
            kinds: Kinds {
                message: tells(WebhookEvent::Message),
                room: tells(WebhookEvent::Room),
                member: tells(WebhookEvent::Member),
                user: tells(WebhookEvent::User),
            },
            batch_events_max: webhooks.batch_events_max,
            queue_events_max: webhooks.queue_events_max,
            retry_max: Duration::from_secs(webhooks.retry_secs_max),
            give_up: Duration::from_secs(webhooks.give_up_secs),
        }))
    }
}
