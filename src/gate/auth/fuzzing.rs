//! The verifier of tokens for fuzzers, and a hand that signs whatever it is given: without it nothing behind the
//! signature would ever be reached.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::Authenticator;
use super::tokens::Tokens;
use crate::config::{Auth, Mode, Secret, TokenKey};
use crate::gate::permissions::Right;

/// By which time tokens are judged, in milliseconds since 1970.
const NOW_MS: u64 = 1_800_000_000_000;

const SECRET: &str = "the secret of the fuzzers, 32 bytes";

/// Verifies tokens of one secret, whose id is `ours`, of issuer `us` and for audience `here`.
#[derive(Debug)]
pub struct Verifier {
    tokens: Tokens,
}

/// Whom a token lets in.
#[derive(Debug)]
pub struct Admitted {
    /// The user's id.
    pub user: String,
    /// The user's name.
    pub name: String,
    /// When the session ends, in milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// Whether the user may join the room `a`.
    pub may_join: bool,
    /// Whether the user has conversations with one other user.
    pub has_direct: bool,
}

impl Verifier {
    /// By which time tokens are judged, in milliseconds since 1970.
    pub const NOW_MS: u64 = NOW_MS;

    /// With the defaults of a configuration.
    #[must_use]
    pub fn new() -> Option<Self> {
        let key = TokenKey {
            id: Some("ours".into()),
            issuer: Some("us".into()),
            secret: Some(Secret::from(SECRET)),
            ..TokenKey::default()
        };
        let config = Auth {
            modes: vec![Mode::Token],
            audience: "here".into(),
            keys: vec![key],
            ..Auth::default()
        };
        let tokens = Authenticator::new(&config).ok()?.tokens?;
        Some(Self { tokens })
    }

    /// A token of that header and those claims, whatever they are, signed with the secret.
    #[must_use]
    pub fn sign(&self, head: &[u8], claims: &[u8]) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whom a token lets in.
    ///
    /// # Errors
    /// The label and the words of what is wrong with it.
    pub fn verify(&self, token: &str) -> Result<Admitted, (&'static str, String)> {
        let found = self.tokens.verify(token, NOW_MS);
        let access = found.map_err(|error| (error.label(), error.to_string()))?;
        Ok(Admitted {
            user: access.identity.user.to_string(),
            name: access.identity.name.to_string(),
            expires_at: access.expires_at,
            may_join: access.permissions.of_room("a").has(Right::Join),
            has_direct: access.permissions.allows_direct(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(seed: &str) -> Result<Admitted, (&'static str, String)> {
        let verifier = Verifier::new().expect("the key is right");
        let (head, claims) = seed.split_once('\n').expect("a header and claims");
        verifier.verify(&verifier.sign(head.as_bytes(), claims.as_bytes()))
    }

    #[test]
    fn a_fuzzer_begins_behind_the_signature() {
        let found = judge(include_str!("../../../fuzz/seeds/token/right")).expect("it is right");
        assert_eq!((&*found.user, found.may_join, found.has_direct), ("alice", true, true));
        assert!(judge(include_str!("../../../fuzz/seeds/token/several-audiences")).is_ok());
        let refused = judge(include_str!("../../../fuzz/seeds/token/twice"));
        assert_eq!(refused.expect_err("it is there twice").0, "claims");
    }
}
