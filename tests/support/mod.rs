//! What the tests of the real binary share: starting and stopping it, raw WebSocket clients, its metrics.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(unreachable_pub, reason = "a module of each test, public to it alone")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

pub mod audit;
pub mod backend;
pub mod chat;
pub mod client;
pub mod data_dir;
pub mod dice;
pub mod door;
pub mod embedded;
pub mod markdown;
pub mod memory;
pub mod promql;
pub mod schema;
pub mod scrape;
pub mod server;
pub mod session;
pub mod storm;
pub mod strace;
pub mod tls;
pub mod token;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far longer than it ever should.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lets time pass, where a test is about time.
pub fn pause(duration: Duration) {
    std::thread::park_timeout(duration);
}

/// Asks again until there is an answer; fails with `what` after a long while.
pub fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
