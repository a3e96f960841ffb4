//! A token's header: what is looked at before its signature is verified, and nothing else is.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::algorithm::Algorithm;
use super::token_error::TokenError;

/// The longest token that is looked at.
pub(super) const TOKEN_BYTES_MAX: usize = 8192;

/// What helps to find the key: neither is believed before the signature was verified with it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) key: Option<String>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, section 4.1.11): none of them is.
    crit: Option<IgnoredAny>,
}

impl Head {
    /// Of a token, which may be anything.
    pub(super) fn of(token: &str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (head, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
        let json = URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenError::Malformed)?;
        let fields: Fields<'_> =
            serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)?;
        if fields.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let algorithm = Algorithm::parse(&fields.alg).ok_or(TokenError::Algorithm)?;
        Ok(Self { algorithm, key: fields.kid })
    }
}
