//! User ids: what a user may be called by the server, and why another id is refused.

use super::Code;
use crate::rooms::characters::{self, Flaw};

/// The longest user id, in bytes of UTF-8.
pub(crate) const USER_ID_BYTES_MAX: usize = 128;

/// Why nobody can have that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserIdError {
    Empty,
    /// More than [`USER_ID_BYTES_MAX`].
    TooLong,
    Flawed(Flaw),
}

impl UserIdError {
    /// The rule, in words for the peer.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Empty => "the user id is empty",
            Self::TooLong => "the user id is longer than 128 bytes",
            Self::Flawed(Flaw::Control) => "the user id contains a control character",
            Self::Flawed(Flaw::Bidi) => {
                "the user id contains a character that overrides the writing direction"
            }
            Self::Flawed(Flaw::NotNfc) => "the user id is not in Unicode normalization form C",
        }
    }

    /// The code of the error that a client gets for it.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::TooLong => Code::TooLong,
            Self::Empty | Self::Flawed(_) => Code::BadUser,
        }
    }
}

/// Checks a user id as it came off the wire.
///
/// # Errors
/// The first rule that the id breaks.
pub(crate) fn check(id: &str) -> Result<(), UserIdError> {
    if id.is_empty() {
        return Err(UserIdError::Empty);
    }
    if id.len() > USER_ID_BYTES_MAX {
        return Err(UserIdError::TooLong);
    }
    characters::flaw(id).map_or(Ok(()), |flaw| Err(UserIdError::Flawed(flaw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let longest = "x".repeat(USER_ID_BYTES_MAX);
        let too_long = "é".repeat(USER_ID_BYTES_MAX / 2 + 1);
        for (id, expected) in [
            ("bob", Ok(())),
            ("guest-AAAAAAAAAAAAAAAAAAAAAA", Ok(())),
            ("user:42@example.com", Ok(())),
            ("日本語", Ok(())),
            (&longest, Ok(())),
            ("", Err(UserIdError::Empty)),
            (&too_long, Err(UserIdError::TooLong)),
            ("a\0b", Err(UserIdError::Flawed(Flaw::Control))),
            ("a\u{2066}b", Err(UserIdError::Flawed(Flaw::Bidi))),
            ("e\u{301}", Err(UserIdError::Flawed(Flaw::NotNfc))),
        ] {
            assert_eq!(check(id), expected, "{id:?}");
        }
    }
}
