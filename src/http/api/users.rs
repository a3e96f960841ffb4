//! Looking at users and acting on them: their sessions, what is in force against them.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    gate::{auth::present, standing::Measure},
    http::api::{
        Api,
        input::{object, whole},
        problem::Problem,
    },
    log::writer::system_time,
    protocol::{Close, FORBIDDEN},
    users::UsersError,
};

/// The longest time for which something is in force that is not for good: a hundred years.
const SECS_MAX: u64 = 3_153_600_000;

/// How long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct For {
    #[serde(default, deserialize_with = "whole")]
    for_secs: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disconnect {
    #[serde(default, deserialize_with = "present")]
    reconnect: Option<bool>,
}

impl Api {
    pub(super) async fn user(&self, user: &str) -> Result<String, Problem> {
        let sessions = self.users.sessions(user).await?;
        let sessions: Vec<_> = sessions.iter().map(ToString::to_string).collect();
        let measures = self.users.restrictions_of(user).into_iter().map(|(measure, until)| {
            json!({ "measure": Measure::LABELS[measure as usize], "until": until })
        });
        let measures: Vec<Value> = measures.collect();
        Ok(json!({ "user": user, "sessions": sessions, "measures": measures }).to_string())
    }

    /// Ends a user's sessions; a client that may reconnect does so by itself.
    pub(super) fn disconnect(&self, user: &str, text: &str) -> Result<(), Problem> {
        let Disconnect { reconnect } = object(text)?;
        let close = match reconnect {
            Some(true) => Close::new(SERVICE_RESTART, "disconnected"),
            Some(false) | None => Close::new(FORBIDDEN, "disconnected"),
        };
        Ok(self.users.disconnect(user, close)?)
    }

    /// Takes a measure that outlives the server.
    pub(super) async fn take_measure(
        &self,
        user: &str,
        measure: Measure,
        text: &str,
    ) -> Result<String, Problem> {
        let For { for_secs } = object(text)?;
        if for_secs.is_some_and(|secs| !(1..=SECS_MAX).contains(&secs)) {
            let detail = format!("`for_secs` must be from 1 to {SECS_MAX}");
            return Err(Problem::invalid(detail));
        }
        let until = for_secs.map(|secs| system_time().saturating_add(secs * 1000));
        match measure {
            Measure::Mute => self.users.mute(user, until)?,
            Measure::Ban | Measure::Revocation => self.users.ban(user, until)?,
        }
        self.keep_measures().await?;
        let measure = Measure::LABELS[measure as usize];
        Ok(json!({ "user": user, "measure": measure, "until": until }).to_string())
    }

    pub(super) async fn lift(&self, user: &str, measure: Measure) -> Result<(), Problem> {
        self.users.lift(user, measure)?;
        self.keep_measures().await
    }

    async fn keep_measures(&self) -> Result<(), Problem> {
        self.measures.keep().await.map_err(|error| {
            tracing::error!(%error, "the measures against users cannot be written down");
            Problem::unavailable(
                "it is in force and could not be written down: it would not outlive the server",
            )
        })
    }
}

/// What a client takes for a reason to come back (RFC 6455's registry, 1012).
const SERVICE_RESTART: u16 = 1012;

impl From<UsersError> for Problem {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::Busy(busy) => busy.into(),
            UsersError::Full(full) => {
                Self::new(StatusCode::CONFLICT, "too_many_measures", full.to_string())
            }
        }
    }
}
