//! Verifies tokens with the keys that are known.

use super::claims::Rules;
use super::head::Head;
use super::key::Key;
use super::token_error::TokenError;
use crate::gate::access::Access;

/// The most keys that are tried for one token, which has to name the one that it means where there are more.
const KEYS_TRIED_MAX: usize = 8;

/// The keys that tokens are verified with, and what is asked of their claims.
#[derive(Debug)]
pub(crate) struct Tokens {
    keys: Vec<Key>,
    rules: Rules,
}

impl Tokens {
    pub(super) const fn new(keys: Vec<Key>, rules: Rules) -> Self {
        Self { keys, rules }
    }

    /// Whom the token lets in, at that time in milliseconds since 1970.
    ///
    /// # Errors
    /// The first thing that is wrong with it. What its claims say is only looked at once its signature is right.
    pub(crate) fn verify(&self, token: &str, now_ms: u64) -> Result<Access, TokenError> {
        let head = Head::of(token)?;
        let meant = self.keys.iter().filter(|key| key.may_be(head.key.as_deref()));
        let (fitting, other): (Vec<_>, Vec<_>) =
            meant.partition(|key| key.algorithm == head.algorithm);
        for key in fitting.iter().take(KEYS_TRIED_MAX) {
            match key.verify(token) {
                // Another key may have been meant.
                Err(TokenError::Signature) => {}
                claims => return claims?.access(&self.rules, key.issuer.as_deref(), now_ms),
            }
        }
        Err(match (fitting.is_empty(), other.is_empty()) {
            (false, _) => TokenError::Signature,
            (true, false) => TokenError::Algorithm,
            (true, true) => TokenError::UnknownKey,
        })
    }
}
