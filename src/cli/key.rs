//! `uproar key`: makes a key for a program that operates the server.

use anyhow::Context;
use clap::Args;

use crate::gate::keys::{self, AccessKey, KeyHash};

/// What the key is for.
#[derive(Args, Clone, Debug)]
pub struct KeyFlags {
    /// What it is called in the configuration
    #[arg(long, value_name = "NAME", default_value = "operator")]
    name: String,
    /// What it may be used for, such as metrics or health; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", default_values = crate::http::ADMIN_SCOPES)]
    scopes: Vec<String>,
}

impl KeyFlags {
    /// A new key, and the entry of the configuration that takes it.
    ///
    /// # Errors
    /// Whatever keeps the system from giving random bytes; or a name or scope that cannot be.
    pub fn make(self) -> anyhow::Result<String> {
        let key = keys::random().context("no random bytes")?;
        let entry = AccessKey { name: self.name, hash: KeyHash::of(&key), scopes: self.scopes };
        let entry = entry.to_string();
        entry.parse::<AccessKey>().context("no such entry can be in a configuration")?;
        Ok(format!(
            "For the program, which shows it as \"Authorization: Bearer ...\"; it is not kept anywhere:\n{key}\n\
             For the list of keys in the configuration:\n\"{entry}\"\n"
        ))
    }
}
