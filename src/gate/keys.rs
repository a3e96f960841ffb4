//! Keys of programs that operate the server: the scraper at the operator's address, the user's backend. Kept as hashes,
//! so that whoever reads the configuration cannot use them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with, so that one that leaked is found by those who look for leaks.
const PREFIX: &str = "uproar_key_";

/// Bytes of chance in a key.
const KEY_BYTES: usize = 32;

const HASH_BYTES: usize = 32;

/// One key and what it is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessKey {
    /// What it is called, for people and logs.
    pub name: String,
    /// The hash of the key.
    pub hash: KeyHash,
    /// What it may be used for.
    pub scopes: Vec<String>,
}

impl AccessKey {
    /// Whether it may be used for that.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|found| found == scope)
    }
}

/// What is no key of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Not three parts.
    #[error(
        "must be a name, scopes and a hash, such as \"grafana:metrics,health:\" and the hash that \"uproar key\" prints"
    )]
    Parts,
    /// A name or scope that cannot be.
    #[error("its name and each of its scopes must be of letters, digits, \".\", \"-\" and \"_\"")]
    Word,
    /// Not a hash.
    #[error(transparent)]
    Hash(NoKeyHash),
}

impl FromStr for AccessKey {
    type Err = NoKey;

    /// Reads `NAME:SCOPE,SCOPE:HASH`.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.splitn(3, ':');
        let (Some(name), Some(scopes), Some(hash)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoKey::Parts);
        };
        let scopes: Vec<_> = scopes.split(',').map(str::to_owned).collect();
        if !is_word(name) || !scopes.iter().all(|scope| is_word(scope)) {
            return Err(NoKey::Word);
        }
        Ok(Self { name: name.to_owned(), hash: hash.parse().map_err(NoKey::Hash)?, scopes })
    }
}

impl fmt::Display for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.scopes.join(","), self.hash)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// The SHA-256 of a key, as 64 hexadecimal digits. That is enough for what is random throughout: there is nothing to
/// guess that a slower hash would protect.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyHash([u8; HASH_BYTES]);

/// What is no such hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the 64 hexadecimal digits that \"uproar key\" prints as the hash")]
pub struct NoKeyHash;

impl KeyHash {
    /// That of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl FromStr for KeyHash {
    type Err = NoKeyHash;

    fn from_str(text: &str) -> Result<Self, NoKeyHash> {
        let digits = text.as_bytes();
        if digits.len() != 2 * HASH_BYTES {
            return Err(NoKeyHash);
        }
        let mut hash = [0; HASH_BYTES];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NoKeyHash);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).map_err(|_| NoKeyHash)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(***)")
    }
}

/// Those that are taken, several at once so that one can be replaced while another holds.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<AccessKey>);

impl Keys {
    /// These.
    #[must_use]
    pub const fn new(keys: Vec<AccessKey>) -> Self {
        Self(keys)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that was shown, if it is one of these. Takes as long whichever it is, and if it is none.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<&AccessKey> {
        let hash = KeyHash::of(shown);
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.0.ct_eq(&hash.0)) {
                found = Some(key);
            }
        }
        found
    }
}

/// A key that there was never before.
///
/// # Errors
/// Whatever keeps the system from giving random bytes.
pub fn random() -> std::io::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str, scopes: &[&str]) -> AccessKey {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        AccessKey { name: name.to_owned(), hash: KeyHash::of(secret), scopes }
    }

    #[test]
    fn a_key_is_found_by_what_it_is_and_not_by_its_hash() {
        let (old, new) = (random().expect("random bytes"), random().expect("random bytes"));
        assert_ne!(old, new);
        let keys = Keys::new(vec![key("old", &old, &["metrics"]), key("new", &new, &["health"])]);
        let find = |shown: &str| keys.find(shown).map(|key| key.name.as_str());
        assert_eq!(find(&old), Some("old"));
        assert_eq!(find(&new), Some("new"));
        for wrong in
            ["", " ", &old[..old.len() - 1], &format!("{old} "), &KeyHash::of(&old).to_string()]
        {
            assert_eq!(find(wrong), None, "{wrong}");
        }
        assert!(keys.find(&old).is_some_and(|key| key.has("metrics") && !key.has("health")));
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_does_not_show_up_elsewhere() {
        let hash = KeyHash::of("abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        for bad in
            ["", "abc", &text[1..], &text.replace('b', "g"), &format!("{text}0"), &"é".repeat(32)]
        {
            assert_eq!(bad.parse::<KeyHash>(), Err(NoKeyHash), "{bad}");
        }
        assert!(!format!("{:?}", key("name", "abc", &[])).contains("ba78"));
    }

    #[test]
    fn a_key_of_a_configuration() {
        let grafana = key("grafana", "abc", &["metrics", "health"]);
        let text = format!("grafana:metrics,health:{}", KeyHash::of("abc"));
        assert_eq!(grafana.to_string(), text);
        assert_eq!(text.parse(), Ok(grafana));
        let read = |text: &str| text.parse::<AccessKey>().err();
        assert_eq!(read(&random().expect("random bytes")), Some(NoKey::Parts));
        assert_eq!(read("a:b"), Some(NoKey::Parts));
        assert_eq!(read("a:b:c"), Some(NoKey::Hash(NoKeyHash)));
        for word in ["", "a b", "é"] {
            assert_eq!(read(&format!("{word}:b:c")), Some(NoKey::Word));
            assert_eq!(read(&format!("a:b,{word}:c")), Some(NoKey::Word));
        }
    }
}
