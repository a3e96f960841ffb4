//! Frames that the server sends: whole, unmasked, appended to a buffer of the caller's.

use fastwebsockets::{Frame, OpCode, Payload};

use super::{CONTROL_BYTES_MAX, close};
use crate::protocol::{Close, Message};

/// The longest head without a mask: two bytes and eight of length.
const HEAD_BYTES_MAX: usize = 10;

/// How much is copied in one go. glibc copies 2 KiB and more with `rep movsb`, which on some processors is 25 times
/// slower where the target lies 1 to 32 bytes behind the source, modulo 4 KiB; frames copied one after another from
/// one page-aligned buffer into another come to lie so.
pub(super) const COPY_BYTES: usize = 1024;

/// Appends `message` to `out` as one frame.
#[inline]
pub fn encode(message: Message<'_>, out: &mut Vec<u8>) {
    match message {
        Message::Text(text) => frame(OpCode::Text, text.as_bytes(), out),
        Message::Binary(bytes) => frame(OpCode::Binary, bytes, out),
    }
}

/// Appends a Ping (RFC 6455, section 5.5.2); of a payload above 125 bytes only the first 125.
pub fn encode_ping(payload: &[u8], out: &mut Vec<u8>) {
    frame(OpCode::Ping, cut(payload), out);
}

/// Appends a Pong (RFC 6455, section 5.5.3); of a payload above 125 bytes only the first 125.
pub fn encode_pong(payload: &[u8], out: &mut Vec<u8>) {
    frame(OpCode::Pong, cut(payload), out);
}

/// Appends a Close (RFC 6455, section 5.5.1), its reason cut to 123 bytes at a character. A code that may not be
/// sent (1005, for one) is left out together with its reason.
pub fn encode_close(close: Option<&Close>, out: &mut Vec<u8>) {
    let mut payload = [0; CONTROL_BYTES_MAX];
    let length = close::format(close, &mut payload);
    frame(OpCode::Close, &payload[..length], out);
}

/// The size in bytes, head and payload, of the unmasked frame that `frames` begins with.
///
/// For walking over what the functions above wrote; a slice that ends within the frame's head counts as all of it.
pub(crate) fn frame_len(frames: &[u8]) -> usize {
    let length = match frames {
        [_, 127, rest @ ..] => rest.first_chunk().map(|length| 10 + u64::from_be_bytes(*length)),
        [_, 126, rest @ ..] => {
            rest.first_chunk().map(|length| 4 + u64::from(u16::from_be_bytes(*length)))
        }
        [_, length, ..] => Some(2 + u64::from(*length)),
        _ => None,
    };
    length.and_then(|length| usize::try_from(length).ok()).unwrap_or(frames.len())
}

#[inline]
fn frame(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    let mut head = [0; HEAD_BYTES_MAX];
    let head_bytes = Frame::new(true, opcode, None, Payload::Borrowed(payload)).fmt_head(&mut head);
    out.reserve(head_bytes + payload.len());
    out.extend_from_slice(&head[..head_bytes]);
    append(payload, out);
}

/// Copies to the end of `out`, in steps for the reason that [`COPY_BYTES`] gives.
#[inline]
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    for step in bytes.chunks(COPY_BYTES) {
        out.extend_from_slice(step);
    }
}

fn cut(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(CONTROL_BYTES_MAX)]
}
