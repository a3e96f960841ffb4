//! One direction of a TLS connection: its secret, its count of records, and the making and taking of single records
//! (RFC 8446, section 5.2; RFC 5246, section 6.2.3.3 with RFC 5288 and RFC 7905). What a record is about is not known
//! here, and the handshake that agreed on the secret is rustls'.

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use rustls::ConnectionTrafficSecrets;

use crate::tls::fault::Fault;

/// A record's head: what it is, a version that says nothing any more, and the length of the rest.
pub(crate) const HEAD_BYTES: usize = 5;

/// The most of a stream that one record carries.
pub(crate) const PLAIN_BYTES_MAX: usize = 1 << 14;

/// What encryption adds to that at most (RFC 8446; no cipher of TLS 1.2 that is spoken here adds more).
const EXPANSION_BYTES_MAX: usize = 256;

/// The longest record, head included.
pub(crate) const RECORD_BYTES_MAX: usize = HEAD_BYTES + PLAIN_BYTES_MAX + EXPANSION_BYTES_MAX;

/// What a record is longer than what it carries, at most.
pub(crate) const OVERHEAD_BYTES_MAX: usize = HEAD_BYTES + EXPLICIT_BYTES + TAG_BYTES;

const TAG_BYTES: usize = 16;

/// The part of a nonce that AES-GCM of TLS 1.2 sends along.
const EXPLICIT_BYTES: usize = 8;

/// With AES-GCM a key is good for so many records, and then some (RFC 8446, section 5.5: 2^24.5 of full size).
const AES_RECORDS_MAX: u64 = 1 << 23;

/// The kinds of records there are.
pub(crate) mod kind {
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const DATA: u8 = 23;
}

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A direction.
pub(super) struct Half {
    version: Version,
    secret: ConnectionTrafficSecrets,
    sequence: u64,
    /// The key made ready for use. It takes half a kilobyte and, to make, less than the system call that follows, so
    /// who is idle has none.
    key: Option<Box<LessSafeKey>>,
    is_used: bool,
}

/// A record that is being filled.
#[must_use]
pub(super) struct Begun {
    start: usize,
    body: usize,
}

impl Half {
    pub(super) fn new(version: Version, secret: (u64, ConnectionTrafficSecrets)) -> Self {
        Self { version, secret: secret.1, sequence: secret.0, key: None, is_used: false }
    }

    /// Goes on with another secret.
    pub(super) fn renew(&mut self, secret: (u64, ConnectionTrafficSecrets)) {
        *self = Self::new(self.version, secret);
    }

    /// Whether the secret has served for as many records as it should.
    pub(super) fn is_worn(&self) -> bool {
        let is_aes = !matches!(self.secret, ConnectionTrafficSecrets::Chacha20Poly1305 { .. });
        is_aes && self.sequence >= AES_RECORDS_MAX
    }

    /// Lets go of the ready key if it was not used since the last time that this was asked.
    pub(super) fn rest(&mut self) {
        if !std::mem::take(&mut self.is_used) {
            self.key = None;
        }
    }

