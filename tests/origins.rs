//! Which pages and names the door is open to: what an operator lists is let in, and nothing that only looks like it.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

mod support;

use serde_json::json;
use support::door::{ask, connect_from, handshake, refused, source, status};
use support::server::Server;
use support::token::{keys, token};

/// Asks with these lines and requires that status, and a count under that reason where there is one.
#[track_caller]
fn check(server: &Server, lines: &[&str], expected: u16, reason: Option<&str>) {
    let before = reason.map(|reason| refused(server, reason));
    let head = ask(&connect_from(source(1), server.address), handshake("/relay/a", lines));
    assert_eq!(status(&head), expected, "{lines:?}: {head}");
    if let (Some(before), Some(reason)) = (before, reason) {
        assert_eq!(refused(server, reason), before + 1.0, "{lines:?}");
    }
}

#[test]
fn listed_origins_and_hosts_are_let_in_and_others_are_not() {
    let server = Server::start_with(
        &[],
        &[
            ("UPROAR_ORIGINS__ALLOWED", r#"["https://app.example", "http://localhost:3000"]"#),
            ("UPROAR_ORIGINS__HOSTS", r#"["chat.example", "localhost:8443"]"#),
        ],
    );
    let host = "Host: chat.example";
    for good in ["https://app.example", "https://app.example:443", "http://localhost:3000"] {
        check(&server, &[host, &format!("Origin: {good}")], 101, None);
    }
    for bad in [
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.com",
        "https://evil-app.example",
        "https://evil.app.example",
        "https://app.example@evil.com",
        "https://app.example.",
        "https://app.exаmple",
        "http://localhost",
        "file://",
        "",
    ] {
        check(&server, &[host, &format!("Origin: {bad}")], 403, Some("origin"));
    }
    let origin = "Origin: https://app.example";
    check(&server, &[host, origin, origin], 403, Some("origin"));
    check(&server, &["Host: localhost:8443", origin], 101, None);
    for bad in ["localhost", "chat.example:8080", "rebound.example", "127.0.0.1", "a.chat.example"]
    {
        check(&server, &[&format!("Host: {bad}"), origin], 403, Some("host"));
    }
    check(&server, &[host], 403, Some("no_origin"));
}

#[test]
fn programs_are_let_in_where_they_are_meant_and_wildcards_where_they_are() {
    let server = Server::start_with(
        &[],
        &[
            ("UPROAR_ORIGINS__ALLOWED", r#"["https://*.app.example"]"#),
            ("UPROAR_ORIGINS__WILDCARDS", "true"),
            ("UPROAR_ORIGINS__MISSING_ALLOWED", "true"),
        ],
    );
    check(&server, &[], 101, None);
    check(&server, &["Origin: https://a.app.example"], 101, None);
    check(&server, &["Origin: https://app.example"], 403, Some("origin"));
    check(&server, &["Origin: https://aapp.example"], 403, Some("origin"));
}

#[test]
fn a_list_of_hosts_alone_leaves_the_server_to_its_own_pages() {
    let server = Server::start_with(&[], &[("UPROAR_ORIGINS__HOSTS", r#"["chat.example"]"#)]);
    let host = "Host: chat.example";
    check(&server, &[host, "Origin: https://chat.example"], 101, None);
    check(&server, &[host, "Origin: http://localhost"], 403, Some("origin"));
    check(&server, &[host], 403, Some("no_origin"));
}

#[test]
fn a_token_makes_up_for_an_origin_and_for_nothing_else() {
    let (name, keys) = keys();
    let settings = [(name, &*keys), ("UPROAR_AUTH__MODES", r#"["token", "open"]"#)];
    let listed = ("UPROAR_ORIGINS__ALLOWED", r#"["https://app.example"]"#);
    let server = Server::start_with(&[], &[&settings[..], &[listed]].concat());
    let token = token("ann", &json!({ "rooms": { "*": ["join"] } }));
    let shows = format!("Authorization: Bearer {token}");
    check(&server, &[], 403, Some("no_origin"));
    check(&server, &[&shows], 101, None);
    check(&server, &["Origin: https://app.example"], 101, None);
    check(&server, &[&shows, "Origin: https://evil.example"], 403, Some("origin"));
}

#[test]
fn a_server_that_takes_tokens_alone_answers_its_own_pages_under_any_name() {
    let (name, keys) = keys();
    let settings = [(name, &*keys), ("UPROAR_AUTH__MODES", r#"["token"]"#)];
    let server = Server::start_with(&[], &settings);
    let token = token("ann", &json!({ "rooms": { "*": ["join"] } }));
    let (host, shows) = ("Host: chat.example", format!("Authorization: Bearer {token}"));
    check(&server, &[host, &shows, "Origin: https://chat.example"], 101, None);
    check(&server, &[host, &shows, "Origin: https://evil.example"], 403, Some("origin"));
    check(&server, &[host, &shows], 101, None);
}
