//! Admission: who may come in. Rules, and the key behind the tokens of guests; the HTTP that asks lives in `http`.

pub mod access;
pub mod addresses;
pub mod allowed;
pub mod auth;
mod guest_key;
pub(crate) mod guests;
pub mod host;
pub mod keys;
mod network;
pub mod origin;
pub mod permissions;
pub mod proxies;
pub(crate) mod rate;
pub mod standing;
pub mod turnstile;
pub mod users;
pub(crate) mod verify;
