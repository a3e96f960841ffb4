//! Removing what was said: some messages, a room's log, what a user said anywhere.

use serde::Deserialize;
use serde_json::json;

use crate::{
    http::api::{
        Api,
        input::{self, object, whole},
        problem::Problem,
    },
    log::removal::{EVENT_SEQS_MAX, Removal},
    protocol::chat::GUEST_PREFIX,
    rooms::conversation::Conversation,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redact {
    seqs: Vec<Position>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedactDirect {
    with: String,
    seqs: Vec<Position>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Position(#[serde(deserialize_with = "whole")] Option<u64>);

impl Api {
    /// Removes some messages of a room.
    pub(super) async fn redact(&self, room: &str, text: &str) -> Result<String, Problem> {
        let Redact { seqs } = object(text)?;
        self.redact_from(Conversation::room(room), seqs).await
    }

    /// The same from a direct conversation, whoever of the two said them.
    pub(super) async fn redact_direct(&self, user: &str, text: &str) -> Result<String, Problem> {
        let RedactDirect { with, seqs } = object(text)?;
        input::user(&with)?;
        if [user, &with].iter().any(|user| user.starts_with(GUEST_PREFIX)) {
            return Err(Problem::invalid("guests have no direct conversations"));
        }
        self.redact_from(Conversation::direct(user, &with), seqs).await
    }

    async fn redact_from(
        &self,
        conversation: Conversation,
        seqs: Vec<Position>,
    ) -> Result<String, Problem> {
        let count = seqs.len();
        let seqs: Vec<_> = seqs.into_iter().filter_map(|Position(seq)| seq).collect();
        if !(1..=EVENT_SEQS_MAX).contains(&count) || seqs.contains(&0) {
            let detail = format!("`seqs` must be 1 to {EVENT_SEQS_MAX} positions above 0");
            return Err(Problem::invalid(detail));
        }
        self.remove(Removal::Redact { conversation, seqs }).await
    }

    /// Removes everything that was said in a room.
    pub(super) async fn clear(&self, room: &str) -> Result<String, Problem> {
        self.remove(Removal::Clear { conversation: Conversation::room(room) }).await
    }

    /// Removes everything that a user said.
    pub(super) async fn erase(&self, user: &str) -> Result<String, Problem> {
        self.remove(Removal::Erase { user: user.into() }).await
    }

    async fn remove(&self, removal: Removal) -> Result<String, Problem> {
        let removed = self.chat()?.log.remove(removal).await?;
        let unavailable = |_| {
            Problem::unavailable("the log cannot remove this now; ask again, and it goes on there")
        };
        Ok(json!({ "removed": removed.map_err(unavailable)? }).to_string())
    }
}
