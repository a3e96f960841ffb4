//! `uproar key`: makes a key for a program that operates the server.

use crate::gate::keys::{self, KeyHash};

/// A new key and the hash that goes into the configuration.
///
/// # Errors
/// Whatever keeps the system from giving random bytes.
pub fn key() -> std::io::Result<String> {
    let key = keys::random()?;
    let hash = KeyHash::of(&key);
    Ok(format!("key = \"{key}\"     # for the program that shows it; it is not kept anywhere\nhash = \"{hash}\"\n"))
}
