//! The audited message: what a sender writes so that every receiver can tell whose it is, which one it is, when it was
//! due, and that not a byte of it has changed.
//!
//! ```text
//! bytes   0..8   run       which run of the generator
//!         8..16  room      index of the room in the run
//!        16..24  sender    index of the sender in the room
//!        24..32  seq       of the sender, from 0
//!        32..48  due       nanoseconds of the run's clock at which it was to be sent
//!        48..56  check     hash of all of the above
//!        56..    fill      a window into a table that both ends know; `check` says where it begins
//! ```
//!
//! Each header field is written four bits a byte, as `@` and `A` to `O`, so that a message is valid UTF-8 and its
//! fields decode at fixed places, eight bytes at a time. The fill is printable ASCII in text messages, without what
//! a JSON string would have to escape, and every byte value in binary ones. Whether the sequence makes sense is not judged here but in [`audit`](crate::audit).

use fastwebsockets::OpCode;

/// The header alone: the least size of a message.
pub(crate) const MESSAGE_BYTES_MIN: usize = 56;

/// The greatest size of a message; the buffer of each thread holds a whole one.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// How many places in the table a fill can begin at; a power of two.
const FILL_STARTS: usize = 4096;

/// `@` in each byte: what a nibble of 0 looks like.
const ZEROES: u64 = u64::from_be_bytes([b'@'; 8]);

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Index of the room in the run.
    pub(crate) room: u32,
    /// Index of the sender in the room.
    pub(crate) sender: u32,
    /// Number of the message, counted per sender from 0.
    pub(crate) seq: u32,
    /// When the message was to be sent, in nanoseconds of the run's clock.
    pub(crate) due_ns: u64,
}

/// Why a payload is not a message of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It does not begin with this run's mark.
    Foreign,
    /// It does, but length, kind, header or fill are not what was sent.
    Corrupted,
}

/// Writes and checks the messages of one run: all of one size and kind.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    run: u32,
    /// The run as the first field of a header.
    mark: u64,
    opcode: OpCode,
    size: usize,
    table: Vec<u8>,
}

impl Codec {
    /// A codec for messages of `size` bytes, [`MESSAGE_BYTES_MIN`] at least, sent as `opcode` (text or binary).
    pub(crate) fn new(run: u32, size: usize, opcode: OpCode) -> Self {
        assert!(size >= MESSAGE_BYTES_MIN, "the command line checks the size");
        let mut state = u64::from(run) | 1 << 32;
        let byte = || {
            state = mix(state, 0x9e37_79b9);
            let byte = state.to_be_bytes()[0];
            match opcode {
                OpCode::Text => match b' ' + byte % 95 {
                    b'"' | b'\\' => b'_',
                    byte => byte,
                },
                _ => byte,
            }
        };
        let table = std::iter::repeat_with(byte).take(FILL_STARTS + size).collect();
        Self { run, mark: spread(run), opcode, size, table }
    }

    /// The kind of frame that these messages travel in.
    pub(crate) const fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// The size of each message in bytes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// Replaces `out` with the message of that header.
    pub(crate) fn compose(&self, header: &Header, out: &mut Vec<u8>) {
        let check = self.check(header);
        let (due_high, due_low) = halves(header.due_ns);
        out.clear();
        for field in [self.run, header.room, header.sender, header.seq, due_high, due_low, check] {
            out.extend_from_slice(&spread(field).to_be_bytes());
        }
        out.extend_from_slice(self.fill(check));
    }

    /// Reads a message, comparing every byte of it with what the sender must have written.
    #[inline]
    pub(crate) fn parse(&self, opcode: OpCode, payload: &[u8]) -> Result<Header, Rejection> {
        let Some((header, fill)) = payload.split_at_checked(MESSAGE_BYTES_MIN) else {
            return Err(Rejection::Foreign);
        };
        if field(header, 0) != self.mark {
            return Err(Rejection::Foreign);
        }
        let read = |index| gather(field(header, index)).ok_or(Rejection::Corrupted);
        let parsed = Header {
            room: read(1)?,
            sender: read(2)?,
            seq: read(3)?,
            due_ns: u64::from(read(4)?) << 32 | u64::from(read(5)?),
        };
        let check = self.check(&parsed);
        let intact = field(header, 6) == spread(check)
            && opcode == self.opcode
            && payload.len() == self.size
            && fill == self.fill(check);
        if intact { Ok(parsed) } else { Err(Rejection::Corrupted) }
    }

