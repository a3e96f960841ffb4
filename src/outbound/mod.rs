//! Requests that the server makes itself, to the backend of whoever runs it: bounded in time, size and number, and
//! never led anywhere else by an answer.
//!
//! A `Client` asks one URL of the configuration. Its `connector` connects to addresses that `networks` allows, over
//! TLS with the authorities of `trust`; the `breaker` spares a backend that is down, and whoever waits for it.
//! What is sent is signed, by a [`Signer`]. All of it is on the control runtime: a
//! shard never waits for any of it.

mod breaker;
mod client;
mod connector;
mod failure;
mod networks;
mod signature;
mod trust;

pub(crate) use breaker::Terms;
pub(crate) use client::{Answer, Client, ClientError, Settings, check_url};
pub(crate) use failure::Failure;
pub(crate) use networks::Networks;
pub(crate) use signature::{SIGNATURE, Signer};

use crate::metrics::{
    OUTBOUND_BREAKER_OPEN, OUTBOUND_DURATION, OUTBOUND_PENDING, OUTBOUND_REQUESTS,
};

/// What the server asks somebody for: the label of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Who may come in.
    Connect,
    /// Whether a message may be stored.
    Publish,
    /// To take note of what happened.
    Webhooks,
    /// For the keys of an issuer.
    Keys,
}

impl Purpose {
    /// Every value that [`label`](Self::label) can take.
    pub(crate) const LABELS: [&'static str; 4] = ["connect", "publish", "webhooks", "keys"];

    pub(crate) const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }
}

/// What became of a request, for its label: an answer, or a failure.
pub(crate) const RESULTS: [&str; Failure::LABELS.len() + 1] = {
    let mut results = [ANSWERED; Failure::LABELS.len() + 1];
    let mut at = 0;
    while at < Failure::LABELS.len() {
        results[at + 1] = Failure::LABELS[at];
        at += 1;
    }
    results
};

/// Makes every metric of these requests exist, whatever is configured.
pub(crate) fn register() {
    for purpose in Purpose::LABELS {
        for result in RESULTS {
            metrics::counter!(OUTBOUND_REQUESTS, "purpose" => purpose, "result" => result)
                .increment(0);
        }
        let _ = metrics::histogram!(OUTBOUND_DURATION, "purpose" => purpose);
        metrics::gauge!(OUTBOUND_PENDING, "purpose" => purpose).set(0.0);
        metrics::gauge!(OUTBOUND_BREAKER_OPEN, "purpose" => purpose).set(0.0);
    }
}

/// There was an answer.
const ANSWERED: &str = "answered";
