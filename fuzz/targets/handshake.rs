//! The opening handshake: whatever bytes come, there is one clear answer, and who is let in has asked properly.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use uproar::fuzzing::{Accepted, Judge, Verdict};

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new().expect("a runtime"));

/// The answers that there are but for 101.
const STATUSES: [&str; 11] =
    ["200", "304", "400", "403", "404", "405", "408", "413", "426", "431", "503"];

/// Requires that these are whole answers, each with one of those statuses, and the head and body that it says.
fn check_answers(mut answers: &[u8]) {
    while !answers.is_empty() {
        let end = answers.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&answers[..end]).expect("a head is text");
        assert!(head.chars().all(|c| matches!(c, '\r' | '\n' | ' '..='~')), "{head:?}");
        assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{head:?}");
        let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        assert!(status.is_some_and(|status| STATUSES.contains(&status)), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        let rest = &answers[end + 4..];
        // The answer to HEAD says how long a body would be, and has none.
        answers = if rest.len() < length || rest.starts_with(b"HTTP/1.") {
            rest
        } else {
            &rest[length..]
        };
        if rest.len() < length {
            return;
        }
    }
}

/// The values of a field, in a head whose lines may end with LF alone.
fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines =
        head.split('\n').skip(1).filter_map(|line| line.trim_end_matches('\r').split_once(':'));
    let found = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
}

/// Whether an authority is this machine, seen as simply as can be.
fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix("[::1]") {
        Some(_) => return true,
        None => authority.split(':').next().unwrap_or_default().to_ascii_lowercase(),
    };
    let name = host.strip_suffix('.').unwrap_or(&host);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.starts_with("127.")
        || authority.starts_with('[')
}

fn check_accepted(bytes: &[u8], accepted: &Accepted) {
    // Before the request that was let in there may have been pages.
    let request = &bytes[..bytes.len() - accepted.leftover_bytes];
    let request = String::from_utf8_lossy(request);
    let begins_line = |at: &usize| *at == 0 || request.as_bytes()[at - 1] == b'\n';
    let starts = request.match_indices("GET ").map(|(at, _)| at).filter(begins_line);
    let head = &request[starts.last().expect("only GET opens a WebSocket")..];
    let line = head.split('\n').next().unwrap_or_default().trim_end();
    assert!(line.ends_with("HTTP/1.1"), "{line:?}");
    for (name, count) in [("host", 1), ("sec-websocket-key", 1), ("sec-websocket-version", 1)] {
        assert_eq!(values(head, name).len(), count, "{name}: {head:?}");
    }
    assert_eq!(values(head, "sec-websocket-version"), ["13"], "{head:?}");
    assert!(values(head, "transfer-encoding").is_empty(), "{head:?}");
    assert!(
        values(head, "content-length").iter().all(|length| length.trim_matches('0').is_empty()),
        "{head:?}"
    );
    // The target's own host counts for more than the field (RFC 9112, section 3.2.2).
    let target = line.split(' ').nth(1).unwrap_or_default().split_once("://");
    let named = target.and_then(|(_, rest)| rest.split(['/', '?']).next());
    assert!(is_local(named.unwrap_or(values(head, "host")[0])), "{head:?}");
    let origins = values(head, "origin");
    assert!(origins.len() <= 1, "{head:?}");
    for origin in origins {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        assert!(origin == "null" || authority.is_some_and(is_local), "{head:?}");
    }
    if let Some(room) = &accepted.room {
        assert!((1..=200).contains(&room.len()) && !room.chars().any(char::is_control), "{room:?}");
    }
    let answer = std::str::from_utf8(&accepted.answer).expect("an answer is text");
    let last = answer.rfind("HTTP/1.1 101 Switching Protocols\r\n").expect("a 101");
    assert!(answer[last..].ends_with("\r\n\r\n"), "{answer}");
    check_answers(&accepted.answer[..last]);
}

fuzz_target!(|data: &[u8]| {
    match JUDGE.judge(data) {
        Verdict::Accepted(accepted) => check_accepted(data, &accepted),
        Verdict::Answered(answer) => check_answers(&answer),
        Verdict::Unfinished | Verdict::Unreadable => {}
    }
});