    #[inline]
    fn check(&self, header: &Header) -> u32 {
        let place = u64::from(header.room) << 32 | u64::from(header.sender);
        let number = u64::from(self.run) << 32 | u64::from(header.seq);
        halves(mix(mix(place, number), header.due_ns)).1
    }

    fn fill(&self, check: u32) -> &[u8] {
        let start = check as usize % FILL_STARTS;
        &self.table[start..start + self.size - MESSAGE_BYTES_MIN]
    }
}

/// The header's eight bytes at `index`; a header has seven such fields.
#[inline]
fn field(header: &[u8], index: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[index * 8..index * 8 + 8]);
    u64::from_be_bytes(bytes)
}

/// One nibble a byte, the most significant first, each with `@` added.
#[inline]
const fn spread(value: u32) -> u64 {
    let mut word = value as u64;
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    word | ZEROES
}

/// What [`spread`] was given; `None` if a byte is not one that it writes.
#[inline]
const fn gather(spread: u64) -> Option<u32> {
    let mut word = spread ^ ZEROES;
    if word & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    word = (word | word >> 4) & 0x00ff_00ff_00ff_00ff;
    word = (word | word >> 8) & 0x0000_ffff_0000_ffff;
    word = (word | word >> 16) & 0x0000_0000_ffff_ffff;
    Some(halves(word).1)
}

/// The upper and the lower 32 bits.
const fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Spreads any change of either word over all bits of the result (a 128-bit product, folded).
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    let product = ((a ^ 0x2545_f491_4f6c_dd1d) as u128) * ((b ^ 0x9e37_79b9_7f4a_7c15) as u128);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { room: 7, sender: 3, seq: 0xdead_beef, due_ns: 0x0123_4567_89ab_cdef };

    fn composed(codec: &Codec) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        codec.compose(&HEADER, &mut out);
        out
    }

    #[test]
    fn a_message_reads_back_at_every_size() {
        for opcode in [OpCode::Text, OpCode::Binary] {
            for size in [MESSAGE_BYTES_MIN, 57, 128, 16 * 1024] {
                let codec = Codec::new(42, size, opcode);
                let message = composed(&codec);
                assert_eq!(message.len(), size);
                assert_eq!(codec.parse(opcode, &message), Ok(HEADER));
            }
        }
    }

    #[test]
    fn a_text_message_is_utf8_and_a_binary_one_is_not() {
        let text = composed(&Codec::new(42, 4096, OpCode::Text));
        assert!(std::str::from_utf8(&text).is_ok());
        assert!(!text.iter().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')));
        let binary = composed(&Codec::new(42, 4096, OpCode::Binary));
        assert!(std::str::from_utf8(&binary).is_err());
    }

    #[test]
    fn every_single_changed_bit_is_seen() {
        let codec = Codec::new(42, 128, OpCode::Text);
        let message = composed(&codec);
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 { Rejection::Foreign } else { Rejection::Corrupted };
            assert_eq!(codec.parse(OpCode::Text, &changed), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn another_length_or_kind_is_corrupted() {
        let codec = Codec::new(42, 128, OpCode::Text);
        let mut message = composed(&codec);
        assert_eq!(codec.parse(OpCode::Binary, &message), Err(Rejection::Corrupted));
        assert_eq!(codec.parse(OpCode::Text, &message[..127]), Err(Rejection::Corrupted));
        message.push(b' ');
        assert_eq!(codec.parse(OpCode::Text, &message), Err(Rejection::Corrupted));
    }

    #[test]
    fn another_run_and_any_other_payload_are_foreign() {
        let codec = Codec::new(42, 128, OpCode::Text);
        let other = composed(&Codec::new(43, 128, OpCode::Text));
        for payload in [&other[..], b"", b"{\"type\":\"joined\"}", &[b'x'; 128]] {
            assert_eq!(codec.parse(OpCode::Text, payload), Err(Rejection::Foreign));
        }
    }

    #[test]
    fn fields_keep_their_extremes() {
        for value in [0, 1, 0x1234_5678, u32::MAX] {
            assert_eq!(gather(spread(value)), Some(value));
        }
        assert_eq!(&spread(0x0f).to_be_bytes(), b"@@@@@@@O");
        assert_eq!(gather(u64::from_be_bytes(*b"@@@@@@@P")), None);
    }
}
