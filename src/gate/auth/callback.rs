//! Asks the user's backend who somebody is that wants to come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use super::claims::present;
use super::denial::Denial;
use super::{claims, now_ms};
use crate::gate::access::Access;
use crate::gate::permissions::{Grant, Permissions};
use crate::metrics::CONNECT_CALLBACKS;
use crate::outbound::{Answer, Client, SIGNATURE, Signer};

/// An answer's body, in bytes: more than the largest grant that is taken.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What the backend is told of a request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Question {
    /// Always `connect`.
    pub(crate) event: &'static str,
    pub(crate) path: String,
    /// Without the parameter that may hold a token.
    pub(crate) query: String,
    /// Of the client, without its port.
    pub(crate) address: String,
    pub(crate) subprotocols: Vec<String>,
    /// Those that the configuration names.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// What the backend says of somebody it knows. A field that it misspells must not mean that it was left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    user: String,
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    rooms: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    direct: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    expires_at: Option<u64>,
}

/// What the backend's answers can be, for their label.
pub(crate) const ANSWERS: [&str; 6] =
    ["allowed", "unknown", "unauthorized", "forbidden", "invalid", "failed"];

/// Makes the counter of every answer exist at zero.
pub(crate) fn register() {
    for answer in ANSWERS {
        metrics::counter!(CONNECT_CALLBACKS, "result" => answer).increment(0);
    }
}

/// The backend, for who wants to come in.
pub(crate) struct Callback {
    client: Client,
    signer: Signer,
    headers: Vec<HeaderName>,
    cookies: Vec<String>,
    without_grant: Arc<Permissions>,
}

impl Callback {
    pub(crate) fn new(
        client: Client,
        signer: Signer,
        (headers, cookies): (Vec<HeaderName>, Vec<String>),
        without_grant: Arc<Permissions>,
    ) -> Self {
        Self { client, signer, headers, cookies, without_grant }
    }

    /// What may be told of a request's fields, as they came. Values that are no text are left out.
    pub(crate) fn question(&self, fields: &HeaderMap) -> Question {
        let told = self.headers.iter().filter_map(|name| {
            let values: Vec<&str> =
                fields.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| (name.as_str().to_owned(), values.join(", ")))
        });
        let lines = fields.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
        let cookies = pairs.filter(|(name, _)| self.cookies.iter().any(|wanted| wanted == name));
        Question {
            event: "connect",
            headers: told.collect(),
            cookies: cookies.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..Question::default()
        }
    }

    /// Who that is; `None` where the backend does not know them and does not mind. Counted.
    ///
    /// # Errors
    /// They do not come in.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Option<Arc<Access>>, Denial> {
        let (answer, verdict) = self.verdict(question).await;
        metrics::counter!(CONNECT_CALLBACKS, "result" => answer).increment(1);
        verdict
    }

    async fn verdict(
        &self,
        question: &Question,
    ) -> (&'static str, Result<Option<Arc<Access>>, Denial>) {
        let failed = ("failed", Err(Denial::Unavailable));
        let Ok(json) = serde_json::to_vec(question) else { return failed };
        let mut fields = HeaderMap::new();
        fields.insert(SIGNATURE, self.signer.sign(&json));
        let Ok(Answer { status, body }) = self.client.post(fields, Bytes::from(json)).await else {
            return failed;
        };
        match status {
            StatusCode::OK => match self.access(&body) {
                Ok(access) => ("allowed", Ok(Some(Arc::new(access)))),
                Err(reason) => {
                    tracing::debug!(reason, "the connect callback's answer is refused");
                    ("invalid", Err(Denial::Unavailable))
                }
            },
            StatusCode::NO_CONTENT => ("unknown", Ok(None)),
            StatusCode::UNAUTHORIZED => ("unauthorized", Err(Denial::Unauthorized)),
            StatusCode::FORBIDDEN => ("forbidden", Err(Denial::Forbidden)),
            _ => {
                let status = status.as_u16();
                tracing::debug!(status, "the connect callback's answer is refused");
                ("invalid", Err(Denial::Unavailable))
            }
        }
    }

    fn access(&self, body: &[u8]) -> Result<Access, &'static str> {
        let known: Known = serde_json::from_slice(body)
            .map_err(|_| "it is not JSON of the right shape, or has a field that is unknown")?;
        if known.expires_at.is_some_and(|end| end <= now_ms()) {
            return Err("expires_at is over");
        }
        let permissions = match (known.rooms, known.direct) {
            (None, None) => Arc::clone(&self.without_grant),
            (rooms, direct) => {
                let (rooms, direct) = (rooms.unwrap_or_default(), direct.unwrap_or_default());
                let permissions = Permissions::try_from(Grant { rooms, direct });
                Arc::new(permissions.map_err(|_| "rooms has a pattern or a right that is none")?)
            }
        };
        let identity = claims::identity(Some(&known.user), known.name.as_deref())
            .map_err(|_| "user or name cannot be the id or the display name of a user")?;
        Ok(Access { identity, permissions, expires_at: known.expires_at })
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}
