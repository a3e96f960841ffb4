//! The keys that tokens are verified with, under `[[auth.keys]]`: the keys of one table, and what must hold for tokens as
//! a whole. What a key means is in `gate::auth`.

use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::callbacks::file;
use super::problem::Problem;
use super::records::{self, Field, Record};
use super::setting::{Fault, Setting};
use super::{Config, Mode, Secret};
use crate::gate::auth::key_source::{KeyFault, KeySourceError};
use crate::gate::auth::remote_keys::{DOCUMENT_BYTES_MAX, FETCH_TIMEOUT, Pace, RemoteKeys};
use crate::gate::auth::{Authenticator, TokenKey};
use crate::outbound::{Client, ClientError, Networks, Purpose, Settings, Terms};

/// Keys that tokens are tried with, or looked up among.
const KEYS_MAX: usize = 100;

const TEXT: &str = "a text that is not empty";
const PATH: &str = "a path";

/// What is known of one key of a table.
pub type TokenKeyField = Field<TokenKey>;

/// Every key of a table under `[[auth.keys]]`.
pub const TOKEN_KEY_FIELDS: &[TokenKeyField] = &[
    TokenKeyField {
        name: "id",
        doc: "The id that tokens name the key by (kid). Without one it is tried for every token, whatever id that \
              names. Not for key sets, whose keys have their own.",
        range: None,
        expects: TEXT,
        get: |key| key.id.clone().map(Value::String),
        set: |key, value| text(value).map(|id| key.id = Some(id.into())).is_some(),
        is_secret: false,
    },
    TokenKeyField {
        name: "issuer",
        doc: "Who signs with the key: tokens must have that iss. Without one iss is not looked at.",
        range: None,
        expects: TEXT,
        get: |key| key.issuer.clone().map(Value::String),
        set: |key, value| text(value).map(|issuer| key.issuer = Some(issuer.into())).is_some(),
        is_secret: false,
    },
    TokenKeyField {
        name: "secret",
        doc: "The secret of HS256, at least 32 bytes long.",
        range: None,
        expects: TEXT,
        get: |key| key.secret.as_ref().map(|_| Value::String(Secret::MASK.to_owned())),
        set: |key, value| text(value).map(|secret| key.secret = Some(secret.into())).is_some(),
        is_secret: true,
    },
    TokenKeyField {
        name: "secret_file",
        doc: "A file with the secret of HS256; a line break at its end is not part of it.",
        range: None,
        expects: PATH,
        get: |key| key.secret_file.as_deref().map(path),
        set: |key, value| text(value).map(|file| key.secret_file = Some(file.into())).is_some(),
        is_secret: false,
    },
    TokenKeyField {
        name: "public_key_file",
        doc: "A PEM file with a public key: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.",
        range: None,
        expects: PATH,
        get: |key| key.public_key_file.as_deref().map(path),
        set: |key, value| text(value).map(|file| key.public_key_file = Some(file.into())).is_some(),
        is_secret: false,
    },
    TokenKeyField {
        name: "jwks_file",
        doc: "A file with a JSON Web Key Set, of whose public keys those for RS256, ES256 and EdDSA are taken.",
        range: None,
        expects: PATH,
        get: |key| key.jwks_file.as_deref().map(path),
        set: |key, value| text(value).map(|file| key.jwks_file = Some(file.into())).is_some(),
        is_secret: false,
    },
    TokenKeyField {
        name: "jwks_url",
        doc: "Where the issuer publishes its JSON Web Key Set: https://, or http:// on this machine. Needs an issuer. \
              It is fetched at the start, every auth.jwks_refresh_secs, and when a token names a key that is not known.",
        range: None,
        expects: "a text that is not empty",
        get: |key| key.jwks_url.clone().map(Value::String),
        set: |key, value| text(value).map(|url| key.jwks_url = Some(url.into())).is_some(),
        is_secret: false,
    },
];

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn path(path: &Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}

impl Record for TokenKey {
    const FIELDS: &'static [TokenKeyField] = TOKEN_KEY_FIELDS;
    const MUST_HAVE: Option<&'static str> = None;
    const MAX: usize = KEYS_MAX;
}

impl Setting for Vec<TokenKey> {
    const EXPECTS: &'static str = "at most 100 tables, each under [[auth.keys]]";
    const VERBATIM: bool = false;
    const IS_SECRET: bool = true;

    fn read(value: &Value) -> Option<Self> {
        records::read(value)
    }

    fn write(&self) -> Value {
        records::write(self)
    }

    fn faults(value: &Value) -> Vec<Fault> {
        records::faults::<TokenKey>(value)
    }
}

/// What is wrong with who is let in, and with the keys by which that is found.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let rules: &[fn(&Config) -> Option<Problem>] = &[
        modes_make_sense,
        names_can_be,
        pages_are_known,
        keys_are_used,
        keys_are_there,
        keys_load,
    ];
    rules.iter().find_map(|rule| rule(config)).into_iter().collect()
}

