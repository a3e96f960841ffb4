//! A frame's head: the 6 to 14 bytes before a client's payload (RFC 6455, section 5.2).

use fastwebsockets::OpCode;

use super::{CONTROL_BYTES_MAX, Violation};

/// The longest head: two bytes, eight of length, four of mask.
pub(super) const HEAD_BYTES_MAX: usize = 14;

/// A head that broke no rule.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) is_final: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: [u8; 4],
    /// Bytes of the head itself.
    pub(super) head_bytes: usize,
    /// Bytes of payload behind it.
    pub(super) payload_bytes: usize,
}

/// What the next head may say, given the frames before it.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    /// A fragmented message was begun and not yet ended.
    pub(super) is_message_open: bool,
    /// How many more bytes the message may have.
    pub(super) room_bytes: usize,
}

impl Head {
    /// Reads the head at the start of `bytes`; `None` where it is not there in full. Every byte that is there has
    /// been judged by then, so that a violation is found no later than the byte that commits it.
    #[inline]
    pub(super) fn parse(bytes: &[u8], expected: Expected) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = opcode(first, expected)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short_length = length_byte(second, opcode)?;
        let Some((payload_bytes, mask_at)) = length(bytes, short_length)? else { return Ok(None) };
        if !is_control(opcode) && payload_bytes > expected.room_bytes as u64 {
            return Err(Violation::TooBig);
        }
        let Some(&mask) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_final: first & FIN != 0,
            opcode,
            mask,
            head_bytes: mask_at + mask.len(),
            // Not above 125 or a `usize`, as just checked.
            payload_bytes: payload_bytes as usize,
        }))
    }

    /// Bytes of head and payload together.
    #[inline]
    pub(super) const fn frame_bytes(&self) -> usize {
        self.head_bytes + self.payload_bytes
    }
}

/// Close, Ping and Pong.
#[inline]
pub(super) const fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Checks a head's first byte.
#[inline]
fn opcode(first: u8, expected: Expected) -> Result<OpCode, Violation> {
    if first & RESERVED != 0 {
        return Err(Violation::Protocol("reserved bit set"));
    }
    let Ok(opcode) = OpCode::try_from(first & 0x0f) else {
        return Err(Violation::Protocol("reserved opcode"));
    };
    match opcode {
        OpCode::Continuation if !expected.is_message_open => {
            Err(Violation::Protocol("continuation of no message"))
        }
        OpCode::Text | OpCode::Binary if expected.is_message_open => {
            Err(Violation::Protocol("new message inside a fragmented one"))
        }
        OpCode::Close | OpCode::Ping | OpCode::Pong if first & FIN == 0 => {
            Err(Violation::Protocol("fragmented control frame"))
        }
        _ => Ok(opcode),
    }
}

/// Checks a head's second byte; gives its seven bits of length.
#[inline]
fn length_byte(second: u8, opcode: OpCode) -> Result<u8, Violation> {
    if second & MASKED == 0 {
        return Err(Violation::Protocol("frame is not masked"));
    }
    let length = second & !MASKED;
    if is_control(opcode) && usize::from(length) > CONTROL_BYTES_MAX {
        return Err(Violation::Protocol("control frame above 125 bytes"));
    }
    if opcode == OpCode::Close && length == 1 {
        return Err(Violation::Protocol("close frame of one byte"));
    }
    Ok(length)
}

/// The payload's length and where the mask begins; `None` where bytes of the length are missing.
#[inline]
fn length(bytes: &[u8], short_length: u8) -> Result<Option<(u64, usize)>, Violation> {
    let (length, mask_at, least) = match short_length {
        126 => {
            let Some(&length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(length)), 4, 126)
        }
        127 => {
            let Some(&length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            (u64::from_be_bytes(length), 10, 1 << 16)
        }
        short => return Ok(Some((u64::from(short), 2))),
    };
    if length < least {
        return Err(Violation::Protocol("length not in its shortest form"));
    }
    if length >> 63 != 0 {
        return Err(Violation::Protocol("length above 63 bits"));
    }
    Ok(Some((length, mask_at)))
}
