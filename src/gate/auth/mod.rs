//! Who somebody is, by the token that they show: a JWT (RFC 7519) that the user's own application has signed.
//!
//! [`Authenticator`] is asked; `tokens` verifies with the keys of `key_source` and those that `remote_keys` fetches, `head` is all that is looked at before
//! the signature is known to be right, `claims` is what comes after; `callback` asks the application instead; `mint` makes
//! tokens for development. How a token arrives is the matter of `http` and of
//! the chat.

mod algorithm;
pub(crate) mod callback;
mod claims;
mod denial;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod head;
mod key;
pub(crate) mod key_source;
mod mint;
mod provider;
mod public_key;
pub(crate) mod remote_keys;
mod token_error;
mod token_key;
mod tokens;

pub(crate) use claims::present;
pub use denial::Denial;
pub(crate) use key_source::{read_secret, secret_of};
pub(crate) use mint::NewToken;
pub use token_error::TokenError;
pub use token_key::TokenKey;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{Auth, Mode, Ungranted};
use crate::gate::access::Access;
use crate::gate::permissions::Permissions;
use crate::metrics::TOKENS;
use callback::Callback;
use claims::Rules;
use key::Key;
use key_source::KeyFault;
use remote_keys::RemoteKeys;
use tokens::Tokens;
use tokio::runtime::Handle;

/// Knows who may come in, by what they show. One for the whole server.
#[derive(Debug)]
pub struct Authenticator {
    modes: Vec<Mode>,
    tokens: Option<Tokens>,
    callback: Option<Callback>,
}

impl Authenticator {
    /// What that configuration asks for; reads the files with the keys.
    ///
    /// # Errors
    /// Which key is none, by its position, and why.
    pub(crate) fn new(config: &Auth) -> Result<Self, (usize, KeyFault)> {
        register();
        let modes = config.modes.clone();
        if !modes.contains(&Mode::Token) {
            return Ok(Self { modes, tokens: None, callback: None });
        }
        provider::install();
        let keys = keys(config)?;
        let rules = Rules {
            leeway_secs: config.leeway_secs,
            expiry_required: config.expiry_required,
            without_grant: without_grant(config),
        };
        Ok(Self { modes, tokens: Some(Tokens::new(keys, rules)), callback: None })
    }

    /// Whether it could be made.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn check(config: &Auth) -> Result<(), (usize, KeyFault)> {
        keys(config).map(|_| ())
    }

    /// Has the keys of those issuers fetched as well, from now on.
    pub(crate) fn with_remote_keys(mut self, remotes: Vec<RemoteKeys>) -> Self {
        if let Some(tokens) = &mut self.tokens {
            tokens.remotes = remotes.into_iter().map(Arc::new).collect();
        }
        self
    }

    /// Begins to fetch keys.
    pub(crate) fn start(&self, runtime: &Handle) {
        for remote in self.tokens.iter().flat_map(|tokens| &tokens.remotes) {
            runtime.spawn(Arc::clone(remote).keep_up());
        }
    }

    /// Asks the user's backend, too.
    pub(crate) fn with_callback(self, callback: Option<Callback>) -> Self {
        Self { callback, ..self }
    }

    /// A server that asks nobody.
    #[must_use]
    pub fn open() -> Self {
        Self { modes: vec![Mode::Open], tokens: None, callback: None }
    }

    /// The ways to come in, in their order.
    pub(crate) fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// Who asks the user's backend, if anybody does.
    pub(crate) fn callback(&self) -> Option<&Callback> {
        self.callback.as_ref()
    }

    /// Whether those who show nothing are let in, as guests who may do everything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.modes.contains(&Mode::Open)
    }

    /// Whether tokens are taken at all.
    #[must_use]
    pub const fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Whom a token lets in, from now on; counted. May take as long as keys that are not known yet take to be fetched.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub async fn token(&self, token: &str) -> Result<Arc<Access>, TokenError> {
        let found = match &self.tokens {
            Some(tokens) => tokens.judge(token, now_ms).await,
            None => Err(TokenError::NotTaken),
        };
        let result = found.as_ref().map_or_else(|error| error.label(), |_| ACCEPTED);
        metrics::counter!(TOKENS, "result" => result).increment(1);
        found.map(Arc::new)
    }
}

/// What somebody may do of whom nothing is said about that.
pub(crate) fn without_grant(config: &Auth) -> Arc<Permissions> {
    Arc::new(match config.without_grant {
        Ungranted::Nothing => Permissions::default(),
        Ungranted::Everything => Permissions::all(),
    })
}

/// The keys of a configuration, each bound to its audience and issuer.
fn keys(config: &Auth) -> Result<Vec<Key>, (usize, KeyFault)> {
    let audience = Some(config.audience.as_str()).filter(|audience| !audience.is_empty());
    let mut keys = Vec::new();
    for (at, entry) in config.keys.iter().enumerate() {
        keys.extend(key_source::load(entry, audience).map_err(|fault| (at, fault))?);
    }
    Ok(keys)
}

/// What became of a token that was right.
const ACCEPTED: &str = "accepted";

/// Every value of the label that tokens are counted by.
pub(crate) const RESULTS: [&str; TokenError::LABELS.len() + 1] = {
    let mut results = [ACCEPTED; TokenError::LABELS.len() + 1];
    let mut at = 0;
    while at < TokenError::LABELS.len() {
        results[at + 1] = TokenError::LABELS[at];
        at += 1;
    }
    results
};

/// Makes every counter exist at zero, so that a rate over it sees the first token.
fn register() {
    for result in RESULTS {
        metrics::counter!(TOKENS, "result" => result).increment(0);
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
