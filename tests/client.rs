//! The client that pages and programs load, in Node: its rules, one by one, against servers that a test makes up.
//!
//! The tests themselves are JavaScript, in `tests/client/`; each runs by itself, too:
//! `node --experimental-websocket --test tests/client/*.test.mjs`.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the client promises to run in, and what its tests need of `node --test`.
const NODE_MAJOR_MIN: u32 = 20;

#[test]
fn the_client_keeps_its_rules() {
    check_node();
    let output = Command::new("node")
        // Node 20 has a WebSocket only when asked; to later ones the flag is nothing new.
        .args(["--experimental-websocket", "--test", "--test-reporter=spec"])
        .args(tests())
        .output()
        .expect("node runs");
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{errors}");
}

/// Every file of tests, by its path.
fn tests() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client");
    let entries = fs::read_dir(directory).expect("the tests are there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let tests: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect();
    assert!(tests.len() > 5, "tests were found: {tests:?}");
    tests
}

/// Fails, rather than skips, where there is no Node or an old one.
fn check_node() {
    let found = Command::new("node").arg("--version").output();
    let version = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let version = version.unwrap_or_else(|error| error.to_string());
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next());
    let major = major.and_then(|major| major.parse::<u32>().ok());
    assert!(
        major.is_some_and(|major| major >= NODE_MAJOR_MIN),
        "these tests need Node {NODE_MAJOR_MIN} or later as `node` (nodejs.org, or your system's package nodejs), \
         and found: {version}"
    );
}
