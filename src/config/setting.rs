//! The types that a key can have: how each is read from a TOML value and written as one. Bounds are the table's
//! matter, not the type's.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use toml::Value;

use super::secret::Secret;

/// A type that a key can have.
pub(super) trait Setting: Sized {
    /// Which values are accepted, as a phrase that follows "must be".
    const EXPECTS: &'static str;
    /// Whether text from the environment or a flag is the value as it stands, rather than TOML.
    const VERBATIM: bool;
    /// Whether a value that is wrong must not be shown, because it may be a secret or hold one.
    const IS_SECRET: bool = false;

    /// `None` where the value is of another kind.
    fn read(value: &Value) -> Option<Self>;
    fn write(&self) -> Value;

    /// What is wrong inside of a value that is of the right kind as a whole.
    fn faults(_: &Value) -> Vec<Fault> {
        Vec::new()
    }
}

/// Something wrong inside of a value.
pub(super) struct Fault {
    /// Where, as it follows the key's path: `[2].engine`.
    pub(super) below: String,
    pub(super) value: Value,
    pub(super) reason: String,
}

impl Setting for bool {
    const EXPECTS: &'static str = "true or false";
    const VERBATIM: bool = false;

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Value {
        Value::Boolean(*self)
    }
}

macro_rules! whole_number {
    ($($ty:ty)+) => {$(
        impl Setting for $ty {
            const EXPECTS: &'static str = "a whole number";
            const VERBATIM: bool = false;

            fn read(value: &Value) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }

            fn write(&self) -> Value {
                // Above any bound in the table, so a larger number is still refused.
                Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )+};
}

whole_number!(u32 u64 usize);

impl Setting for String {
    const EXPECTS: &'static str = "a text";
    const VERBATIM: bool = true;

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }

    fn write(&self) -> Value {
        Value::String(self.clone())
    }
}

impl Setting for Vec<String> {
    const EXPECTS: &'static str = "a list of texts";
    const VERBATIM: bool = false;

    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(Setting::read).collect()
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(Setting::write).collect())
    }
}

impl Setting for Secret {
    const EXPECTS: &'static str = "a text";
    const VERBATIM: bool = true;
    const IS_SECRET: bool = true;

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }

    /// That there is none is no secret.
    fn write(&self) -> Value {
        let shown = if self.expose().is_empty() { "" } else { Self::MASK };
        Value::String(shown.to_owned())
    }
}

impl Setting for PathBuf {
    const EXPECTS: &'static str = "a path";
    const VERBATIM: bool = true;

    fn read(value: &Value) -> Option<Self> {
        value.as_str().filter(|path| !path.is_empty()).map(Self::from)
    }

    fn write(&self) -> Value {
        Value::String(self.to_string_lossy().into_owned())
    }
}

impl Setting for Option<PathBuf> {
    const EXPECTS: &'static str = "a path, or \"\" for none";
    const VERBATIM: bool = true;

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(|path| (!path.is_empty()).then(|| PathBuf::from(path)))
    }

    fn write(&self) -> Value {
        let path = self.as_deref().map(std::path::Path::to_string_lossy);
        Value::String(path.unwrap_or_default().into_owned())
    }
}

impl Setting for SocketAddr {
    const EXPECTS: &'static str = "an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or a host name \
                                   that resolves and a port such as \"localhost:8080\"";
    const VERBATIM: bool = true;

    /// A name that has several addresses gives its first IPv4 one, as `localhost` would mean in a tutorial.
    fn read(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let resolved: Vec<Self> = text.to_socket_addrs().ok()?.collect();
        resolved.iter().find(|address| address.is_ipv4()).or(resolved.first()).copied()
    }

    fn write(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// Declares an enum whose variants are words in the configuration.
macro_rules! choice {
    (
        $(#[$meta:meta])+
        $name:ident { $($(#[$variant_meta:meta])+ $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])+ $variant,)+
        }

        $crate::config::setting::words! { $name { $($variant = $word,)+ } }
    };
}

/// Gives the variants of an enum their words in the configuration.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)+ }) => {
        impl Setting for $name {
            const EXPECTS: &'static str = concat!("one of", $(" \"", $word, "\""),+);
            const VERBATIM: bool = true;

            fn read(value: &Value) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn write(&self) -> Value {
                Value::String(match self { $(Self::$variant => $word,)+ }.to_owned())
            }
        }
    };
}

/// Gives lists of such words their form in the configuration.
macro_rules! word_list {
    ($name:ident, $expects:literal) => {
        impl Setting for Vec<$name> {
            const EXPECTS: &'static str = $expects;
            const VERBATIM: bool = false;

            fn read(value: &Value) -> Option<Self> {
                value.as_array()?.iter().map(Setting::read).collect()
            }

            fn write(&self) -> Value {
                Value::Array(self.iter().map(Setting::write).collect())
            }
        }
    };
}

pub(super) use {choice, word_list, words};
