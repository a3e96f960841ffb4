//! The tables of docs/security.md: no cell is empty, and every setting and every test that they name is there.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::BTreeSet;

use support::markdown;
use uproar::config::KEYS;

const PAGE: &str = "docs/security.md";

/// The parts of the cheat sheet, and what Uproar has beside them.
const PARTS: [&str; 9] = [
    "### Transport",
    "### Authentication and authorisation",
    "### Input",
    "### Denial of service",
    "### Monitoring and logging",
    "### Testing and upkeep",
    "### Tokens",
    "### Callbacks and webhooks",
    "### The API and the operator's address",
];

/// Every row of every part.
fn rows() -> Vec<Vec<String>> {
    let page = markdown::read(PAGE);
    let rows: Vec<_> = PARTS.iter().flat_map(|part| markdown::table(&page, part)).collect();
    let lines = page.split("\n## The WebSocket Security Cheat Sheet\n").nth(1).expect("a chapter");
    let lines = lines.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows.len() + 2 * PARTS.len(), lines, "every table is one of a part");
    rows
}

#[test]
fn every_cell_says_something() {
    for row in rows() {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| cell.chars().any(char::is_alphanumeric)), "{row:?}");
    }
}

#[test]
fn no_requirement_is_there_twice() {
    let rows = rows();
    let requirements: BTreeSet<_> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(requirements.len(), rows.len());
}

#[test]
fn settings_are_keys_or_none() {
    for row in rows() {
        let named: Vec<_> = markdown::code(&row[2]).collect();
        let is_none = row[2] == "none" || row[2].starts_with("none: ");
        assert_eq!(named.is_empty(), is_none, "{row:?}");
        for name in named {
            assert!(KEYS.iter().any(|key| key.path == name), "no key {name}: {row:?}");
        }
    }
}

/// `path`: `test`, `test`; `path`: `test`.
#[test]
fn tests_are_there() {
    let mut tests = 0;
    for row in rows() {
        for part in row[3].split("; ") {
            let mut named = markdown::code(part);
            let path = named.next().unwrap_or_else(|| panic!("no file: {row:?}"));
            let text = markdown::read(path);
            let named: Vec<_> = named.collect();
            let is_test = path.starts_with("tests/") || path.starts_with("src/");
            assert_eq!(named.is_empty(), !(is_test && path.ends_with(".rs")), "{part}");
            for name in &named {
                assert!(is_run(&text, name), "{path} has no test {name}");
            }
            tests += named.len();
        }
    }
    assert!(tests > 100, "tests were found: {tests}");
}

/// Whether a text has a test of that name: a function that stands under `#[test]`, or that a macro of it makes into one.
fn is_run(text: &str, name: &str) -> bool {
    let mut attribute = false;
    for line in text.lines().map(str::trim) {
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        if attribute && function.is_some_and(|rest| rest.split(['(', '<']).next() == Some(name)) {
            return true;
        }
        attribute = line.starts_with("#[test]") || attribute && line.starts_with("#[");
    }
    let listed = text.lines().filter(|line| line.trim() == format!("{name},")).count();
    listed > 0 && text.contains(&format!("\nfn {name}("))
}
