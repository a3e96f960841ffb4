//! The chat as its clients see it: who is told what, in which order, and what is refused.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod order;
mod resume;
