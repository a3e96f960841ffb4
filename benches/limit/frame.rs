//! As much of RFC 6455's framing as the yardstick and its clients need: whole frames of well-behaved peers.

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

/// The opcode of text.
pub(crate) const TEXT: u8 = 1;

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

/// The mask of every frame that this program sends: any will do between processes that trust each other.
const MASK: [u8; MASK_BYTES] = [0x37, 0xfa, 0x21, 0x3d];

/// Replaces `frame` with a client's text frame.
pub(crate) fn client_text(payload: &[u8], frame: &mut Vec<u8>) {
    frame.clear();
    server_head(TEXT, payload.len(), frame);
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let body = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[body..], MASK);
}

/// The payload of the short server's text frame that `bytes` are, if that is what they are.
pub(crate) fn short_text(bytes: &[u8]) -> Option<&str> {
    let (&[first, len], payload) = bytes.split_first_chunk::<2>()?;
    let is_whole = first == 0x80 | TEXT && len < 126 && payload.len() == usize::from(len);
    is_whole.then(|| std::str::from_utf8(payload).ok()).flatten()
}
