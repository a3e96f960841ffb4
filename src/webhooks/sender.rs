//! Brings batches to the application, again and again until it has them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::event::Text;
use crate::metrics::{WEBHOOK_EVENTS, WEBHOOK_RETRIES};
use crate::outbound::{Client, SIGNATURE, Signer};

/// The field that names a batch: the same for each try of it.
const DELIVERY: HeaderName = HeaderName::from_static("uproar-delivery");

/// The first pause between two tries; each further one is twice as long.
const RETRY_MIN: Duration = Duration::from_millis(200);

/// Sends to one URL.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) signer: Signer,
    pub(super) retry_max: Duration,
    pub(super) give_up: Duration,
}

impl Sender {
    /// Comes back when the application has them, or it was tried for too long. Counted.
    pub(super) async fn deliver(&self, events: &[Text]) {
        let body = Bytes::from(format!("{{\"events\":[{}]}}", events.join(",")));
        let id = format!("{:016x}", getrandom::u64().unwrap_or_default());
        let start = Instant::now();
        let mut pause = RETRY_MIN.min(self.retry_max);
        loop {
            let reason = match self.try_once(&body, &id).await {
                Ok(()) => return count("delivered", events.len()),
                Err(reason) => reason,
            };
            if start.elapsed() >= self.give_up {
                let events = events.len();
                tracing::error!(
                    events,
                    reason,
                    "webhooks are given up, the receiver never took them"
                );
                return count("dead", events);
            }
            tracing::debug!(reason, "webhooks were not taken");
            metrics::counter!(WEBHOOK_RETRIES).increment(1);
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(self.retry_max);
        }
    }

    async fn try_once(&self, body: &Bytes, id: &str) -> Result<(), &'static str> {
        let mut fields = HeaderMap::new();
        fields.insert(SIGNATURE, self.signer.sign(body));
        if let Ok(id) = HeaderValue::from_str(id) {
            fields.insert(DELIVERY, id);
        }
        match self.client.post(fields, body.clone()).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(_) => Err("status"),
            Err(failure) => Err(failure.label()),
        }
    }
}

/// Between half of it and all of it, so that many servers do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let share = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}

/// Adds so many events to those with that result.
pub(super) fn count(result: &'static str, events: usize) {
    metrics::counter!(WEBHOOK_EVENTS, "result" => result).increment(events as u64);
}
