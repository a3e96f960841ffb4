//! Admission: who may come in. Rules, and the key behind the tokens of guests; the HTTP that asks lives in `http`.

pub(crate) mod guest_key;
pub mod host;
pub mod origin;
