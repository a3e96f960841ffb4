//! Finds the frames that a server sends in a slice of bytes, by RFC 6455, section 5; copies nothing, keeps no state.

use fastwebsockets::OpCode;

/// One frame, where it lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerFrame<'a> {
    /// Whether the message ends with this frame.
    pub(crate) last: bool,
    /// What the frame is.
    pub(crate) opcode: OpCode,
    /// The bytes behind the head.
    pub(crate) payload: &'a [u8],
    /// Bytes of the frame, its head included.
    pub(crate) length: usize,
}

/// What a server must not send. The connection is useless from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A reserved bit is set, and no extension was negotiated.
    ReservedBit,
    /// An opcode that RFC 6455 does not define.
    UnknownOpcode,
    /// A masked frame: only clients mask.
    Masked,
    /// A control frame that is fragmented or longer than 125 bytes.
    Control,
    /// A frame or message larger than any that was sent.
    TooBig,
    /// A continuation of nothing, or a new message inside another.
    Sequence,
}

impl Violation {
    /// The reason, as a report counts it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::ReservedBit => "protocol: reserved bit set",
            Self::UnknownOpcode => "protocol: unknown opcode",
            Self::Masked => "protocol: masked frame from the server",
            Self::Control => "protocol: control frame fragmented or too long",
            Self::TooBig => "protocol: frame larger than any that was sent",
            Self::Sequence => "protocol: fragments out of sequence",
        }
    }
}

/// The frame that `bytes` begin with; `None` if it has not arrived completely. A payload of more than `limit` bytes is
/// a violation as soon as it is announced.
#[inline]
pub(crate) fn next_frame(bytes: &[u8], limit: usize) -> Result<Option<ServerFrame<'_>>, Violation> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBit);
    }
    if second & 0x80 != 0 {
        return Err(Violation::Masked);
    }
    let opcode = OpCode::try_from(first & 0x0f).map_err(|_| Violation::UnknownOpcode)?;
    let last = first & 0x80 != 0;
    let control = matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong);
    if control && (!last || second > 125) {
        return Err(Violation::Control);
    }
    let (head, announced) = match second {
        126 => match bytes.get(2..4) {
            Some(length) => (4, big_endian(length)),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10) {
            Some(length) => (10, big_endian(length)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    let announced = usize::try_from(announced).ok().filter(|announced| *announced <= limit);
    let length = head + announced.ok_or(Violation::TooBig)?;
    let payload = bytes.get(head..length);
    Ok(payload.map(|payload| ServerFrame { last, opcode, payload, length }))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use fastwebsockets::{Frame, Payload};

    use super::*;

    fn server_frame(last: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Frame::new(last, opcode, None, Payload::Borrowed(payload)).write(&mut out);
        let head = match payload.len() {
            0..=125 => 2,
            126..=65535 => 4,
            _ => 10,
        };
        out.truncate(head + payload.len());
        out
    }

    #[test]
    fn frames_of_every_length_form_are_found_and_no_prefix_of_them_is() {
        for size in [0, 1, 125, 126, 65535, 65536] {
            let payload = vec![b'x'; size];
            let bytes = server_frame(true, OpCode::Text, &payload);
            let frame = next_frame(&bytes, 1 << 20).unwrap().unwrap();
            assert_eq!(frame.payload, payload);
            assert_eq!((frame.opcode, frame.last, frame.length), (OpCode::Text, true, bytes.len()));
            for cut in (0..bytes.len()).rev().take(16).chain(0..bytes.len().min(12)) {
                assert_eq!(next_frame(&bytes[..cut], 1 << 20), Ok(None), "{size} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_named() {
        let cases: [(&[u8], Violation); 8] = [
            (&[0xc1, 0], Violation::ReservedBit),
            (&[0x83, 0], Violation::UnknownOpcode),
            (&[0x81, 0x80, 1, 2, 3, 4], Violation::Masked),
            (&[0x09, 0], Violation::Control),
            (&[0x89, 126, 0, 126], Violation::Control),
            (&[0x88, 127], Violation::Control),
            (&[0x81, 126, 0xff, 0xff], Violation::TooBig),
            (&[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], Violation::TooBig),
        ];
        for (bytes, violation) in cases {
            assert_eq!(next_frame(bytes, 1000), Err(violation), "{bytes:?}");
        }
    }
}
