//! A configuration written as the TOML file that would give it, every key under its meaning and bounds.

use std::fmt::{self, Write};

use super::records::{self, Record};
use super::{Config, KEYS, Key, SECTIONS};

const HEAD: &str = "\
# Uproar's configuration. What stands here is over the defaults, an environment variable such as
# UPROAR_LIMITS__MESSAGE_BYTES_MAX is over what stands here, and a flag is over both.
# Keys may be left out; a key that does not exist is an error.
";

/// Rules that load as they stand.
const ROOM_EXAMPLE: &str = "\
[[chat.rooms]]
pattern = \"announcements/*\"
retention_secs = 0
history = 100
presence = \"count\"

[[chat.rooms]]
pattern = \"game/*\"
engine = \"memory\"
retention_secs = 3600
retention_messages = 1000
history = 20
";

/// Keys as they are usually meant; their files are not there.
const TOKEN_KEY_EXAMPLE: &str = "\
[[auth.keys]]
id = \"2026-01\"
secret_file = \"/run/secrets/uproar\"

[[auth.keys]]
issuer = \"https://login.example.org\"
public_key_file = \"login.pem\"
";

impl Config {
    /// The configuration as a TOML file with comments. It loads, and gives the same configuration, but for secrets: they
    /// are left out of it, and keys that have one have to be completed.
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
    match key.path {
        "chat.rooms" => write_records(text, key.path, ROOM_EXAMPLE, &config.chat.rooms),
        "auth.keys" => write_records(text, key.path, TOKEN_KEY_EXAMPLE, &config.auth.keys),
        _ => writeln!(text, "{} = {}", key.name, key.value(config)),
    }
}

/// A list of tables cannot stand beside an empty list of that name, so without tables there is only the example.
fn write_records<T: Record>(
    text: &mut String,
    path: &str,
    example: &str,
    records: &[T],
) -> fmt::Result {
    writeln!(text, "# The keys of each:")?;
    for field in T::FIELDS {
        writeln!(text, "# - {}: {}", field.name, field.doc)?;
        let takes = field.accepts();
        match field.value(&T::default()) {
            _ if T::MUST_HAVE == Some(field.name) => {
                writeln!(text, "#   Takes {takes}; must be there.")?;
            }
            Some(default) => writeln!(text, "#   Takes {takes}; without it {default}.")?,
            None => writeln!(text, "#   Takes {takes}; may be left out.")?,
        }
    }
    writeln!(text, "# For example:\n#")?;
    example.lines().try_for_each(|line| writeln!(text, "{}", format!("# {line}").trim_end()))?;
    for table in records::write(records).as_array().into_iter().flatten() {
        writeln!(text, "\n[[{path}]]")?;
        // In the order of the fields.
        for field in T::FIELDS {
            if let Some(value) = table.get(field.name) {
                writeln!(text, "{} = {value}", field.name)?;
            }
        }
    }
    Ok(())
}

fn write_doc(text: &mut String, doc: &[&str]) -> fmt::Result {
    doc.iter().try_for_each(|line| writeln!(text, "# {}", line.trim()))
}
