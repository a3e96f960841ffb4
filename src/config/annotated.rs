//! A configuration written as the TOML file that would give it, every key under its meaning and bounds.

use std::fmt::{self, Write};

use toml::Value;

use super::{Config, KEYS, Key, ROOM_KEYS, RoomRule, SECTIONS};

const HEAD: &str = "\
# Uproar's configuration. What stands here is over the defaults, an environment variable such as
# UPROAR_LIMITS__MESSAGE_BYTES_MAX is over what stands here, and a flag is over both.
# Keys may be left out; a key that does not exist is an error.
";

/// Rules that load as they stand.
const EXAMPLE: &str = "\
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
    match key.value(config) {
        Value::Array(_) if key.path == "chat.rooms" => write_rooms(text, &config.chat.rooms),
        value => writeln!(text, "{} = {value}", key.name),
    }
}

/// A list of tables cannot stand beside an empty list of that name, so without rules there is only the example.
fn write_rooms(text: &mut String, rules: &[RoomRule]) -> fmt::Result {
    writeln!(text, "# The keys of each:")?;
    for key in ROOM_KEYS {
        writeln!(text, "# - {}: {}", key.name, key.doc)?;
        match key.default() {
            Some(default) => writeln!(text, "#   Takes {}; without it {default}.", key.accepts())?,
            None => writeln!(text, "#   Takes {}; must be there.", key.accepts())?,
        }
    }
    writeln!(text, "# For example:\n#")?;
    EXAMPLE.lines().try_for_each(|line| writeln!(text, "{}", format!("# {line}").trim_end()))?;
    for rule in rules {
        writeln!(text, "\n[[chat.rooms]]")?;
        for key in ROOM_KEYS {
            writeln!(text, "{} = {}", key.name, key.value(rule))?;
        }
    }
    Ok(())
}

fn write_doc(text: &mut String, doc: &[&str]) -> fmt::Result {
    doc.iter().try_for_each(|line| writeln!(text, "# {}", line.trim()))
}
