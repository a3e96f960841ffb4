//! The name that a client gives a message before the server has seen it (UUIDv7, RFC 9562, section 5.7).

use std::fmt;

use serde::{Serialize, Serializer};

/// Together with user and conversation the key under which a message is stored once, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientId(u128);

impl ClientId {
    /// Reads the hyphenated form with 32 hexadecimal digits, in either case. `None` if it is not that of a UUIDv7 of
    /// the RFC's variant.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 || [8, 13, 18, 23].into_iter().any(|at| text[at] != b'-') {
            return None;
        }
        let groups = [&text[..8], &text[9..13], &text[14..18], &text[19..23], &text[24..]];
        let id = groups.into_iter().try_fold(0, |id, group| {
            Some((id << (4 * group.len())) | u128::from(hexadecimal(group)?))
        })?;
        let (version, variant) = ((id >> 76) & 0xf, (id >> 62) & 0b11);
        (version == 7 && variant == 0b10).then_some(Self(id))
    }

    /// The one of these 16 bytes.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Its 16 bytes, in order of time.
    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// When it was made by the clock that made it, in milliseconds since 1970.
    pub(crate) const fn made_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

/// The number of at most 16 hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, &digit| {
        Some((number << 4) | u64::from(char::from(digit).to_digit(16)?))
    })
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut left = self.0;
        for at in (0..text.len()).rev().filter(|at| !matches!(at, 8 | 13 | 18 | 23)) {
            text[at] = DIGITS[(left & 0xf) as usize];
            left >>= 4;
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_and_are_not_a_uuid_of_version_7() {
        let text = "019aae5c-5d20-7abc-8def-0123456789ab";
        let id = ClientId::parse(text).expect("a UUIDv7");
        assert_eq!(id.to_string(), text);
        assert_eq!(ClientId::parse(&text.to_uppercase()), Some(id));
        assert_eq!(ClientId::from_bytes(id.to_bytes()), id);
        assert_eq!(id.made_ms(), 0x019a_ae5c_5d20);
        for wrong in [
            "",
            "019aae5c5d207abc8def0123456789ab",
            "019aae5c-5d20-4abc-8def-0123456789ab",
            "019aae5c-5d20-7abc-cdef-0123456789ab",
            "019aae5c-5d20-7abc-8def-0123456789a",
            "019aae5c-5d20-7abc-8def-0123456789ag",
            "019aae5c+5d20-7abc-8def-0123456789ab",
            "019aae5c-5d20-7abc-8def-01234567é9b",
        ] {
            assert_eq!(ClientId::parse(wrong), None, "{wrong}");
        }
    }
}
