//! A client's side of the codec tests: frames as bytes, and what the decoder makes of them piece by piece.

use uproar::protocol::frame::{Event, Partial, Violation, decode};
use uproar::protocol::{Close, Message};

pub(crate) use crate::bytes::*;

/// The limit that the tables decode under.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// All four bytes differ, so that a mask out of phase shows.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What the decoder said, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<Close>),
    Violation(Violation),
}

impl From<Event<'_>> for Heard {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => Self::Close(close),
        }
    }
}

/// A violation of the protocol, whatever its words.
pub(crate) const PROTOCOL: Heard = Heard::Violation(Violation::Protocol(""));
pub(crate) const INVALID_UTF8: Heard = Heard::Violation(Violation::InvalidUtf8);
pub(crate) const TOO_BIG: Heard = Heard::Violation(Violation::TooBig);

/// Text of that content.
pub(crate) fn text(content: &str) -> Heard {
    Heard::Text(content.to_owned())
}

/// A masked frame with its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    frame
}

/// The head of a masked frame that announces `length` bytes, in the shortest form.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..126 => head.push(0x80 | length as u8),
        126..65536 => {
            head.push(0x80 | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

/// A session's decoder, fed piece by piece.
pub(crate) struct Decoder {
    partial: Option<Box<Partial>>,
    message_bytes_max: usize,
    pub(crate) heard: Vec<Heard>,
}

impl Decoder {
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        Self { partial: None, message_bytes_max, heard: Vec::new() }
    }

    /// Decodes all of `piece`, as a shard does with what one read brought. Deaf after a Close or a violation.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        while !self.is_over() {
            match decode(&mut self.partial, rest, self.message_bytes_max) {
                Err(Violation::Protocol(what)) => {
                    assert!(
                        !what.is_empty() && what.len() <= 123,
                        "a reason that fits into a Close"
                    );
                    self.heard.push(PROTOCOL);
                }
                Err(violation) => self.heard.push(Heard::Violation(violation)),
                Ok(decoded) => {
                    let consumed = decoded.consumed;
                    let Some(event) = decoded.event else {
                        assert_eq!(consumed, rest.len(), "no event and yet bytes left over");
                        break;
                    };
                    self.heard.push(event.into());
                    rest = &mut rest[consumed..];
                }
            }
        }
        if let Some(partial) = &self.partial {
            assert!(partial.heap_bytes() <= size_of::<Partial>() + self.message_bytes_max);
        }
    }

    /// Whether a message or frame is begun and not ended.
    pub(crate) fn is_message_started(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.is_message_started())
    }

    /// Whether memory is held between reads.
    pub(crate) fn holds_memory(&self) -> bool {
        self.partial.is_some()
    }

    fn is_over(&self) -> bool {
        matches!(self.heard.last(), Some(Heard::Close(_) | Heard::Violation(_)))
    }
}

/// What a decoder hears of `pieces`.
pub(crate) fn hear<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    message_bytes_max: usize,
) -> Vec<Heard> {
    let mut decoder = Decoder::new(message_bytes_max);
    pieces.into_iter().for_each(|piece| decoder.feed(piece));
    decoder.heard
}

/// Requires that `frames` are heard as `expected`: read at once, byte by byte, and cut in two at every place (of
/// long streams: at places a prime apart).
#[track_caller]
pub(crate) fn check(rule: &str, frames: &[Vec<u8>], expected: &[Heard]) {
    let stream = frames.concat();
    assert_eq!(hear([&stream[..]], MESSAGE_BYTES_MAX), expected, "{rule}, at once");
    assert_eq!(hear(stream.chunks(1), MESSAGE_BYTES_MAX), expected, "{rule}, byte by byte");
    let step = if stream.len() <= 1024 { 1 } else { 4799 };
    for at in (0..stream.len()).step_by(step) {
        let (start, end) = stream.split_at(at);
        assert_eq!(hear([start, end], MESSAGE_BYTES_MAX), expected, "{rule}, cut at {at}");
    }
}