    /// Whether there is no ready key.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.key.is_none()
    }

    /// Begins a record behind what `out` holds; what is appended to that, at most [`PLAIN_BYTES_MAX`], is its content.
    pub(super) fn begin(&self, out: &mut Vec<u8>) -> Begun {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        if self.has_explicit_nonce() {
            let nonce = self.nonce();
            out.extend_from_slice(&nonce[NONCE_LEN - EXPLICIT_BYTES..]);
        }
        Begun { start, body: out.len() }
    }

    /// How much more goes into a record that was begun.
    pub(super) fn room(begun: &Begun, out: &[u8]) -> usize {
        (begun.body + PLAIN_BYTES_MAX).saturating_sub(out.len())
    }

    /// Encrypts the record.
    pub(super) fn finish(
        &mut self,
        kind: u8,
        begun: &Begun,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let nonce = Nonce::assume_unique_for_key(self.nonce());
        let plain_len = out.len() - begun.body;
        let outer = match self.version {
            Version::Tls13 => {
                out.push(kind);
                kind::DATA
            }
            Version::Tls12 => kind,
        };
        let head = head(outer, out.len() - begun.start - HEAD_BYTES + TAG_BYTES);
        out[begun.start..][..HEAD_BYTES].copy_from_slice(&head);
        let sequence = self.sequence;
        let content = &mut out[begun.body..];
        let tag = match self.version {
            Version::Tls13 => {
                self.key()?.seal_in_place_separate_tag(nonce, Aad::from(head), content)
            }
            Version::Tls12 => {
                let aad = Aad::from(legacy_aad(sequence, head, plain_len));
                self.key()?.seal_in_place_separate_tag(nonce, aad, content)
            }
        };
        out.extend_from_slice(tag.map_err(|_| Fault::Internal)?.as_ref());
        // At the rate of the sweep that looks for worn secrets this is not reached in the age of the universe.
        self.sequence += 1;
        Ok(())
    }

    /// The length of the record that begins with that head, head included.
    pub(super) fn record_len(head: [u8; HEAD_BYTES]) -> Result<usize, Fault> {
        let [kind, major, _, length @ ..] = head;
        if !(20..=24).contains(&kind) || major != 3 {
            return Err(Fault::Malformed);
        }
        let len = HEAD_BYTES + usize::from(u16::from_be_bytes(length));
        if len > RECORD_BYTES_MAX { Err(Fault::TooLong) } else { Ok(len) }
    }

    /// Decrypts the record at `record.start` of `buffer`, which is there as a whole, to `target` or behind it; what it
    /// is, and how long. `target` is not behind the record's start.
    pub(super) fn open(
        &mut self,
        buffer: &mut [u8],
        target: usize,
        record: std::ops::Range<usize>,
    ) -> Result<(u8, usize), Fault> {
        let (head, body) =
            buffer[record.clone()].split_first_chunk::<HEAD_BYTES>().ok_or(Fault::Malformed)?;
        let (head, outer) = (*head, head[0]);
        if self.version == Version::Tls13 && outer != kind::DATA {
            return Err(Fault::Unexpected);
        }
        let skipped = if self.has_explicit_nonce() { EXPLICIT_BYTES } else { 0 };
        let plain_len = body.len().checked_sub(skipped + TAG_BYTES).ok_or(Fault::Mac)?;
        let mut nonce = self.nonce();
        if self.has_explicit_nonce() {
            nonce[..NONCE_LEN - EXPLICIT_BYTES]
                .copy_from_slice(&self.iv()[..NONCE_LEN - EXPLICIT_BYTES]);
            nonce[NONCE_LEN - EXPLICIT_BYTES..].copy_from_slice(&body[..EXPLICIT_BYTES]);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sequence = self.sequence;
        let from = record.start + HEAD_BYTES + skipped - target;
        let place = &mut buffer[target..record.end];
        let (kind, length) = match self.version {
            Version::Tls13 => {
                let opened = self.key()?.open_within(nonce, Aad::from(head), place, from..);
                // Behind the content: its kind, and zeros to hide its length.
                let inner = opened.map_err(|_| Fault::Mac)?;
                let last = inner.iter().rposition(|byte| *byte != 0).ok_or(Fault::Unexpected)?;
                (inner[last], last)
            }
            Version::Tls12 => {
                let aad = Aad::from(legacy_aad(sequence, head, plain_len));
                let opened = self.key()?.open_within(nonce, aad, place, from..);
                (outer, opened.map_err(|_| Fault::Mac)?.len())
            }
        };
        self.sequence += 1;
        if length > PLAIN_BYTES_MAX { Err(Fault::TooLong) } else { Ok((kind, length)) }
    }

    fn key(&mut self) -> Result<&LessSafeKey, Fault> {
        self.is_used = true;
        match &mut self.key {
            Some(key) => Ok(key),
            none => {
                let (algorithm, key, _) = parts(&self.secret).ok_or(Fault::Internal)?;
                let key = UnboundKey::new(algorithm, key).map_err(|_| Fault::Internal)?;
                Ok(none.insert(Box::new(LessSafeKey::new(key))))
            }
        }
    }

    fn iv(&self) -> &[u8] {
        parts(&self.secret).map_or(&[0; NONCE_LEN], |(_, _, iv)| iv)
    }

    /// The nonce of the next record: the initialisation vector and the record's number, added bit by bit.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(self.iv());
        let number = self.sequence.to_be_bytes();
        for (byte, of_number) in nonce[NONCE_LEN - number.len()..].iter_mut().zip(number) {
            *byte ^= of_number;
        }
        nonce
    }

    fn has_explicit_nonce(&self) -> bool {
        self.version == Version::Tls12
            && !matches!(self.secret, ConnectionTrafficSecrets::Chacha20Poly1305 { .. })
    }
}

/// What a secret is for; `None` for a cipher that this version of rustls does not have.
fn parts(secret: &ConnectionTrafficSecrets) -> Option<(&'static Algorithm, &[u8], &[u8])> {
    Some(match secret {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => {
            (&AES_128_GCM, key.as_ref(), iv.as_ref())
        }
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
            (&AES_256_GCM, key.as_ref(), iv.as_ref())
        }
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            (&CHACHA20_POLY1305, key.as_ref(), iv.as_ref())
        }
        #[allow(unreachable_patterns, reason = "rustls may come to know more ciphers")]
        _ => return None,
    })
}

fn head(kind: u8, len: usize) -> [u8; HEAD_BYTES] {
    // At most RECORD_BYTES_MAX.
    let [high, low] = (len as u16).to_be_bytes();
    [kind, 3, 3, high, low]
}

/// What TLS 1.2 authenticates beside the content.
fn legacy_aad(sequence: u64, head: [u8; HEAD_BYTES], plain_len: usize) -> [u8; 13] {
    let mut aad = [0; 13];
    aad[..8].copy_from_slice(&sequence.to_be_bytes());
    aad[8..11].copy_from_slice(&head[..3]);
    aad[11..].copy_from_slice(&(plain_len as u16).to_be_bytes());
    aad
}
