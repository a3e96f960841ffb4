//! Tokens of HS256, right and wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The secret that the servers of the tests are given.
pub const SECRET: &str = "the secret of the tests, 32 bytes";

/// The setting with that secret as the only key.
pub fn keys() -> (&'static str, String) {
    ("UPROAR_AUTH__KEYS", format!("[{{secret = \"{SECRET}\"}}]"))
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

/// A token for a user that holds for an hour, with those claims beside.
pub fn token(user: &str, claims: &Value) -> String {
    let mut all = json!({ "sub": user, "exp": now() + 3600 });
    let more = claims.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(more);
    signed(&all, SECRET)
}

/// A token with those claims.
pub fn signed(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
