//! The reactor.

mod adopt;

pub use adopt::Adopt;
