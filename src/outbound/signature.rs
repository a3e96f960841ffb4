//! Signs what the server sends, so that the backend knows whom it is from, and when it was sent.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{HeaderName, HeaderValue};
use ring::hmac;

/// The field that has the signature.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("uproar-signature");

/// Signs with a secret that the backend has, too.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The field's value for a body that is sent now: `t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256 of "t.body">`.
    pub(crate) fn sign(&self, body: &[u8]) -> HeaderValue {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.sign_at(since.as_secs(), body)
    }

    fn sign_at(&self, seconds: u64, body: &[u8]) -> HeaderValue {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        let mut value = format!("t={seconds},v1=");
        for byte in context.sign().as_ref() {
            // Writing to a string does not fail.
            let _ = write!(value, "{byte:02x}");
        }
        // Digits, letters and three signs are always a value.
        HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_time_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac 'the secret of the tests, 32 bytes'
        let signer = Signer::new("the secret of the tests, 32 bytes");
        let expected =
            "t=1700000000,v1=16cd01956b541ba379c8e34598d65aae66ebaa62567e6889b6d881a6d92ac36a";
        assert_eq!(signer.sign_at(1_700_000_000, b"{}"), expected);
        assert_ne!(signer.sign_at(1_700_000_000, b"[]"), expected);
        assert_eq!(format!("{signer:?}"), "Signer(***)");
    }
}
