//! Frames of logged messages among others: each begins with its position, which is read from its bytes where somebody
//! who fell behind has to be told what is missing. No table of positions is kept beside the frames.

use std::ops::Range;

use crate::log::Seq;
use crate::protocol::frame;

/// How the text of a logged message begins; no other text that the server sends does.
pub(crate) const START: &str = r#"{"type":"message","seq":"#;

/// How the text of a signal begins.
const SIGNAL: &str = r#"{"type":"signal","#;

/// How the text of one begins that says who came or went.
const PRESENCE: &str = r#"{"type":"presence","#;

/// The position of the logged message that this whole, unmasked frame carries; `None` for any other frame.
pub(crate) fn seq_of(frame: &[u8]) -> Option<Seq> {
    let digits = payload(frame).strip_prefix(START.as_bytes())?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// Whether this whole, unmasked frame is a signal.
pub(crate) fn is_signal(frame: &[u8]) -> bool {
    payload(frame).starts_with(SIGNAL.as_bytes())
}

/// Whether this whole, unmasked frame says who came or went.
pub(crate) fn is_presence(frame: &[u8]) -> bool {
    payload(frame).starts_with(PRESENCE.as_bytes())
}

/// Where each of these whole frames lies.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        at = bytes.len().min(at + frame::frame_len(rest));
        Some(start..at)
    })
}

fn payload(frame: &[u8]) -> &[u8] {
    let head_len = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(head_len..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;

    #[test]
    fn a_logged_message_is_told_from_others_by_how_it_begins() {
        let long = format!(r#"{START}9007199254740991,"body":"{}"}}"#, "x".repeat(70_000));
        let middle = format!(r#"{START}12,"body":"{}"}}"#, "x".repeat(200));
        let texts = [
            (r#"{"type":"message","seq":7,"prev":0}"#, Some(7)),
            (middle.as_str(), Some(12)),
            (long.as_str(), Some((1 << 53) - 1)),
            (r#"{"type":"signal","body":{"type":"message","seq":7}}"#, None),
            ("", None),
            (r#"{"type":"presence","room":"a"}"#, None),
        ];
        let mut bytes = Vec::new();
        for (text, _) in texts {
            frame::encode(Message::Text(text), &mut bytes);
        }
        let found: Vec<_> = frames(&bytes).map(|range| seq_of(&bytes[range])).collect();
        assert_eq!(found, texts.map(|(_, seq)| seq));
        let signals = frames(&bytes).map(|range| is_signal(&bytes[range]));
        assert!(signals.eq([false, false, false, true, false, false]));
        let presence = frames(&bytes).map(|range| is_presence(&bytes[range]));
        assert!(presence.eq([false, false, false, false, false, true]));
    }
}
