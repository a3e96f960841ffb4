//! How far a long work has come, on stderr where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, or nothing where nobody would see it. It is gone when the work is done.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of a work of that size.
    pub(super) fn of(total: u64, what: &'static str) -> Self {
        Self::new(Some(total), what, "{msg} {wide_bar} {percent}% {eta}")
    }

    /// Of a work whose size nobody knows.
    pub(super) fn open_end(what: &'static str) -> Self {
        let bar = Self::new(None, what, "{spinner} {msg} {human_pos} {elapsed}");
        if !bar.0.is_hidden() {
            bar.0.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }

    fn new(total: Option<u64>, what: &'static str, template: &str) -> Self {
        // This target is hidden where stderr is no terminal.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    pub(super) fn set(&self, position: u64) {
        self.0.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
