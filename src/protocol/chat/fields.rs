//! The fields of a message, found in one pass over its text: which ones there are, each as JSON text.
//!
//! What they must be is told by whoever asks for one; here a wrong one only says so, by its name.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rejection::Fault;
use super::{ClientId, Code};

/// The longest `ref`, in characters of a string or of a number: it is kept until the answer is written.
pub(crate) const REF_CHARACTERS_MAX: usize = 64;

/// The fields that any message of a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Field {
    Type,
    Ref,
    Room,
    With,
    ClientId,
    Body,
    After,
    Before,
    Limit,
    History,
    Name,
    Guest,
    Token,
    #[serde(other)]
    Other,
}

impl Field {
    const COUNT: usize = Self::Other as usize;

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Ref => "ref",
            Self::Room => "room",
            Self::With => "with",
            Self::ClientId => "client_id",
            Self::Body => "body",
            Self::After => "after",
            Self::Before => "before",
            Self::Limit => "limit",
            Self::History => "history",
            Self::Name => "name",
            Self::Guest => "guest",
            Self::Token => "token",
            Self::Other => "other",
        }
    }
}

/// The fields of one message, as JSON text that is valid but for the pairing of surrogates and the range of numbers.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    found: [Option<&'a str>; Field::COUNT],
    twice: Option<Field>,
}

impl<'a> Fields<'a> {
    /// Finds them, up to the first error if it is not JSON.
    pub(super) fn read(text: &'a str) -> (Self, Result<(), Fault>) {
        let mut fields = Self::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let result = json.deserialize_map(&mut fields).and_then(|()| json.end());
        let result = match (result, fields.twice) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(field)) => {
                Err(Fault::shape(format!("`{}` is there twice", field.name())))
            }
            (Err(error), _) if error.is_data() => {
                Err(Fault::new(Code::BadJson, "a message must be a JSON object"))
            }
            (Err(error), _) => Err(Fault::new(Code::BadJson, format!("not JSON: {error}"))),
        };
        (fields, result)
    }

    /// The field as it came, `null` too.
    pub(super) fn raw(&self, field: Field) -> Option<&'a str> {
        self.found.get(field as usize).copied().flatten()
    }

    /// The field, if it is there and not `null`.
    pub(super) fn get(&self, field: Field) -> Option<&'a str> {
        self.raw(field).filter(|&value| value != "null")
    }

    /// A field that must be a string where it is there.
    pub(super) fn text(&self, field: Field) -> Result<Option<Cow<'a, str>>, Fault> {
        self.get(field).map(|value| text(value, field.name())).transpose()
    }

    /// A field that must be an integer within those bounds where it is there.
    pub(super) fn whole<T>(
        &self,
        field: Field,
        range: &RangeInclusive<T>,
    ) -> Result<Option<T>, Fault>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (name, min, max) = (field.name(), range.start(), range.end());
            Fault::shape(format!("`{name}` must be an integer from {min} to {max}"))
        })
    }

    /// The `ref`, as JSON text.
    pub(super) fn reference(&self) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.get(Field::Ref) else { return Ok(None) };
        let length = match value.as_bytes() {
            [b'"', ..] => text(value, Field::Ref.name())?.chars().count(),
            [b'-' | b'0'..=b'9', ..] => {
                if !value.parse::<f64>().is_ok_and(f64::is_finite) {
                    return Err(Fault::shape("`ref` is beyond the numbers of double precision"));
                }
                value.len()
            }
            _ => return Err(Fault::shape("`ref` must be a string or a number")),
        };
        if length > REF_CHARACTERS_MAX {
            return Err(Fault::new(Code::TooLong, "`ref` is longer than 64 characters"));
        }
        Ok(Some(value))
    }

    /// The `client_id`.
    pub(super) fn client_id(&self) -> Result<Option<ClientId>, Fault> {
        let Some(text) = self.text(Field::ClientId)? else { return Ok(None) };
        let id = ClientId::parse(&text);
        id.ok_or_else(|| Fault::shape("`client_id` must be a UUID of version 7")).map(Some)
    }
}

/// The string that this JSON text is; borrowed, unless it has escapes.
fn text<'a>(value: &'a str, name: &str) -> Result<Cow<'a, str>, Fault> {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return Err(Fault::shape(format!("`{name}` must be a string")));
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let unescaped = serde_json::from_str(value).map(Cow::Owned);
    unescaped.map_err(|_| Fault::shape(format!("`{name}` contains half a surrogate pair")))
}

impl<'a> Visitor<'a> for &mut Fields<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(field) = map.next_key::<Field>()? {
            let Some(slot) = self.found.get_mut(field as usize) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&'a RawValue>()?.get();
            if slot.is_some() {
                self.twice.get_or_insert(field);
            } else {
                *slot = Some(value);
            }
        }
        Ok(())
    }
}
