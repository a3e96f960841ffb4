//! An application that hangs, lies, redirects, talks without end or is not there: nothing is stored that it did not allow,
//! the sender is told so, and it comes back by itself.

use std::net::TcpListener;

use serde_json::json;

use super::support::backend::{Backend, Reply};
use super::support::wait_for;
use super::{
    allow, answer, bodies, check_unavailable, member, requests, results, said, say, server,
};

#[test]
fn lies_store_nothing() {
    let bodies_of_lies = [
        "".to_owned(),
        "<html>allowed</html>".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "{\"allow\": true}".to_owned(),
        "{\"body\": 1, \"reason\": \"\"}".to_owned(),
        "{\"body\": 1, \"body\": 2}".to_owned(),
        "{\"body\": \"\\ud800\"}".to_owned(),
        "{\"body\": 1e400}".to_owned(),
        format!("{{\"body\": \"{}\"}}", "x".repeat(3000)),
        format!("{{\"body\": {}{}}}", "[".repeat(65), "]".repeat(65)),
        "{\"body\": ".repeat(3000),
    ];
    let count = bodies_of_lies.len();
    let backend = Backend::start(move |asked| match said(asked).as_u64().map(|at| at as usize) {
        Some(at) if at < bodies_of_lies.len() => Reply::Status(200, bodies_of_lies[at].clone()),
        Some(at) => Reply::Status(
            [201, 202, 400, 401, 404, 418, 429, 500][at - bodies_of_lies.len()],
            "{}".into(),
        ),
        None => allow(),
    });
    let settings =
        [("UPROAR_CALLBACKS__FAILURES_MAX", "2"), ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "2048")];
    let server = server(&backend, &settings);
    let mut alice = member(&server, "hall", "Alice");
    for at in 0..count + 8 {
        check_unavailable(&say(&mut alice, "hall", &json!(at)), "hall");
    }
    assert_eq!(results(&server, "invalid"), (count + 8) as f64);
    // None of it says that the application is down, so that one message cannot silence everybody else.
    assert_eq!(say(&mut alice, "hall", &json!("true"))["type"], "ack");
    assert_eq!(bodies(&server, "hall"), ["true"]);
    assert_eq!(server.metric("uproar_outbound_breaker_open", &["publish"]), 0.0);
    let unanswered = ["result=\"unanswered\""];
    let lies = (count + 8) as f64;
    server.wait_for_metric("uproar_log_messages_total", &unanswered, |refused| refused == lies);
}

#[test]
fn redirects_are_not_followed_and_giants_not_read() {
    let elsewhere = Backend::start(|_| allow());
    let target = elsewhere.url();
    let backend = Backend::start(move |asked| match said(asked).as_str() {
        Some("away") => {
            let head =
                format!("HTTP/1.1 307 Away\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
            Reply::Raw(head.into_bytes())
        }
        Some("announced") => {
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}".into())
        }
        Some("noise") => Reply::Raw(b"\x16\x03\x01 not HTTP at all".into()),
        Some("endless") => Reply::Endless,
        _ => allow(),
    });
    let server = server(&backend, &[("UPROAR_CALLBACKS__FAILURES_MAX", "100")]);
    let mut alice = member(&server, "hall", "Alice");
    for body in ["away", "announced", "noise", "endless"] {
        check_unavailable(&say(&mut alice, "hall", &json!(body)), "hall");
    }
    assert_eq!((requests(&server, "redirect"), elsewhere.connections()), (1.0, 0));
    assert_eq!((requests(&server, "too_large"), results(&server, "failed")), (1.0, 4.0));
    assert_eq!(say(&mut alice, "hall", &json!("well"))["type"], "ack");
    assert_eq!(bodies(&server, "hall"), ["well"]);
}

#[test]
fn a_hanging_application_is_not_waited_for() {
    let backend = Backend::start(|asked| if said(asked) == "hang" { Reply::Hang } else { allow() });
    let settings = [
        ("UPROAR_CALLBACKS__PUBLISH_TIMEOUT_MS", "300"),
        ("UPROAR_CALLBACKS__FAILURES_MAX", "100"),
    ];
    let server = server(&backend, &settings);
    let mut alice = member(&server, "hall", "Alice");
    let mut bob = member(&server, "other", "Bob");
    let hanging: Vec<_> = (0..5).map(|_| alice.say("hall", &json!("hang"))).collect();
    assert_eq!(say(&mut bob, "other", &json!(1))["type"], "ack");
    for id in hanging {
        check_unavailable(&answer(&mut alice, &id), "hall");
    }
    assert_eq!(requests(&server, "timeout"), 5.0);
    assert_eq!(say(&mut alice, "hall", &json!("well"))["type"], "ack");
    assert_eq!(bodies(&server, "hall"), ["well"]);
    assert_eq!(server.metric("uproar_outbound_pending", &[]), 0.0);
}

#[test]
fn an_application_that_is_gone_is_asked_again_once_it_is_back() {
    let first = Backend::start(|asked| if said(asked) == "hang" { Reply::Hang } else { allow() });
    let address = first.address;
    let settings =
        [("UPROAR_CALLBACKS__FAILURES_MAX", "3"), ("UPROAR_CALLBACKS__RETRY_AFTER_MS", "200")];
    let server = server(&first, &settings);
    let mut alice = member(&server, "hall", "Alice");
    assert_eq!(say(&mut alice, "hall", &json!("first"))["type"], "ack");
    let hanging = alice.say("hall", &json!("hang"));
    while said(&first.next()) != json!("hang") {}
    // In the middle of a question.
    first.kill();
    check_unavailable(&answer(&mut alice, &hanging), "hall");
    let mut refused = 1;
    while requests(&server, "breaker_open") == 0.0 {
        check_unavailable(&say(&mut alice, "hall", &json!("lost")), "hall");
        refused += 1;
    }
    assert!(requests(&server, "connect") + requests(&server, "lost") >= 3.0);
    assert_eq!(server.metric("uproar_outbound_breaker_open", &["purpose=\"publish\""]), 1.0);
    assert_eq!(results(&server, "failed"), f64::from(refused));
    let backend =
        Backend::on(TcpListener::bind(address).expect("the port is free again"), |_| allow());
    wait_for("messages are stored again", || {
        (say(&mut alice, "hall", &json!("found"))["type"] == "ack").then_some(())
    });
    assert_eq!(bodies(&server, "hall"), ["first", "found"]);
    assert_eq!(server.metric("uproar_outbound_breaker_open", &[]), 0.0);
    assert!(backend.connections() >= 1);
}

#[test]
fn a_server_that_stops_does_not_wait_for_the_application() {
    let backend = Backend::start(|_| Reply::Hang);
    let settings = [("UPROAR_CALLBACKS__PUBLISH_TIMEOUT_MS", "30000")];
    let mut server = server(&backend, &settings);
    let mut alice = member(&server, "hall", "Alice");
    alice.say("hall", &json!("lost"));
    backend.next();
    server.signal("TERM");
    // It was asked about, and neither stored nor acknowledged.
    assert_eq!(
        alice.await_message(|message| message["type"] == "bye" || message["type"] == "ack")["type"],
        "bye"
    );
    drop(alice);
    assert!(server.wait().success());
    let line = server.log_line(|line| line["message"] == "stopped");
    assert_eq!(line["level"], "INFO");
}
