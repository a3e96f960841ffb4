//! What is wrong with the callbacks stops the start, with the key, its value and the reason.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

use uproar::Config;

const SECRET: &str = "hunter2 hunter2 hunter2 hunter2 hunter2";

/// A configuration whose messages are asked about, but for that change.
#[track_caller]
fn check(change: impl FnOnce(&mut Config), expected: &str) {
    let mut config = Config::default();
    config.callbacks.publish_url = "http://127.0.0.1:8000/publish".into();
    config.callbacks.secret = SECRET.into();
    config.validate().expect("it is right so far");
    change(&mut config);
    let problems = config.validate().expect_err("something is wrong").to_string();
    assert!(problems.contains(expected), "{expected:?} is not in {problems:?}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn a_url_must_be_one_that_can_be_asked() {
    for (url, reason) in [
        ("ftp://example.org/", "must begin with http:// or https://"),
        ("http:///path", "is no URL"),
        ("nonsense", "must begin with http:// or https://"),
    ] {
        let expected = format!("callbacks.publish_url = \"{url}\": {reason}");
        check(|config| config.callbacks.publish_url = url.into(), &expected);
    }
    let expected = "callbacks.publish_url = \"***\": must have no user and no password";
    check(
        |config| config.callbacks.publish_url = "https://me:hunter2@example.org/".into(),
        expected,
    );
    let expected = "is a private address, which allow_private_networks = false forbids";
    check(|config| config.callbacks.allow_private_networks = false, expected);
}

#[test]
fn what_is_asked_about_must_be_there() {
    let expected = "there is a URL to ask about messages of the chat and no chat";
    check(|config| config.chat.enabled = false, expected);
    let expected = "must be at most 100 patterns that names of rooms can match";
    check(|config| config.callbacks.publish_rooms = vec!["a\u{0}".into()], expected);
    check(|config| config.callbacks.publish_rooms = vec![String::new()], expected);
    check(|config| config.callbacks.publish_rooms = vec!["*".into(); 101], expected);
    let nobody = |config: &mut Config| {
        config.callbacks.publish_rooms.clear();
        config.callbacks.publish_direct = false;
    };
    check(
        nobody,
        "callbacks.publish_rooms = [] and callbacks.publish_direct = false: nothing would be asked",
    );
}

#[test]
fn requests_must_be_signed() {
    let expected = "callbacks.secret = \"***\": must have at least 32 bytes";
    check(|config| config.callbacks.secret = "hunter2".into(), expected);
}
