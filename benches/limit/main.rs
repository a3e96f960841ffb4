//! The limit: what Uproar costs, measured against servers that do nothing but read and send.

#![allow(clippy::expect_used, reason = "a benchmark ends where what it expects is not so")]

mod bare;
mod frame;
mod handshake;
mod instructions;
#[path = "../../tests/support/mod.rs"]
mod support;

use bare::{Bare, Mode};

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("bare-send") => Bare::bind(Mode::Send)?.run(),
        Some("bare-turn") => Bare::bind(Mode::Turn)?.run(),
        _ => instructions::run(),
    }
}
