//! The limit.
mod bare;
mod frame;
mod handshake;
use bare::{Bare, Mode};

fn main() -> anyhow::Result<()> {
    let mode = match std::env::args().nth(1).as_deref() {
        Some("bare-send") => Mode::Send,
        _ => Mode::Turn,
    };
    Bare::bind(mode)?.run()
}
