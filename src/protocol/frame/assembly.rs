//! A message while it is put together from pieces, whether fragments or what a read happened to bring.

use super::encode::append;
use super::text::Text;
use super::violation::Violation;
use crate::protocol::Message;

/// The first allocation of a message in pieces, unless its limit is lower.
const FIRST_BYTES: usize = 64;

/// The bytes that have come of a message, unmasked; text is known to be valid this far.
pub(super) enum Assembly {
    Text(Text),
    Binary(Vec<u8>),
}

impl Assembly {
    /// Takes in a piece. The buffer grows with the bytes that are there, never with those that are announced, and
    /// never past `bytes_max`, which the caller has checked the message against.
    pub(super) fn push(&mut self, piece: &[u8], bytes_max: usize) -> Result<(), Violation> {
        let needed = self.len() + piece.len();
        if needed > self.capacity() {
            let target = needed.max((self.capacity() * 2).max(FIRST_BYTES).min(bytes_max));
            match self {
                Self::Text(text) => {
                    let buffer = text.buffer();
                    buffer.reserve_exact(target - buffer.len());
                }
                Self::Binary(bytes) => bytes.reserve_exact(target - bytes.len()),
            }
        }
        match self {
            Self::Text(text) => text.push(piece),
            Self::Binary(bytes) => {
                append(piece, bytes);
                Ok(())
            }
        }
    }

    /// The message, now that its last byte is in.
    pub(super) fn finish(&self) -> Result<Message<'_>, Violation> {
        Ok(match self {
            Self::Text(text) => Message::Text(text.finish()?),
            Self::Binary(bytes) => Message::Binary(bytes),
        })
    }

    /// Bytes taken in.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes allocated.
    pub(super) const fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }
}
