//! The recipes of docs/php.md as they stand, in plain PHP and in an application of Laravel, against the real binary.
//!
//! `application` writes the recipes into a directory and serves them with PHP's own server, `recipes` is what has to be
//! true of both kinds, and `laravel/` and `plain/` have what such an application has besides.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod application;
mod recipes;
