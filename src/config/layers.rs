//! How a configuration is put together: a file, the environment over it, the flags over both. Where something is
//! wrong, all of it is reported, each with its place. Nothing here reads the process's own environment or arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::lines::{line_of, lines_of};
use super::problem::{Origin, Problem, Problems};
use super::secret::Secret;
use super::suggestion::suggestion;
use super::{Config, KEYS, Key, SECTIONS};

/// The environment variables that are ours.
const PREFIX: &str = "UPROAR_";

/// Where a configuration is loaded from; what comes later wins.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `UPROAR_` are left alone.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line that set a key.
    pub flags: Vec<Flag>,
}

/// A flag of the command line that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is typed, dashes included.
    pub name: &'static str,
    /// The key's path.
    pub key: &'static str,
    /// The value as it is typed.
    pub value: String,
}

impl Config {
    /// The defaults with those layers over them, checked.
    ///
    /// # Errors
    /// A file that cannot be read, unknown keys and variables, values of the wrong kind or out of bounds, keys that
    /// contradict each other: everything that is found, each with key, value, place and reason.
    pub fn load(layers: &Layers) -> Result<Self, Problems> {
        let mut loading = Loading::default();
        if let Some(path) = &layers.file {
            loading.file(path);
        }
        for (name, value) in &layers.environment {
            if let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) {
                loading.variable(name, value.to_str());
            }
        }
        for Flag { name, key, value } in &layers.flags {
            match Key::find(key) {
                Some(key) => {
                    loading.assign(key, &from_text(key, value), |_| Origin::Flag(name));
                }
                None => loading
                    .problems
                    .push(Problem::with(*name, format!("sets {key}, which is no key"))),
            }
        }
        loading.finish()
    }
}

impl Key {
    /// The key of that path.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }
}

#[derive(Default)]
struct Loading {
    config: Config,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Loading {
    fn file(&mut self, path: &Path) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(Problem::with(
                    path.display().to_string(),
                    format!("cannot be read: {error}"),
                ));
                return;
            }
        };
        // The values of one parse and the positions of the other: no parse gives both in a simple shape.
        let parsed = text.parse::<Table>().and_then(|values| Ok((values, DeTable::parse(&text)?)));
        let (values, positions) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let line = line_of(&text, error.span().map_or(0, |span| span.start));
                self.problems.push(Problem::with(
                    format!("{} line {line}", path.display()),
                    error.message(),
                ));
                return;
            }
        };
        let lines = lines_of(&text, positions.get_ref());
        let mut entries = entries(&values);
        entries.sort_by_key(|(name, _)| lines.get(name));
        for (name, value) in entries {
            let origin_of =
                |name: &str| Origin::File(path.to_owned(), lines.get(name).copied().unwrap_or(1));
            match Key::find(&name) {
                Some(key) => self.assign(key, value, origin_of),
                None => self.problems.push(Problem::with_value(
                    &name,
                    &harmless(&name, value),
                    origin_of(&name),
                    unknown_name(&name),
                )),
            }
        }
    }

    fn variable(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else {
            self.problems.push(Problem::with(name, "is not UTF-8"));
            return;
        };
        match KEYS.iter().find(|key| key.variable() == name) {
            Some(key) => {
                self.assign(key, &from_text(key, value), |_| Origin::Environment(name.to_owned()))
            }
            None if is_service_link(name, value) => {}
            None => {
                self.problems.push(Problem::with(name, unknown_variable(name)));
            }
        }
    }

    /// Sets a key. `origin_of` is asked by name, for the key itself and for what is inside of its value.
    fn assign(&mut self, key: &Key, value: &Value, origin_of: impl Fn(&str) -> Origin) {
        let faults = (key.faults)(value);
        if !faults.is_empty() {
            let named =
                faults.into_iter().map(|fault| (format!("{}{}", key.path, fault.below), fault));
            let mut found: Vec<_> =
                named.map(|(name, fault)| (origin_of(&name), name, fault)).collect();
            found.sort_by(|one, other| one.0.cmp(&other.0));
            self.problems.extend(found.into_iter().map(|(origin, name, fault)| {
                Problem::with_value(&name, &fault.value, origin, fault.reason)
            }));
            return;
        }
        if key.in_range(value) && (key.set)(&mut self.config, value) {
            self.origins.retain(|name, _| !is_inside(name, key.path));
            for name in names(key.path, value) {
                let origin = origin_of(&name);
                self.origins.insert(name, origin);
            }
        } else {
            let reason = format!("must be {}", key.accepts());
            let value = if key.is_secret { &Value::String(Secret::MASK.to_owned()) } else { value };
            self.problems.push(Problem::with_value(key.path, value, origin_of(key.path), reason));
        }
    }

    fn finish(self) -> Result<Config, Problems> {
        Problems::check(self.problems)?;
        let origin_of = |path: &str| self.origins.get(path).cloned().unwrap_or(Origin::Default);
        self.config.validate().map_err(|problems| problems.locate(origin_of))?;
        Ok(self.config)
    }
}

