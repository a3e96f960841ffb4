//! Room names: what a room may be called, and why another name is refused.

use std::{error::Error, fmt};

use super::characters::{self, Flaw};

/// The longest room name, in bytes of UTF-8: every message of a chat room carries it.
pub const ROOM_NAME_BYTES_MAX: usize = 200;

/// Why a room cannot be called that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomNameError {
    /// No byte at all.
    Empty,
    /// More than [`ROOM_NAME_BYTES_MAX`].
    TooLong,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// `.` or `..`, which proxies and browsers resolve away in a path.
    Dots,
    /// A C0 or C1 control character, or DEL.
    Control,
    /// A character that reorders the text around it, so that one name can look like another.
    Bidi,
    /// Not in Unicode normalization form C: two names that look the same would be two rooms.
    NotNfc,
}

impl RoomNameError {
    /// The rule, in words for the peer.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "the room name is empty",
            Self::TooLong => "the room name is longer than 200 bytes",
            Self::NotUtf8 => "the room name is not UTF-8",
            Self::Dots => "the room name may not be \".\" or \"..\"",
            Self::Control => "the room name contains a control character",
            Self::Bidi => "the room name contains a character that overrides the writing direction",
            Self::NotNfc => "the room name is not in Unicode normalization form C",
        }
    }
}

impl fmt::Display for RoomNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Error for RoomNameError {}

/// Checks a room name as it came off the wire.
///
/// # Errors
///
/// The first rule that the name breaks.
pub fn check(name: &[u8]) -> Result<&str, RoomNameError> {
    if name.is_empty() {
        return Err(RoomNameError::Empty);
    }
    if name.len() > ROOM_NAME_BYTES_MAX {
        return Err(RoomNameError::TooLong);
    }
    let name = str::from_utf8(name).map_err(|_| RoomNameError::NotUtf8)?;
    if name == "." || name == ".." {
        return Err(RoomNameError::Dots);
    }
    match characters::flaw(name) {
        None => Ok(name),
        Some(Flaw::Control) => Err(RoomNameError::Control),
        Some(Flaw::Bidi) => Err(RoomNameError::Bidi),
        Some(Flaw::NotNfc) => Err(RoomNameError::NotNfc),
    }
}

#[cfg(test)]
mod tests {
    use super::{RoomNameError::*, *};

    #[test]
    fn names() {
        let longest = "x".repeat(ROOM_NAME_BYTES_MAX);
        let too_long = "x".repeat(ROOM_NAME_BYTES_MAX + 1);
        let too_long_in_bytes = "é".repeat(ROOM_NAME_BYTES_MAX / 2 + 1);
        let table: &[(&[u8], Result<(), RoomNameError>)] = &[
            (b"lobby", Ok(())),
            (b"a/b c?d#e%2F", Ok(())),
            ("caf\u{e9}".as_bytes(), Ok(())),
            ("日本語 👍🏽".as_bytes(), Ok(())),
            ("שלום\u{200f}".as_bytes(), Ok(())),
            (b"...", Ok(())),
            (longest.as_bytes(), Ok(())),
            (b"", Err(Empty)),
            (too_long.as_bytes(), Err(TooLong)),
            (too_long_in_bytes.as_bytes(), Err(TooLong)),
            (b"\xff", Err(NotUtf8)),
            (b"\xc0\xaf", Err(NotUtf8)),
            (b".", Err(Dots)),
            (b"..", Err(Dots)),
            (b"a\0", Err(Control)),
            (b"a\nb", Err(Control)),
            (b"\x7f", Err(Control)),
            ("\u{85}".as_bytes(), Err(Control)),
            ("user\u{202e}txt".as_bytes(), Err(Bidi)),
            ("\u{2067}".as_bytes(), Err(Bidi)),
            ("cafe\u{301}".as_bytes(), Err(NotNfc)),
        ];
        for (name, expected) in table {
            let found = check(name).map(|_| ());
            assert_eq!(found, *expected, "{}", name.escape_ascii());
        }
    }
}
