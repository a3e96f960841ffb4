//! Admission: who may come in. Rules, and the key behind the tokens of guests; the HTTP that asks lives in `http`.

pub mod access;
pub mod auth;
mod guest_key;
pub(crate) mod guests;
pub mod host;
pub mod origin;
pub mod permissions;
pub mod standing;
pub(crate) mod verify;
