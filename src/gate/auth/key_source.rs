//! From the keys of the configuration to keys that verify: the files are read here.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::algorithm::Algorithm;
use super::key::Key;
use super::public_key::{self, PublicKeyError};
use super::token_key::TokenKey;
use crate::outbound::{Networks, check_url};

/// The shortest secret of HS256 that is taken, in bytes (RFC 7518, section 3.2): a shorter one can be guessed from a
/// single token.
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// Far above any file that is meant.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The most keys of one key set: some are tried one after the other.
const SET_KEYS_MAX: usize = 100;

/// Why a key of the configuration is none.
#[derive(Debug, Error)]
pub(crate) enum KeySourceError {
    /// Not exactly one place to take it from.
    #[error(
        "must have exactly one of secret, secret_file, public_key_file, jwks_file and jwks_url"
    )]
    Sources,
    /// Too short.
    #[error("must have at least 32 bytes; \"uproar token --new-secret\" prints one")]
    Short,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(std::io::Error),
    /// No public key that is taken.
    #[error("{0}")]
    PublicKey(PublicKeyError),
    /// No URL that keys can be fetched from.
    #[error("{0}")]
    Url(&'static str),
    /// Keys of nobody in particular.
    #[error("must name the issuer whose keys are fetched from jwks_url")]
    Issuer,
    /// Not a key set.
    #[error("must be a JSON Web Key Set with at most 100 keys, one of which at least is taken")]
    Set,
}

/// A thing that is wrong with a key, and with which of its fields.
#[derive(Debug)]
pub(crate) struct KeyFault {
    pub(crate) field: Option<&'static str>,
    pub(crate) error: KeySourceError,
}

/// The keys that one entry of the configuration stands for.
pub(super) fn load(entry: &TokenKey, audience: Option<&str>) -> Result<Vec<Key>, KeyFault> {
    let issuer = entry.issuer.as_deref();
    let one = |pair| vec![Key::new(pair, entry.id.as_deref(), issuer, audience)];
    let at = |field| move |error| KeyFault { field: Some(field), error };
    if let Some(url) = &entry.jwks_url {
        return check_remote(entry, url).map(|()| Vec::new());
    }
    match (&entry.secret, &entry.secret_file, &entry.public_key_file, &entry.jwks_file) {
        (Some(secret), None, None, None) => {
            secret_key(secret.expose().as_bytes()).map(one).map_err(at("secret"))
        }
        (None, Some(file), None, None) => {
            let key = read(file).and_then(|bytes| secret_key(trimmed(&bytes)));
            key.map(one).map_err(at("secret_file"))
        }
        (None, None, Some(file), None) => {
            let of_pem = |pem: Vec<u8>| public_key::of_pem(&pem).map_err(KeySourceError::PublicKey);
            read(file).and_then(of_pem).map(one).map_err(at("public_key_file"))
        }
        (None, None, None, Some(file)) => {
            let keys = read(file).and_then(|json| key_set(&json).ok_or(KeySourceError::Set));
            let keys = keys.map_err(at("jwks_file"))?;
            let key =
                |(id, pair): (Option<String>, _)| Key::new(pair, id.as_deref(), issuer, audience);
            Ok(keys.into_iter().map(key).collect())
        }
        _ => Err(KeyFault { field: None, error: KeySourceError::Sources }),
    }
}

/// Whether keys can be fetched for that entry. Who could change them on their way could let anybody in.
fn check_remote(entry: &TokenKey, url: &str) -> Result<(), KeyFault> {
    let TokenKey { secret, secret_file, public_key_file, jwks_file, id, .. } = entry;
    let is_alone = secret.is_none() && secret_file.is_none() && public_key_file.is_none();
    if !is_alone || jwks_file.is_some() {
        return Err(KeyFault { field: None, error: KeySourceError::Sources });
    }
    if entry.issuer.is_none() {
        return Err(KeyFault { field: None, error: KeySourceError::Issuer });
    }
    let fault = |reason| KeyFault { field: Some("jwks_url"), error: KeySourceError::Url(reason) };
    let uri = check_url(url, Networks::Any).map_err(fault)?;
    let is_local = uri.host().is_some_and(is_this_machine);
    if uri.scheme_str() != Some("https") && !is_local {
        return Err(fault("must begin with https://, but for one of this machine"));
    }
    if id.is_some() {
        return Err(fault("brings the ids of its keys; leave out id"));
    }
    Ok(())
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The bytes of a secret in a file: an editor ends the last line, a person does not mean that.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// The secret that a key of the configuration has, if it is of that kind: what tokens can be signed with.
pub(crate) fn secret_of(entry: &TokenKey) -> Option<Result<Vec<u8>, KeySourceError>> {
    match (&entry.secret, &entry.secret_file) {
        (Some(secret), _) => Some(Ok(secret.expose().as_bytes().to_vec())),
        (None, Some(file)) => Some(read_secret(file)),
        (None, None) => None,
    }
}

/// The secret in that file.
pub(crate) fn read_secret(file: &Path) -> Result<Vec<u8>, KeySourceError> {
    read(file).map(|bytes| trimmed(&bytes).to_vec())
}

fn secret_key(secret: &[u8]) -> Result<(Algorithm, DecodingKey), KeySourceError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeySourceError::Short);
    }
    Ok((Algorithm::Hs256, DecodingKey::from_secret(secret)))
}

fn read(file: &Path) -> Result<Vec<u8>, KeySourceError> {
    let length = fs::metadata(file).map_err(KeySourceError::File)?.len();
    if length > FILE_BYTES_MAX {
        return Err(KeySourceError::File(std::io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(file).map_err(KeySourceError::File)
}

/// A JSON Web Key Set (RFC 7517, section 5).
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key with its algorithm, and the id that its set gives it.
type NamedKey = (Option<String>, (Algorithm, DecodingKey));

/// The keys of a key set with their ids. Those that cannot verify anything here are left out, as the RFC wants it;
/// `None` where nothing is left, or there are too many.
pub(super) fn key_set(json: &[u8]) -> Option<Vec<NamedKey>> {
    let set: Set = serde_json::from_slice(json).ok()?;
    if set.keys.len() > SET_KEYS_MAX {
        return None;
    }
    let key = |value: Value| {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let pair = public_key::of_jwk(&jwk).ok()?;
        Some((jwk.common.key_id, pair))
    };
    let keys: Vec<_> = set.keys.into_iter().filter_map(key).collect();
    (!keys.is_empty()).then_some(keys)
}
