//! Makes tokens, with a secret: for development and scripts. Applications sign their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::claims::{Claims, Rules};
use super::key_source::SECRET_BYTES_MIN;
use super::token_error::TokenError;
use super::{now_ms, provider};
use crate::gate::permissions::Permissions;

/// What a token is to say.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct NewToken {
    pub(crate) sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<String>,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rooms: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direct: Option<bool>,
}

impl NewToken {
    /// Makes it hold from now on, for that long.
    pub(crate) fn lasting(mut self, secs: u64) -> Self {
        self.iat = now_ms() / 1000;
        self.exp = self.iat.saturating_add(secs);
        self
    }

    /// The token, signed with a secret that is named `id`.
    ///
    /// # Errors
    /// What a server would say against it.
    pub(crate) fn sign(&self, secret: &[u8], id: Option<&str>) -> anyhow::Result<String> {
        anyhow::ensure!(
            secret.len() >= SECRET_BYTES_MIN,
            "the secret has {} bytes and must have at least {SECRET_BYTES_MIN}",
            secret.len()
        );
        self.check()?;
        provider::install();
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        Ok(jsonwebtoken::encode(&header, self, &EncodingKey::from_secret(secret))?)
    }

    /// As a server looks at it that has verified the signature.
    fn check(&self) -> anyhow::Result<()> {
        let claims: Claims = serde_json::from_value(serde_json::to_value(self)?)?;
        let without_grant = Arc::new(Permissions::default());
        let rules = Rules { leeway_secs: 0, expiry_required: true, without_grant };
        match claims.access(&rules, None, now_ms()) {
            Ok(_) => Ok(()),
            Err(TokenError::Expired) => anyhow::bail!("the token would have expired already"),
            Err(error) => anyhow::bail!("{error}"),
        }
    }
}
