//! The progress line: on standard error, and only where that is a terminal. Where a program reads instead, it can be told
//! the stages of the run.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Times per second that the line is drawn at most.
const DRAWS_PER_SEC: u8 = 5;

/// A bar over connections as they open.
pub(crate) fn connecting(connections: usize) -> ProgressBar {
    bar(connections as u64, "connecting {wide_bar} {pos}/{len} ({per_sec})")
}

/// A bar over the seconds of a run; the message says what goes on.
pub(crate) fn running(duration: Duration) -> ProgressBar {
    bar(duration.as_secs(), "{prefix} {wide_bar} {pos}/{len} s {msg}")
}

/// A line on standard error that names the stage which begins now.
pub(crate) fn stage(name: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{name}")
}

fn bar(length: u64, template: &str) -> ProgressBar {
    // Standard error that is no terminal stays clean: the target hides itself then.
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SEC);
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}
