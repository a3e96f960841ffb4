//! The key of a message: a UUIDv7 (RFC 9562, section 5.7) that also says which message of the run it is.
//!
//! ```text
//! bits 127..80  milliseconds since 1970      bits 63..62  variant, 0b10
//!       79..76  version, 7                         61..32  slot: a sender's number in a room
//!       75..64  the run's low bits                 31..0   number of the message
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

/// What is not the time.
const BELOW_TIME: u128 = (1 << 80) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(u128);

impl ClientId {
    /// The key of a message that is made now.
    pub(super) fn new(run: u32, slot: usize, number: u32) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_millis() << 80 | Self::below_time(run, slot, number))
    }

    /// Whether it is that message's, whenever it was made.
    pub(super) fn is_of(self, run: u32, slot: usize, number: u32) -> bool {
        self.0 & BELOW_TIME == Self::below_time(run, slot, number)
    }

    fn below_time(run: u32, slot: usize, number: u32) -> u128 {
        let (version, variant) = (7 << 76, 0b10 << 62);
        let run = u128::from(run & 0xfff) << 64;
        let slot = (slot as u128 & 0x3fff_ffff) << 32;
        version | variant | run | slot | u128::from(number)
    }

    /// As it goes over the wire.
    pub(super) fn text(self) -> String {
        let hex = format!("{:032x}", self.0);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let dashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-');
        if text.len() != 36 || !dashes.map(|(at, _)| at).eq([8, 13, 18, 23]) {
            return None;
        }
        let digits = text.bytes().filter(|byte| *byte != b'-').map(|byte| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        });
        let value = digits.map(|digit| digit.map(u128::from));
        value.reduce(|value, digit| Some(value? << 4 | digit?)).flatten().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_uuid_of_version_7_and_says_whose_it_is() {
        let id = ClientId::new(0xdead_beef, 77, 123_456);
        let text = id.text();
        assert_eq!((text.len(), &text[14..15], &text[15..18]), (36, "7", "eef"));
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(ClientId::parse(&text), Some(id));
        assert!(id.is_of(0xdead_beef, 77, 123_456));
        assert!(!id.is_of(0xdead_beef, 77, 123_457) && !id.is_of(0xdead_beef, 78, 123_456));
        assert!(!id.is_of(0xdead_beee, 77, 123_456));
    }

    #[test]
    fn what_is_no_key_is_none() {
        let good = "0190f5a6-0000-7eef-8000-004d0001e240";
        assert!(ClientId::parse(good).is_some());
        for bad in ["", "0190f5a6", &good[1..], &good.replace('e', "g"), &good.replace('-', "0")] {
            assert_eq!(ClientId::parse(bad), None, "{bad}");
        }
    }
}
