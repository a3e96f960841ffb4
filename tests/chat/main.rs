//! The chat as its clients see it: who is told what, in which order, and what is refused.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]

#[path = "../support/mod.rs"]
mod support;

mod backpressure;
mod basics;
mod direct;
mod heartbeat;
mod mailboxes;
mod order;
mod presence;
mod resume;
mod slow;
mod tokens;
mod users;
