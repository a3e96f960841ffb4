//! The frame codec, held to RFC 6455 from outside: by tables, by random streams and by two other implementations.

#[path = "../conformance/bytes.rs"]
mod bytes;
mod close;
mod earliest;
mod fragments;
mod frames;
mod peer;
mod round_trip;
mod splits;
mod utf8;
