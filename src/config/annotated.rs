//! A configuration written as the TOML file that would give it, every key under its meaning and bounds.

use std::fmt::{self, Write};

use super::{Config, KEYS, Key, SECTIONS};

const HEAD: &str = "\
# Uproar's configuration. What stands here is over the defaults, an environment variable such as
# UPROAR_LIMITS__MESSAGE_BYTES_MAX is over what stands here, and a flag is over both.
# Keys may be left out; a key that does not exist is an error.
";

impl Config {
    /// The configuration as a TOML file with comments. It loads, and gives the same configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(HEAD);
        for (section, doc) in SECTIONS {
            // Writing to a string does not fail.
            let _ = write_section(&mut text, doc, section);
            for key in KEYS.iter().filter(|key| key.section == *section) {
                let _ = write_key(&mut text, key, self);
            }
        }
        text
    }
}

fn write_section(text: &mut String, doc: &[&str], section: &str) -> fmt::Result {
    writeln!(text)?;
    write_doc(text, doc)?;
    writeln!(text, "[{section}]")
}

fn write_key(text: &mut String, key: &Key, config: &Config) -> fmt::Result {
    writeln!(text)?;
    write_doc(text, key.doc)?;
    writeln!(text, "# Takes {}.", key.accepts())?;
    writeln!(text, "{} = {}", key.name, key.value(config))
}

fn write_doc(text: &mut String, doc: &[&str]) -> fmt::Result {
    doc.iter().try_for_each(|line| writeln!(text, "# {}", line.trim()))
}
