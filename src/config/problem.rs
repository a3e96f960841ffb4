//! What is wrong with a configuration, in words that name the key, its value, where it was set, and the reason.

use std::fmt;
use std::path::PathBuf;

use toml::Value;

use super::{Config, Key, Secret};

/// The longest value that is shown whole, in characters.
const VALUE_SHOWN_MAX: usize = 80;

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One thing that is wrong, with the keys that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    subjects: Vec<Subject>,
    reason: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file, counted from 1.
    File(PathBuf, usize),
    /// The environment variable of that name.
    Environment(String),
    /// The flag of that name.
    Flag(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    name: String,
    value: Option<String>,
    origin: Option<Origin>,
}

impl Problems {
    /// `Ok` where there is none.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// Says of each key where its value came from.
    pub(super) fn locate(mut self, origin_of: impl Fn(&str) -> Origin) -> Self {
        for subject in self.0.iter_mut().flat_map(|problem| &mut problem.subjects) {
            subject.origin.get_or_insert_with(|| origin_of(&subject.name));
        }
        self
    }

    /// The problems one by one, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl Problem {
    /// Something wrong with a file or a variable as a whole, or with a name that is no key.
    pub(super) fn with(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { subjects: Vec::new(), reason: reason.into() }.and(name, None, None)
    }

    /// Something wrong with a value as it was written.
    pub(super) fn with_value(
        name: &str,
        value: &Value,
        origin: Origin,
        reason: impl Into<String>,
    ) -> Self {
        Self { subjects: Vec::new(), reason: reason.into() }.and(
            name,
            Some(shown(value)),
            Some(origin),
        )
    }

    /// Something wrong with the values that those keys have in that configuration, or with their combination.
    pub(crate) fn among(config: &Config, paths: &[&str], reason: impl Into<String>) -> Self {
        let none = Self { subjects: Vec::new(), reason: reason.into() };
        paths.iter().fold(none, |problem, path| {
            problem.and(*path, Key::find(path).map(|key| shown(&key.value(config))), None)
        })
    }

    /// Something wrong with those values, by their names, or with their combination.
    pub(super) fn of(
        values: impl IntoIterator<Item = (String, Option<Value>)>,
        reason: impl Into<String>,
    ) -> Self {
        let none = Self { subjects: Vec::new(), reason: reason.into() };
        values
            .into_iter()
            .fold(none, |problem, (name, value)| problem.and(name, value.as_ref().map(shown), None))
    }

    fn and(
        mut self,
        name: impl Into<String>,
        value: Option<String>,
        origin: Option<Origin>,
    ) -> Self {
        self.subjects.push(Subject { name: name.into(), value, origin });
        self
    }
}

/// One line, however long the value is; nothing of it where it is a URL that has a password.
fn shown(value: &Value) -> String {
    let has_password = |text: &str| text.contains("://") && text.contains('@');
    if value.as_str().is_some_and(has_password) {
        return format!("\"{}\"", Secret::MASK);
    }
    let whole = value.to_string().replace('\n', " ");
    match whole.char_indices().nth(VALUE_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, subject) in self.subjects.iter().enumerate() {
            if nth > 0 {
                f.write_str(" and ")?;
            }
            subject.fmt(f)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl std::error::Error for Problems {}

impl std::error::Error for Problem {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
