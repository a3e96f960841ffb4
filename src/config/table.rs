//! The macro that turns the table in `keys` into everything that is known of a key: the public structs and their
//! documentation, the defaults, the bounds, and one [`Key`] each. Which keys there are stands in `keys`, not here.

use toml::Value;

use super::Config;
use super::setting::Fault;

/// What is known of one key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, as errors and documentation write it.
    pub path: &'static str,
    /// The table in which it stands.
    pub section: &'static str,
    /// Its name in that table.
    pub name: &'static str,
    /// What it means, line by line.
    pub doc: &'static [&'static str],
    /// Its bounds, both inclusive, where it is a number.
    pub range: Option<Range>,
    /// Which values it takes, as a phrase that follows "must be".
    pub expects: &'static str,
    /// Whether text from the environment or a flag is the value as it stands, rather than TOML.
    pub(super) verbatim: bool,
    /// Whether its value must not be shown where it is wrong.
    pub(super) is_secret: bool,
    pub(super) get: fn(&Config) -> Value,
    /// `false` where the value is of the wrong kind; nothing is changed then.
    pub(super) set: fn(&mut Config, &Value) -> bool,
    /// What is wrong inside of a value that is of the right kind as a whole.
    pub(super) faults: fn(&Value) -> Vec<Fault>,
}

/// The bounds of a number, both inclusive, and what it counts.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
    /// What is counted, in the plural.
    pub unit: &'static str,
}

impl Key {
    /// Which values the key takes, bounds included: "a whole number from 1 to 300 (seconds)".
    #[must_use]
    pub fn accepts(&self) -> String {
        phrase(self.expects, self.range)
    }

    /// The name of the environment variable that sets the key.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("UPROAR_{}__{}", self.section, self.name).to_uppercase()
    }

    /// The key's value in that configuration.
    #[must_use]
    pub fn value(&self, config: &Config) -> Value {
        (self.get)(config)
    }

    /// Whether a value of the right kind is also within the bounds.
    pub(super) fn in_range(&self, value: &Value) -> bool {
        within(self.range, value)
    }
}

/// What is expected, bounds included.
pub(super) fn phrase(expects: &str, range: Option<Range>) -> String {
    match range {
        Some(Range { min, max, unit }) => format!("{expects} from {min} to {max} ({unit})"),
        None => expects.to_owned(),
    }
}

/// Whether a value is within the bounds, if it has any.
pub(super) fn within(range: Option<Range>, value: &Value) -> bool {
    let (Some(range), Some(number)) = (range, value.as_integer()) else { return true };
    u64::try_from(number).is_ok_and(|number| (range.min..=range.max).contains(&number))
}

/// Declares the sections and their keys. An entry reads
/// `name: Type [min..=max unit] = default;` under its documentation, the bracket only for numbers.
macro_rules! config {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $ty:ty $([$min:literal ..= $max:literal $unit:ident])? = $default:expr;
            )+
        }
    )+) => {
        /// Everything that can be set. `Config::default()` is complete and valid; change the fields that matter.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $section: $Section,)+
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Section {
                $(
                    $(#[doc = $doc])+
                    ///
                    #[doc = concat!("Default: `", stringify!($default), "`.")]
                    $(#[doc = concat!("From ", $min, " to ", $max, " ", stringify!($unit), ".")])?
                    pub $key: $ty,
                )+
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $($key: $default,)+ }
                }
            }
        )+

        /// Every key there is, in the order in which `uproar config` prints them.
        pub const KEYS: &[Key] = &[$($(Key {
            path: concat!(stringify!($section), ".", stringify!($key)),
            section: stringify!($section),
            name: stringify!($key),
            doc: &[$($doc),+],
            range: config!(@range $($min, $max, $unit)?),
            expects: <$ty as Setting>::EXPECTS,
            verbatim: <$ty as Setting>::VERBATIM,
            is_secret: <$ty as Setting>::IS_SECRET,
            get: |config| Setting::write(&config.$section.$key),
            set: |config, value| {
                Setting::read(value).map(|value| config.$section.$key = value).is_some()
            },
            faults: <$ty as Setting>::faults,
        },)+)+];

        /// The sections and what they are about, in the order in which `uproar config` prints them.
        pub const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$($section_doc),+]),)+];
    };
    (@range) => { None };
    (@range $min:literal, $max:literal, $unit:ident) => {
        Some(Range { min: $min, max: $max, unit: stringify!($unit) })
    };
}

pub(super) use config;
