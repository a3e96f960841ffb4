//! The lines of an export, each a JSON object that says by its `type` what it is.
//!
//! First the head, then the messages by rising position, then the keys of messages that are gone, and the end, by which
//! an import sees that all lines are there. A body stands in its message as it was sent, so that a message that is
//! sent again is found to be the same; one with line breaks is written as text that contains JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::log::{Millis, Seq};
use crate::rooms::conversation::Conversation;

/// The version of what is described here.
pub(super) const FORMAT: u32 = 1;

pub(super) const HEAD: &str = "log";
pub(super) const MESSAGE: &str = "message";
pub(super) const KEY: &str = "key";
pub(super) const END: &str = "end";

/// Which of the others a line is.
#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
}

/// The whole log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) format: u32,
    /// Empty where the damage is such that nobody knows.
    pub(super) epoch: Cow<'a, str>,
    /// The highest position that was given, and the latest time.
    pub(super) last_seq: Seq,
    pub(super) last_time: Millis,
}

/// A message. It has either a room or two users.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageLine<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<[Cow<'a, str>; 2]>,
    pub(super) seq: Seq,
    pub(super) prev: Seq,
    pub(super) time: Millis,
    #[serde(borrow)]
    pub(super) user: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) client_id: Cow<'a, str>,
    /// What an event says; a user's message has none.
    #[serde(default, rename = "kind", skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<Cow<'a, str>>,
    /// Either this or the other.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_text: Option<Cow<'a, str>>,
}

/// What is kept of a message that is gone, so that it is not taken again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLine<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<[Cow<'a, str>; 2]>,
    pub(super) seq: Seq,
    pub(super) time: Millis,
    #[serde(borrow)]
    pub(super) user: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) client_id: Cow<'a, str>,
    /// In hexadecimal digits.
    #[serde(borrow)]
    pub(super) body_sha256: Cow<'a, str>,
    pub(super) until: Millis,
}

/// How many lines there were.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) messages: u64,
    pub(super) keys: u64,
    /// Pieces of the log that could not be read.
    pub(super) skipped: u64,
}

/// The fields `room` and `users` of a conversation.
pub(super) fn place(
    conversation: &Conversation,
) -> (Option<Cow<'_, str>>, Option<[Cow<'_, str>; 2]>) {
    match conversation.ends() {
        None => (Some(conversation.key().into()), None),
        Some((one, other)) => (None, Some([one.into(), other.into()])),
    }
}

/// The fields `body` and `body_text`; `None` for what is no JSON.
pub(super) fn body(text: &str) -> Option<(Option<&RawValue>, Option<Cow<'_, str>>)> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let is_one_line = !text.contains(['\n', '\r']) && raw.get().len() == text.len();
    Some(if is_one_line { (Some(raw), None) } else { (None, Some(text.into())) })
}

/// As hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The 32 bytes of 64 hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let is_hex = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    is_hex.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_stays_byte_for_byte_what_it_was() {
        for text in ["1", r#"{"a" :  [1, "\u0041"]}"#, "{\n\"a\":1}", "[1,\r2]", "\"a\u{2028}\""] {
            let (raw, escaped) = body(text).expect("JSON");
            let found = raw.map(RawValue::get).or(escaped.as_deref());
            assert_eq!(found, Some(text));
            assert_eq!(raw.is_none(), text.contains(['\n', '\r']), "{text}");
        }
        assert!(body("{").is_none() && body("").is_none() && body("1 2").is_none());
    }

    #[test]
    fn hexadecimal_digits_there_and_back() {
        let bytes: [u8; 32] = std::array::from_fn(|at| at as u8 * 8 + 3);
        assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
        for wrong in ["", "zz", &"0".repeat(63), &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)]
        {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
