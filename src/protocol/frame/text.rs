//! Text that arrives in pieces cut anywhere, checked to be UTF-8 as it comes.

use std::str;

use super::Violation;
use super::encode::COPY_BYTES;

/// The text so far, and the first bytes of a character that a piece ended in.
#[derive(Default)]
pub(super) struct Text {
    whole: String,
    /// Up to three bytes at rest; the fourth only completes them.
    tail: [u8; 4],
    tail_bytes: usize,
}

impl Text {
    /// Takes in a piece. Fails on the first byte that no further bytes could make valid.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let piece = self.complete_tail(piece)?;
        match str::from_utf8(piece) {
            Ok(piece) => append(piece, &mut self.whole),
            // Cut within a character: what comes before it is valid, the rest waits.
            Err(error) if error.error_len().is_none() => {
                let (valid, tail) = piece.split_at(error.valid_up_to());
                append(str::from_utf8(valid).map_err(|_| Violation::InvalidUtf8)?, &mut self.whole);
                self.tail[..tail.len()].copy_from_slice(tail);
                self.tail_bytes = tail.len();
            }
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }

    /// The whole text; an error where it ends within a character.
    pub(super) fn finish(&self) -> Result<&str, Violation> {
        if self.tail_bytes == 0 { Ok(&self.whole) } else { Err(Violation::InvalidUtf8) }
    }

    /// Bytes taken in.
    pub(super) const fn len(&self) -> usize {
        self.whole.len() + self.tail_bytes
    }

    /// The bytes that hold the text, for growth and accounting.
    pub(super) const fn buffer(&mut self) -> &mut String {
        &mut self.whole
    }

    /// Bytes allocated.
    pub(super) const fn capacity(&self) -> usize {
        self.whole.capacity()
    }

    /// Completes the waiting character, if any, from the start of `piece`; gives the rest of it.
    fn complete_tail<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], Violation> {
        while self.tail_bytes > 0 {
            let Some((&byte, rest)) = piece.split_first() else { break };
            piece = rest;
            self.tail[self.tail_bytes] = byte;
            self.tail_bytes += 1;
            match str::from_utf8(&self.tail[..self.tail_bytes]) {
                Ok(character) => {
                    self.whole.push_str(character);
                    self.tail_bytes = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Violation::InvalidUtf8),
            }
        }
        Ok(piece)
    }
}

/// As much of the start of `text` as `bytes_max` bytes hold in whole characters.
pub(super) fn start(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Copies to the end of `out`, in steps for the reason that [`COPY_BYTES`] gives.
fn append(text: &str, out: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let step = start(rest, COPY_BYTES);
        out.push_str(step);
        rest = &rest[step.len()..];
    }
}
