//! RFC 6455 over real sockets: what goes in byte by byte, and exactly which frames and what end of the stream come out.
//!
//! The rules that the decoder alone can prove, cut at every place, are in the tests of the codec; here the rows show
//! that the server as a whole keeps to them.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod closing;
mod fragments;
mod frames;
mod limits;
mod row;
mod utf8;
