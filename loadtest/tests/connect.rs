//! `loadtest connect` against a relay that is right and ones that are not there, do not answer, or hang up.

#[allow(dead_code, reason = "other test binaries use the rest")]
mod relay;
mod run;

use std::sync::atomic::Ordering;

use self::relay::{Behaviour, Relay};
use self::run::loadtest;

#[test]
fn a_storm_is_opened_held_and_closed() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let outcome =
        loadtest(&format!("connect --connections 300 --hold 0.3 --json --url {}", relay.url()));
    let report = outcome.json();
    assert_eq!(outcome.code, 0, "{report:#}");
    assert_eq!((&report["scenario"], &report["passed"]), (&"connect".into(), &true.into()));
    let opening = &report["opening"];
    assert_eq!((&opening["opened"], &opening["failed"]), (&300.into(), &0.into()));
    assert_eq!(opening["handshake_us"]["samples"], 300);
    assert!(opening["per_sec"].as_f64().unwrap() > 0.0);
    assert_eq!(report["connections"]["lost"], 0);
    // The connections and the one that tried the server out; each was pinged.
    assert_eq!(relay.counts.closes.load(Ordering::Relaxed), 301);
    assert_eq!(relay.counts.pongs.load(Ordering::Relaxed), 300);
}

#[test]
fn a_rate_is_kept() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let outcome = loadtest(&format!(
        "connect --connections 50 --rate 100 --hold 0 --threads 2 --json --url {}",
        relay.url()
    ));
    let opening = &outcome.json()["opening"];
    assert_eq!(opening["opened"], 50);
    // The last of them is due after 0.49 s.
    assert!(opening["per_sec"].as_f64().unwrap() <= 50.0 / 0.49, "{opening}");
}

#[test]
fn connections_that_end_while_held_fail_the_run() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let url = relay.url();
    let running = std::thread::spawn(move || {
        loadtest(&format!("connect --connections 20 --hold 5 --json --url {url}"))
    });
    while relay.counts.pongs.load(Ordering::Relaxed) < 20 {
        std::thread::yield_now();
    }
    drop(relay);
    let outcome = running.join().unwrap();
    let report = outcome.json();
    assert_eq!(outcome.code, 1, "{report:#}");
    assert_eq!(report["connections"]["lost"], 20);
}

#[test]
fn nobody_there_exits_with_2() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let url = relay.url();
    drop(relay);
    let outcome = loadtest(&format!("connect --url {url}"));
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("refused") && outcome.err.contains(&url), "{}", outcome.err);
}

#[test]
fn too_few_file_descriptors_exits_with_2_and_says_how_many_are_missing() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let command = format!(
        "ulimit -n 200; exec {} connect --connections 500 --url {}",
        env!("CARGO_BIN_EXE_loadtest"),
        relay.url()
    );
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for figure in ["500 connections", "564 file descriptors", "hard limit is 200", "at most 136"] {
        assert!(error.contains(figure), "{figure} is not in: {error}");
    }
}

#[test]
fn the_soft_limit_is_raised() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let command = format!(
        "ulimit -Sn 100; exec {} connect --connections 200 --hold 0 --url {}",
        env!("CARGO_BIN_EXE_loadtest"),
        relay.url()
    );
    let status = std::process::Command::new("sh").args(["-c", &command]).output().unwrap().status;
    assert_eq!(status.code(), Some(0));
}
