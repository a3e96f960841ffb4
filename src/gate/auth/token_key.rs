//! A key of the configuration: where tokens of one issuer are signed, and where to find what verifies them.

use std::path::PathBuf;

use crate::config::Secret;

/// What tokens are verified with: exactly one of the five sources is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenKey {
    /// The id that tokens name it by (`kid`); without one it is tried for whatever id a token names. Key sets bring
    /// their own.
    pub id: Option<String>,
    /// Who signs with it: tokens must have that `iss`. Without one `iss` is not looked at.
    pub issuer: Option<String>,
    /// The secret of HS256 itself.
    pub secret: Option<Secret>,
    /// A file with the secret of HS256, its last line break not counted.
    pub secret_file: Option<PathBuf>,
    /// A PEM file with a public key: RS256, ES256 or EdDSA, by its kind.
    pub public_key_file: Option<PathBuf>,
    /// A file with a JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer publishes its key set. It has an issuer.
    pub jwks_url: Option<String>,
}
