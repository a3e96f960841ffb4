//! Display names: what users may call themselves, and why another name is refused.

use super::Code;
use crate::rooms::characters::{self, Flaw};

/// The longest display name, in characters (Unicode scalar values).
pub(crate) const NAME_CHARACTERS_MAX: usize = 64;

/// Why nobody can be called that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    Empty,
    /// More than [`NAME_CHARACTERS_MAX`].
    TooLong,
    /// Nothing in it can be seen.
    Blank,
    Flawed(Flaw),
}

impl NameError {
    /// The rule, in words for the peer.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Empty => "the name is empty",
            Self::TooLong => "the name is longer than 64 characters",
            Self::Blank => "the name is made of white space and invisible characters",
            Self::Flawed(Flaw::Control) => "the name contains a control character",
            Self::Flawed(Flaw::Bidi) => {
                "the name contains a character that overrides the writing direction"
            }
            Self::Flawed(Flaw::NotNfc) => "the name is not in Unicode normalization form C",
        }
    }

    /// The code of the error that a client gets for it.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::TooLong => Code::TooLong,
            Self::Empty | Self::Blank | Self::Flawed(_) => Code::BadName,
        }
    }
}

/// Checks a display name as it came off the wire.
///
/// # Errors
/// The first rule that the name breaks.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().nth(NAME_CHARACTERS_MAX).is_some() {
        return Err(NameError::TooLong);
    }
    if let Some(flaw) = characters::flaw(name) {
        return Err(NameError::Flawed(flaw));
    }
    if characters::is_visible(name) { Ok(()) } else { Err(NameError::Blank) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "é".repeat(NAME_CHARACTERS_MAX);
        let too_long = "x".repeat(NAME_CHARACTERS_MAX + 1);
        for (name, expected) in [
            ("Bob", Ok(())),
            (" B ", Ok(())),
            ("日本語 👍🏽", Ok(())),
            ("<script>alert(1)</script>", Ok(())),
            (&longest, Ok(())),
            ("", Err(NameError::Empty)),
            (&too_long, Err(NameError::TooLong)),
            ("  ", Err(NameError::Blank)),
            ("\u{200b}\u{3164}", Err(NameError::Blank)),
            ("a\nb", Err(NameError::Flawed(Flaw::Control))),
            ("Bob\u{202e}nimda", Err(NameError::Flawed(Flaw::Bidi))),
            ("e\u{301}", Err(NameError::Flawed(Flaw::NotNfc))),
        ] {
            assert_eq!(check(name), expected, "{name:?}");
        }
    }
}
