//! TLS from outside: who gets in, what they then get, what becomes of those who break it, and a new certificate while
//! the server runs.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod admin;
mod api;
mod handshake;
mod hostile;
mod memory;
mod openssl;
mod reload;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