fn modes_make_sense(config: &Config) -> Option<Problem> {
    let modes = &config.auth.modes;
    let reason = match modes.iter().position(|mode| *mode == Mode::Open) {
        _ if modes.is_empty() => "nobody could come in; at least one mode is needed",
        _ if (1..modes.len()).any(|at| modes[..at].contains(&modes[at])) => {
            "one mode is there twice"
        }
        Some(at) if at + 1 < modes.len() => {
            "\"open\" lets everybody in, so what comes after it is never asked; it must be the last"
        }
        _ => return None,
    };
    Some(Problem::among(config, &["auth.modes"], reason))
}

fn names_can_be(config: &Config) -> Option<Problem> {
    let is_name = |name: &str| {
        name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let names = [
        ("auth.cookie", &config.auth.cookie),
        ("auth.query_parameter", &config.auth.query_parameter),
    ];
    let (path, _) = names.into_iter().find(|(_, name)| !is_name(name))?;
    let reason = "must be at most 64 letters, digits, \"-\" and \"_\"";
    Some(Problem::among(config, &[path], reason))
}

/// A foreign page that may ask would ask in the name of whoever visits it.
fn pages_are_known(config: &Config) -> Option<Problem> {
    (!config.auth.cookie.is_empty() && config.auth.open_to_network).then(|| {
        let reason = "every page may ask such a server, and browsers would send the cookie along";
        Problem::among(config, &["auth.cookie", "auth.open_to_network"], reason)
    })
}

fn takes_tokens(config: &Config) -> bool {
    config.auth.modes.contains(&Mode::Token)
}

/// Who has written keys down believes that they are asked for.
fn keys_are_used(config: &Config) -> Option<Problem> {
    (!takes_tokens(config) && !config.auth.keys.is_empty()).then(|| {
        let reason =
            "there are keys in auth.keys and no token is asked for; put \"token\" among the modes";
        Problem::among(config, &["auth.modes"], reason)
    })
}

fn keys_are_there(config: &Config) -> Option<Problem> {
    (takes_tokens(config) && config.auth.keys.is_empty()).then(|| {
        let reason = "no token could be verified; a key is needed, under [[auth.keys]]";
        Problem::among(config, &["auth.modes", "auth.keys"], reason)
    })
}

fn keys_load(config: &Config) -> Option<Problem> {
    if config.auth.keys.len() > KEYS_MAX {
        let reason = format!("must be {}", Vec::<TokenKey>::EXPECTS);
        return Some(Problem::among(config, &["auth.keys"], reason));
    }
    let (at, fault) = Authenticator::check(&config.auth).err()?;
    Some(not_loaded(config, at, &fault))
}

impl Config {
    /// Who knows who may come in, as the configuration wants it; the files with keys and with authorities are read.
    pub(crate) fn authenticator(&self) -> Result<Authenticator, Problem> {
        let authenticator = Authenticator::new(&self.auth);
        let authenticator = authenticator.map_err(|(at, fault)| not_loaded(self, at, &fault))?;
        let authenticator = authenticator.with_remote_keys(self.remote_keys()?);
        Ok(authenticator.with_callback(self.connect_callback()?))
    }

    /// The keys that are fetched. The file with authorities is read.
    fn remote_keys(&self) -> Result<Vec<RemoteKeys>, Problem> {
        let auth = &self.auth;
        let audience = Some(&*auth.audience).filter(|audience| !audience.is_empty());
        let pace = Pace {
            refresh: Duration::from_secs(auth.jwks_refresh_secs),
            pause: Duration::from_secs(auth.jwks_pause_secs),
        };
        let mut remotes = Vec::new();
        for (at, entry) in auth.keys.iter().enumerate() {
            let (Some(url), Some(issuer)) = (&entry.jwks_url, &entry.issuer) else { continue };
            let client = self.keys_client(at, url)?;
            remotes.push(RemoteKeys::new((at, client), issuer, audience, pace));
        }
        Ok(remotes)
    }

    fn keys_client(&self, at: usize, url: &str) -> Result<Client, Problem> {
        let settings = Settings {
            purpose: Purpose::Keys,
            url,
            timeout: FETCH_TIMEOUT,
            answer_bytes_max: DOCUMENT_BYTES_MAX,
            requests_max: 1,
            networks: Networks::Any,
            ca_file: file(&self.auth.jwks_ca_file),
            // Whoever fetches has a pace of its own.
            breaker: Terms { failures_max: u32::MAX, pause_ms: 1 },
        };
        Client::new(&settings).map_err(|error| match error {
            ClientError::Url(reason) => {
                let fault =
                    KeyFault { field: Some("jwks_url"), error: KeySourceError::Url(reason) };
                not_loaded(self, at, &fault)
            }
            ClientError::Trust(error) => {
                Problem::among(self, &["auth.jwks_ca_file"], error.to_string())
            }
        })
    }
}

fn not_loaded(config: &Config, at: usize, fault: &KeyFault) -> Problem {
    let name = format!("auth.keys[{at}]");
    let Some(field) = fault.field else {
        return Problem::of([(name, None)], fault.error.to_string());
    };
    let known = TOKEN_KEY_FIELDS.iter().find(|known| known.name == field);
    let value = known.and_then(|known| known.value(&config.auth.keys[at]));
    Problem::of([(format!("{name}.{field}"), value)], fault.error.to_string())
}