/// The value that a word of the environment or the command line stands for.
fn from_text(key: &Key, text: &str) -> Value {
    let verbatim = || Value::String(text.to_owned());
    if key.verbatim { verbatim() } else { text.parse().unwrap_or_else(|_| verbatim()) }
}

/// The key's name and those of everything inside of its value: `chat.rooms`, `chat.rooms[0]`, `chat.rooms[0].engine`.
fn names(path: &str, value: &Value) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    match value {
        Value::Array(list) => {
            let each = list.iter().enumerate();
            all.extend(each.flat_map(|(at, value)| names(&format!("{path}[{at}]"), value)));
        }
        Value::Table(table) => {
            all.extend(
                table.iter().flat_map(|(name, value)| names(&format!("{path}.{name}"), value)),
            );
        }
        _ => {}
    }
    all
}

fn is_inside(name: &str, path: &str) -> bool {
    name.strip_prefix(path).is_some_and(|rest| rest.starts_with('['))
}

/// Every `section.name` of the file with its value; what stands outside a section goes under its own name.
fn entries(values: &Table) -> Vec<(String, &Value)> {
    let mut entries = Vec::new();
    for (section, value) in values {
        match value {
            Value::Table(table) if SECTIONS.iter().any(|(known, _)| known == section) => {
                entries
                    .extend(table.iter().map(|(name, value)| (format!("{section}.{name}"), value)));
            }
            value => entries.push((section.clone(), value)),
        }
    }
    entries
}

/// The value of a key that does not exist, unless it looks as if it were meant to be a secret.
fn harmless(name: &str, value: &Value) -> Value {
    let is_harmless = |text: &str| {
        let text = text.to_lowercase();
        !["secret", "password", "token"].iter().any(|word| text.contains(word))
    };
    // Where secrets belong, what a misspelt key has may be one.
    let has_secrets = ["api.", "auth.", "callbacks.", "webhooks."];
    let may_be_one = has_secrets.iter().any(|section| name.starts_with(section)) && value.is_str();
    // What is inside of a table has names, too.
    if !may_be_one && is_harmless(name) && (value.is_integer() || is_harmless(&value.to_string())) {
        value.clone()
    } else {
        Value::String(Secret::MASK.to_owned())
    }
}

fn unknown_name(name: &str) -> String {
    if SECTIONS.iter().any(|(section, _)| *section == name) {
        return "is a section, so it must be a table".to_owned();
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    // The right name in the wrong place is likelier than a slip.
    if let Some(key) = KEYS.iter().find(|key| key.name == last) {
        format!("no such key; did you mean {}?", key.path)
    } else if name.contains('.') {
        format!("no such key{}", suggestion(name, KEYS.iter().map(|key| key.path.to_owned())))
    } else {
        format!(
            "no such section{}",
            suggestion(name, SECTIONS.iter().map(|(section, _)| (*section).to_owned()))
        )
    }
}

fn unknown_variable(name: &str) -> String {
    // A key without its section is likelier than a slip.
    let without_section = |key: &&Key| name.strip_prefix(PREFIX) == Some(&key.name.to_uppercase());
    match KEYS.iter().find(without_section) {
        Some(key) => format!("no key has this variable; did you mean {}?", key.variable()),
        None => {
            format!("no key has this variable{}", suggestion(name, KEYS.iter().map(Key::variable)))
        }
    }
}

/// Kubernetes gives every container variables for the services of its namespace, so a service named `uproar` would
/// otherwise keep the server from starting.
fn is_service_link(name: &str, value: &str) -> bool {
    let by_name = name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    let part_of_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains('_')
    });
    let by_value = name.ends_with("_PORT") && value.contains("://");
    !name.contains("__") && (by_name || part_of_port || by_value)
}
