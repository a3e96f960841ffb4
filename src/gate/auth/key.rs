//! One key that tokens are verified with.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::token_error::TokenError;

/// A key, bound to its algorithm and to who signs with it.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<Box<str>>,
    pub(super) issuer: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
}

impl Key {
    /// `audience` is who tokens must be for; without one they must be for nobody in particular.
    pub(super) fn new(
        (algorithm, decoding): (Algorithm, DecodingKey),
        id: Option<&str>,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Self {
        let mut validation = Validation::new(algorithm.of_library());
        // Times are looked at with the claims, by the clock of the caller.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            validation.set_required_spec_claims(&["aud"]);
        }
        let (id, issuer) = (id.map(Into::into), issuer.map(Into::into));
        Self { id, issuer, algorithm, decoding, validation }
    }

    /// Whether a token names this key.
    pub(super) fn is_named(&self, named: Option<&str>) -> bool {
        named.is_some() && self.id.as_deref() == named
    }

    /// Whether a token that names a key so, or none, may have been signed with this one.
    pub(super) fn may_be(&self, named: Option<&str>) -> bool {
        match (&self.id, named) {
            (Some(id), Some(named)) => **id == *named,
            _ => true,
        }
    }

    /// The token's claims, if it was signed with this key for this server. Nothing of them is parsed before that.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let verified = jsonwebtoken::decode(token, &self.decoding, &self.validation);
        verified.map(|data| data.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
            ErrorKind::InvalidAudience | ErrorKind::MissingRequiredClaim(_) => TokenError::Audience,
            ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenError::Claims,
            _ => TokenError::Malformed,
        })
    }
}
