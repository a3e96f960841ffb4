//! Decoding: the next event out of the bytes that a read brought.

use std::str;

use fastwebsockets::{OpCode, unmask};

use super::head::{Expected, Head};
use super::{Partial, Violation, close};
use crate::protocol::{Close, Message};

/// One thing the peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message, its fragments put together.
    Message(Message<'a>),
    /// A Ping and its payload of at most 125 bytes, to be answered with the same.
    Ping(&'a [u8]),
    /// A Pong and its payload of at most 125 bytes.
    Pong(&'a [u8]),
    /// A Close; `None` where it carried no code. Whatever follows it is not to be decoded.
    Close(Option<Close>),
}

/// What one call of [`decode`] came to.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with: the next call gets those behind them.
    pub consumed: usize,
    /// The event, or `None` where all of the input was consumed and more is needed.
    pub event: Option<Event<'a>>,
}

/// Decodes the next event of a client's byte stream, unmasking `input` in place.
///
/// `partial` is the session's state between calls. It is filled when `input` ends within a message, stays until that
/// message is whole (then the event borrows from it) and is emptied by the call after that, even one with no input.
/// A frame that lies whole in `input` outside of a fragmented message never touches it: nothing is allocated and the
/// event borrows from `input`.
///
/// A message, all its fragments together, may have `message_bytes_max` bytes, and memory is taken for the bytes that
/// have come, not for those that a head announces.
///
/// # Errors
///
/// The first violation in the stream, at the earliest byte that proves it. The stream has no meaning after it.
pub fn decode<'a>(
    partial: &'a mut Option<Box<Partial>>,
    input: &'a mut [u8],
    message_bytes_max: usize,
) -> Result<Decoded<'a>, Violation> {
    if partial.as_ref().is_some_and(|partial| partial.is_done()) {
        *partial = None;
    }
    if partial.is_none() {
        let expected = Expected { is_message_open: false, room_bytes: message_bytes_max };
        match Head::parse(input, expected)? {
            Some(head) if head.is_final && head.frame_bytes() <= input.len() => {
                return whole(head, input);
            }
            None if input.is_empty() => return Ok(Decoded { consumed: 0, event: None }),
            // A fragment, or the start of a frame: the slow way.
            _ => {}
        }
    }
    partial.get_or_insert_default().resume(input, message_bytes_max)
}

/// The event of a frame that lies whole at the start of `input` and is a whole message or control frame.
#[inline]
fn whole(head: Head, input: &mut [u8]) -> Result<Decoded<'_>, Violation> {
    let consumed = head.frame_bytes();
    let payload = &mut input[head.head_bytes..consumed];
    unmask(payload, head.mask);
    let event = match head.opcode {
        OpCode::Text => Event::Message(Message::Text(
            str::from_utf8(payload).map_err(|_| Violation::InvalidUtf8)?,
        )),
        // The head was checked against there being nothing to continue.
        OpCode::Binary | OpCode::Continuation => Event::Message(Message::Binary(payload)),
        opcode => control(opcode, payload)?,
    };
    Ok(Decoded { consumed, event: Some(event) })
}

/// The event of a control frame with that payload.
pub(super) fn control(opcode: OpCode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    Ok(match opcode {
        OpCode::Ping => Event::Ping(payload),
        OpCode::Pong => Event::Pong(payload),
        _ => Event::Close(close::parse(payload)?),
    })
}
