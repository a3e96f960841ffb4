//! Peers that mean harm, over raw sockets and against the real binary. Each case has its outcome, an innocent neighbour
//! that must not notice, and bounds on what the process holds, during and after; `arena` sees to the last two.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stderr, reason = "the seed, to do it again")]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "shared with the tests of the client")]
#[path = "../client/far.rs"]
mod far;

mod arena;
mod chat_json;
mod churn;
mod exhaustion;
mod floods;
mod footprint;
mod frames;
mod half_open;
mod handshakes;
mod history;
mod injections;
mod log_lines;
mod neighbours;
mod origins;
mod random;
mod requests;
mod resets;
mod tokens;
mod unfinished;
