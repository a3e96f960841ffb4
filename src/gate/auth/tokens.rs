//! Verifies tokens with the keys that are known, and has those fetched that are not.

use std::sync::Arc;

use super::algorithm::Algorithm;
use super::claims::Rules;
use super::head::Head;
use super::key::Key;
use super::remote_keys::RemoteKeys;
use super::token_error::TokenError;
use crate::gate::access::Access;

/// The most keys that are tried for one token, which has to name the one that it means where there are more.
const KEYS_TRIED_MAX: usize = 8;

/// The keys that tokens are verified with, and what is asked of their claims.
#[derive(Debug)]
pub(crate) struct Tokens {
    keys: Vec<Key>,
    pub(super) remotes: Vec<Arc<RemoteKeys>>,
    rules: Rules,
}

impl Tokens {
    pub(super) const fn new(keys: Vec<Key>, rules: Rules) -> Self {
        Self { keys, remotes: Vec::new(), rules }
    }

    /// Whom the token lets in, at that time in milliseconds since 1970. Waits while a key is fetched that it names.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) async fn judge(
        &self,
        token: &str,
        now_ms: impl Fn() -> u64,
    ) -> Result<Access, TokenError> {
        let found = self.verify(token, now_ms());
        let Err(error @ (TokenError::UnknownKey | TokenError::Algorithm | TokenError::Signature)) =
            found
        else {
            return found;
        };
        let head = Head::of(token)?;
        let mut is_renewed = false;
        for remote in &self.remotes {
            if may_have(remote, &head) {
                remote.renew().await;
                is_renewed = true;
            }
        }
        if !is_renewed {
            return found;
        }
        match self.verify(token, now_ms()) {
            Err(again) if again == error && self.lacks(&head) => Err(TokenError::KeysUnavailable),
            found => found,
        }
    }

    /// Whether there are keys, of those that the token may have been signed with, which nobody could fetch so far.
    fn lacks(&self, head: &Head) -> bool {
        head.algorithm != Algorithm::Hs256
            && self.remotes.iter().any(|remote| remote.keys().is_empty())
    }

    /// The same with the keys that are known now.
    ///
    /// # Errors
    /// The first thing that is wrong with it. What its claims say is only looked at once its signature is right.
    pub(crate) fn verify(&self, token: &str, now_ms: u64) -> Result<Access, TokenError> {
        let head = Head::of(token)?;
        let fetched: Vec<_> = self.remotes.iter().map(|remote| remote.keys()).collect();
        let keys = self.keys.iter().chain(fetched.iter().flat_map(|keys| keys.iter()));
        let meant = keys.filter(|key| key.may_be(head.key.as_deref()));
        let (mut fitting, other): (Vec<_>, Vec<_>) =
            meant.partition(|key| key.algorithm == head.algorithm);
        // Before those that have no name and so may be meant by any.
        fitting.sort_by_key(|key| !key.is_named(head.key.as_deref()));
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

/// Whether it may help to fetch that issuer's keys for a token that was refused: it names one that is not among them, or
/// there are none at all. Secrets are never among them.
fn may_have(remote: &RemoteKeys, head: &Head) -> bool {
    let keys = remote.keys();
    let is_unknown = |id| !keys.iter().any(|key| key.may_be(Some(id)));
    head.algorithm != Algorithm::Hs256
        && (keys.is_empty() || head.key.as_deref().is_some_and(is_unknown))
}
