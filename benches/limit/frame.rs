//! As much of RFC 6455's framing as the yardstick needs: whole frames of well-behaved clients.

/// A frame of a client, unmasked in place.
pub(crate) enum Frame<'a> {
    /// Text or binary.
    Message {
        /// As it came, FIN set.
        opcode: u8,
        /// Unmasked.
        payload: &'a [u8],
    },
    /// The end.
    Close,
    /// Ping or pong: not answered.
    Other,
}

const MASK_BYTES: usize = 4;

/// The frame at the start of `input` and its length, if all of it is there.
pub(crate) fn next_frame(input: &mut [u8]) -> Option<(Frame<'_>, usize)> {
    let (&[first, second], _) = input.split_first_chunk::<2>()?;
    let (head, len) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*input.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*input.get(2..)?.first_chunk()?) as usize),
        short => (2, usize::from(short)),
    };
    let body = head + MASK_BYTES;
    let mask: [u8; MASK_BYTES] = *input.get(head..)?.first_chunk()?;
    let payload = input.get_mut(body..body + len)?;
    unmask(payload, mask);
    let frame = match first & 0x0f {
        opcode @ (1 | 2) => Frame::Message { opcode, payload },
        8 => Frame::Close,
        _ => Frame::Other,
    };
    Some((frame, body + len))
}

fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    let half = u64::from(u32::from_ne_bytes(mask));
    let wide = half << 32 | half;
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    words
        .into_remainder()
        .iter_mut()
        .zip(mask.iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
}

/// Appends the head of an unmasked frame.
pub(crate) fn server_head(opcode: u8, len: usize, frames: &mut Vec<u8>) {
    frames.push(0x80 | opcode);
    match len {
        0..126 => frames.push(len as u8),
        126..0x1_0000 => {
            frames.push(126);
            frames.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            frames.push(127);
            frames.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}
