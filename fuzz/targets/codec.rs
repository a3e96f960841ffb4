//! The frame codec: whatever bytes come and wherever reads cut them, the same is heard, and no more is kept than came.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uproar::protocol::Message;
use uproar::protocol::frame::{Event, Partial, Violation, decode, encode};

/// What the decoder said, owned.
#[derive(Debug, PartialEq)]
enum Heard {
    Event(u8, Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(Violation),
}

impl From<Event<'_>> for Heard {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(message) => {
                let mut frame = Vec::new();
                encode(message, &mut frame);
                let (kind, payload) = match message {
                    Message::Text(text) => (1, text.as_bytes()),
                    Message::Binary(bytes) => (2, bytes),
                };
                assert_eq!(frame[0], 0x80 | kind, "what goes out is what came in");
                assert!(frame.ends_with(payload));
                Self::Event(kind, payload.to_vec())
            }
            Event::Ping(payload) => Self::Event(9, payload.to_vec()),
            Event::Pong(payload) => Self::Event(10, payload.to_vec()),
            Event::Close(close) => {
                Self::Close(close.map(|close| (close.code, close.reason.to_string())))
            }
        }
    }
}

/// What is heard of a stream that comes in these pieces, up to its end, a Close or a violation.
fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bytes_max: usize) -> Vec<Heard> {
    let (mut partial, mut heard, mut came): (Option<Box<Partial>>, _, _) = (None, Vec::new(), 0);
    for piece in pieces {
        came += piece.len();
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            let decoded = match decode(&mut partial, rest, bytes_max) {
                Ok(decoded) => decoded,
                Err(violation) => {
                    heard.push(Heard::Violation(violation));
                    return heard;
                }
            };
            let consumed = decoded.consumed;
            let Some(event) = decoded.event else {
                assert_eq!(consumed, rest.len(), "no event, and bytes left over");
                break;
            };
            let is_close = matches!(event, Event::Close(_));
            if let Event::Message(message) = &event {
                let length = match message {
                    Message::Text(text) => text.len(),
                    Message::Binary(bytes) => bytes.len(),
                };
                assert!(length <= bytes_max.min(came), "a message above the limit");
            }
            heard.push(event.into());
            if is_close {
                return heard;
            }
            rest = &mut rest[consumed..];
        }
        if let Some(partial) = &partial {
            let bound = size_of::<Partial>() + bytes_max.min(2 * came + 64);
            assert!(partial.heap_bytes() <= bound, "more is kept than came");
        }
    }
    heard
}

/// Pieces whose lengths follow from a seed.
fn cut(mut stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut pieces, mut state) = (Vec::new(), u32::from(seed) | 1);
    while !stream.is_empty() {
        state = state.wrapping_mul(0x9e37_79b1).rotate_left(7);
        let (piece, rest) = stream.split_at((1 + state as usize % 23).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

fuzz_target!(|data: &[u8]| {
    let [limit, seed, stream @ ..] = data else { return };
    let bytes_max = [1, 16, 125, 126, 1000, 65_535, 65_536, 1 << 24][usize::from(limit % 8)];
    let whole = hear([stream], bytes_max);
    assert_eq!(hear(stream.chunks(1), bytes_max), whole, "byte by byte");
    assert_eq!(hear(cut(stream, *seed), bytes_max), whole, "in pieces");
});
