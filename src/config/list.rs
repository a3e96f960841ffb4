//! Keys that hold a list of texts, each of which means something by itself: an origin, a host, a network.

use std::fmt::Display;
use std::str::FromStr;

use toml::Value;

use super::setting::{Fault, Setting};
use crate::gate::allowed::{AllowedHost, AllowedOrigin};
use crate::gate::keys::AccessKey;
use crate::gate::proxies::ProxyNetwork;

/// Entries that are looked through for each request.
const ENTRIES_MAX: usize = 1_000;

/// What one entry of such a list is.
pub(super) trait Entry: FromStr<Err: Display> + Display {
    /// Which lists are accepted, as a phrase that follows "must be".
    const LIST: &'static str;
    /// Whether what is wrong must not be shown, because it may be a secret in the place of something that is none.
    const IS_SECRET: bool = false;
}

impl Entry for AllowedOrigin {
    const LIST: &'static str =
        "a list of at most 1000 origins such as [\"https://chat.example.com\"]";
}

impl Entry for AllowedHost {
    const LIST: &'static str = "a list of at most 1000 hosts such as [\"chat.example.com\"]";
}

impl Entry for AccessKey {
    const LIST: &'static str = "a list of at most 1000 keys such as [\"grafana:metrics,health:HASH\"], hashed by \"uproar key\"";
    const IS_SECRET: bool = true;
}

impl Entry for ProxyNetwork {
    const LIST: &'static str =
        "a list of at most 1000 networks such as [\"10.0.0.0/8\"], or of addresses";
}

impl<T: Entry> Setting for Vec<T> {
    const EXPECTS: &'static str = T::LIST;
    const VERBATIM: bool = false;

    fn read(value: &Value) -> Option<Self> {
        let entries = value.as_array().filter(|entries| entries.len() <= ENTRIES_MAX)?;
        entries.iter().map(|entry| entry.as_str()?.parse().ok()).collect()
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(|entry| Value::String(entry.to_string())).collect())
    }

    fn faults(value: &Value) -> Vec<Fault> {
        let entries = value.as_array().into_iter().flatten().enumerate();
        let fault = |(at, value): (usize, &Value)| {
            let reason = match value.as_str().map(str::parse::<T>) {
                Some(Ok(_)) => return None,
                Some(Err(error)) => error.to_string(),
                None => "is no text".to_owned(),
            };
            let value = if T::IS_SECRET { Value::String("***".to_owned()) } else { value.clone() };
            Some(Fault { below: format!("[{at}]"), value, reason })
        };
        entries.filter_map(fault).collect()
    }
}
