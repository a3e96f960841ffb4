//! The API of the application's backend: over real sockets, against the real binary, every answer held to the document.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod caller;
mod document;
mod door;
mod examples;
mod measures;
mod moderation;
mod publish;
mod rooms;
mod storm;
mod users;
