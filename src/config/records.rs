//! Lists of tables in the configuration, such as `[[chat.rooms]]`: the keys of one table, how a list of them is read
//! and written, and what is wrong with one. Which keys there are stands with the type of the table.

use toml::{Table, Value};

use super::secret::Secret;
use super::setting::Fault;
use super::suggestion::suggestion;
use super::table::{Range, phrase, within};

/// What is known of one key of a table in a list.
#[derive(Debug)]
pub struct Field<T> {
    /// Its name in the table.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its bounds, both inclusive, where it is a number.
    pub range: Option<Range>,
    pub(super) expects: &'static str,
    /// `None` where it is not set and may be left out.
    pub(super) get: fn(&T) -> Option<Value>,
    /// `false` where the value is of the wrong kind; nothing is changed then.
    pub(super) set: fn(&mut T, &Value) -> bool,
    /// Whether its value must never be shown.
    pub(super) is_secret: bool,
}

/// A table of which the configuration has a list.
pub(super) trait Record: Default + 'static {
    /// Every key of a table.
    const FIELDS: &'static [Field<Self>];
    /// The key that every table must have, if there is one.
    const MUST_HAVE: Option<&'static str>;
    /// How many tables there may be.
    const MAX: usize;
}

impl<T: Default> Field<T> {
    /// Which values the key takes, bounds included.
    #[must_use]
    pub fn accepts(&self) -> String {
        phrase(self.expects, self.range)
    }

    /// The key's value in that table; `None` where it is left out.
    #[must_use]
    pub fn value(&self, record: &T) -> Option<Value> {
        (self.get)(record)
    }

    /// Whether that value can be the key's.
    pub(super) fn fits(&self, value: &Value) -> bool {
        within(self.range, value) && (self.set)(&mut T::default(), value)
    }
}

/// The tables of a value; `None` where it is no such list.
pub(super) fn read<T: Record>(value: &Value) -> Option<Vec<T>> {
    let tables = value.as_array().filter(|tables| tables.len() <= T::MAX)?;
    let record = |table: &Table| {
        let mut record = T::default();
        for (name, value) in table {
            let field = T::FIELDS.iter().find(|field| field.name == name)?;
            (field.set)(&mut record, value).then_some(())?;
        }
        Some(record)
    };
    tables.iter().map(|table| record(table.as_table()?)).collect()
}

/// The value that would give these tables, secrets masked.
pub(super) fn write<T: Record>(records: &[T]) -> Value {
    let table = |record| {
        let pairs = T::FIELDS.iter().filter_map(|field| {
            let value = field.value(record)?;
            let mask = || Value::String(Secret::MASK.to_owned());
            Some((field.name.to_owned(), if field.is_secret { mask() } else { value }))
        });
        Value::Table(pairs.collect())
    };
    Value::Array(records.iter().map(table).collect())
}

/// What is wrong with the tables of a value, each by itself.
pub(super) fn faults<T: Record>(value: &Value) -> Vec<Fault> {
    let tables = value.as_array().into_iter().flatten().enumerate();
    tables.flat_map(|(at, value)| faults_of::<T>(&format!("[{at}]"), value)).collect()
}

fn faults_of<T: Record>(at: &str, value: &Value) -> Vec<Fault> {
    let whole = |reason: String| Fault { below: at.to_owned(), value: shown::<T>(value), reason };
    let Some(table) = value.as_table() else {
        let with = T::MUST_HAVE.map(|name| format!(" with a {name}")).unwrap_or_default();
        return vec![whole(format!("must be a table{with}"))];
    };
    let mut faults = Vec::new();
    if let Some(name) = T::MUST_HAVE.filter(|name| !table.contains_key(*name)) {
        faults.push(whole(format!("has no {name}")));
    }
    for (name, value) in table {
        let reason = match T::FIELDS.iter().find(|field| field.name == name) {
            None => {
                let known = T::FIELDS.iter().map(|field| field.name.to_owned());
                format!("no such key{}", suggestion(name, known))
            }
            Some(field) if !field.fits(value) => format!("must be {}", field.accepts()),
            Some(_) => continue,
        };
        faults.push(Fault {
            below: format!("{at}.{name}"),
            value: shown_field::<T>(name, value),
            reason,
        });
    }
    faults
}

/// The value as it may be shown. In a list with secrets an unknown key may be a misspelt secret.
fn shown_field<T: Record>(name: &str, value: &Value) -> Value {
    let field = T::FIELDS.iter().find(|field| field.name == name);
    let is_secret = field.map_or_else(has_secrets::<T>, |field| field.is_secret);
    if is_secret { Value::String(Secret::MASK.to_owned()) } else { value.clone() }
}

fn shown<T: Record>(value: &Value) -> Value {
    match value {
        Value::Table(table) => {
            let shown =
                |(name, value): (&String, &Value)| (name.clone(), shown_field::<T>(name, value));
            Value::Table(table.iter().map(shown).collect())
        }
        _ if has_secrets::<T>() => Value::String(Secret::MASK.to_owned()),
        _ => value.clone(),
    }
}

fn has_secrets<T: Record>() -> bool {
    T::FIELDS.iter().any(|field| field.is_secret)
}
