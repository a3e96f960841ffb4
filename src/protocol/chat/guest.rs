//! Guests: users without an account. The server issues the id, and a signed token that gives it back to whoever shows
//! it again.
//!
//! A token is the id's 16 random bytes and their HMAC-SHA256 (RFC 2104), in base64url without padding (RFC 4648,
//! section 5). It has no end: it opens nothing but an id that anybody can have a new one of.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What the ids of guests begin with, and no others.
pub(crate) const GUEST_PREFIX: &str = "guest-";

/// The bytes of a key.
pub(crate) const GUEST_KEY_BYTES: usize = 32;

/// The random bytes of an id: enough that no two are ever alike and none is guessed.
pub(crate) const GUEST_ID_BYTES: usize = 16;

/// Signed along with an id, so that a signature made with the same key for something else is no token.
const PURPOSE: &[u8] = b"uproar guest 1\0";

/// Letters without vowels, so that names by chance are not words.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What tokens are signed with.
#[derive(Clone)]
pub(crate) struct GuestKey([u8; GUEST_KEY_BYTES]);

/// A guest's random bytes, from which everything else of it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest([u8; GUEST_ID_BYTES]);

impl GuestKey {
    /// The key of these bytes, which must be random and secret.
    pub(crate) const fn new(bytes: [u8; GUEST_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The token that gives this guest its id back.
    pub(crate) fn token(&self, guest: Guest) -> String {
        let mut token = [0; GUEST_ID_BYTES + GUEST_KEY_BYTES];
        let (id, signature) = token.split_at_mut(GUEST_ID_BYTES);
        id.copy_from_slice(&guest.0);
        signature.copy_from_slice(&self.mac(&guest.0).finalize().into_bytes());
        BASE64.encode(token)
    }

    /// The guest that this token was issued to; `None` if it was not by this key. Takes as long for an almost right
    /// signature as for a wrong one.
    pub(crate) fn verify(&self, token: &str) -> Option<Guest> {
        // A slice of that size takes no token that is longer: nothing is decoded for a long text.
        let mut bytes = [0; GUEST_ID_BYTES + GUEST_KEY_BYTES];
        let length = BASE64.decode_slice(token, &mut bytes).ok()?;
        let (id, signature) = bytes.get(..length)?.split_first_chunk::<GUEST_ID_BYTES>()?;
        self.mac(id).verify_slice(signature).ok()?;
        Some(Guest(*id))
    }

    #[allow(clippy::expect_used, reason = "a key of any length is one for HMAC")]
    fn mac(&self, id: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("a key of any length")
            .chain_update(PURPOSE)
            .chain_update(id)
    }
}

impl fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestKey(***)")
    }
}

impl Guest {
    /// The guest of these random bytes.
    pub(crate) const fn new(random: [u8; GUEST_ID_BYTES]) -> Self {
        Self(random)
    }

    /// Its user id: `guest-` and 22 characters.
    pub(crate) fn user(self) -> String {
        let mut user = String::from(GUEST_PREFIX);
        BASE64.encode_string(self.0, &mut user);
        user
    }

    /// What it is called where it does not say: always the same, but not by it alone.
    pub(crate) fn default_name(self) -> String {
        let letters = self.0.iter().take(4).map(|&byte| {
            let letter = LETTERS[usize::from(byte) % LETTERS.len()];
            char::from(letter)
        });
        "Guest ".chars().chain(letters).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{name, user_id};
    use super::*;

    fn guest() -> Guest {
        Guest::new(std::array::from_fn(|at| at as u8 * 17))
    }

    #[test]
    fn a_token_gives_the_guest_back_to_the_key_that_made_it() {
        let (key, other) = (GuestKey::new([1; 32]), GuestKey::new([2; 32]));
        let token = key.token(guest());
        assert_eq!(token.len(), 64);
        assert_eq!(key.verify(&token), Some(guest()));
        assert_eq!(other.verify(&token), None);
        // Made with another implementation: hmac.new(b"\x01" * 32, b"uproar guest 1\0" + id, "sha256") in Python.
        assert_eq!(token, TOKEN);
    }

    const TOKEN: &str = "ABEiM0RVZneImaq7zN3u_537rN8NlBjqcE8VLDGVdtsMlnoXMxDAXzkYGbvu96N1";

    #[test]
    fn no_other_text_is_a_token() {
        let key = GuestKey::new([1; 32]);
        let token = key.token(guest());
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(key.verify(&forged), None, "{forged}");
            assert_eq!(key.verify(&token[..at]), None);
        }
        for wrong in ["", "=", "é", &format!("{token}A"), &format!("{token}="), &token.repeat(1000)]
        {
            assert_eq!(key.verify(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_and_names_keep_the_rules_for_them() {
        let guest = guest();
        assert_eq!(guest.user(), "guest-ABEiM0RVZneImaq7zN3u_w");
        assert_eq!(user_id::check(&guest.user()), Ok(()));
        assert_eq!(guest.default_name(), "Guest BWSP");
        assert_eq!(name::check(&guest.default_name()), Ok(()));
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", GuestKey::new([7; 32])), "GuestKey(***)");
    }
}
