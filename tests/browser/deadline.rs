//! Waiting for another process: polled until it is so, with an end that only a fault reaches.

use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers. Past the deadline it fails with what `report` says of the state then.
pub(crate) fn wait_for<S, T>(
    state: &mut S,
    mut probe: impl FnMut(&mut S) -> Option<T>,
    report: impl FnOnce(&mut S) -> String,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = probe(state) {
            return answer;
        }
        assert!(Instant::now() < end, "not within {} s: {}", DEADLINE.as_secs(), report(state));
        pause();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test's own thread, and another process has no event to wait on"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
