//! Requests that two programs behind one another could read as two different things: one answer, and never a second
//! request out of what the first one brought along.

use crate::arena::{Arena, closed, refused};
use crate::handshakes::{check_answer, with_fields};
use crate::support::client::{Client, request};

/// A request that must never be answered: it would show that the server saw it.
const SMUGGLED: &str = "GET /uproar.js HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn lengths_that_contradict_each_other() {
    let mut arena = Arena::new(&[]);
    for (what, fields) in [
        ("a length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        ("chunks that are not last", "Transfer-Encoding: chunked, identity\r\n"),
        ("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("an encoding nobody knows", "Transfer-Encoding: xchunked\r\n"),
        ("chunks behind a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 50\r\n"),
        ("a list of lengths", "Content-Length: 0, 50\r\n"),
        ("a length with a sign", "Content-Length: +50\r\n"),
        ("a negative length", "Content-Length: -50\r\n"),
        ("a length in hexadecimal", "Content-Length: 0x32\r\n"),
        ("a length beyond 64 bits", "Content-Length: 18446744073709551666\r\n"),
        ("a space before the colon", "Content-Length : 50\r\n"),
        ("a folded field", "X: a\r\n Content-Length: 50\r\n"),
        ("a field without a name", ": 50\r\n"),
        ("a line that is no field", "Content-Length\r\n"),
        ("a NUL", "X: a\0b\r\n"),
        ("a bare CR", "X: a\rContent-Length: 50\r\n"),
    ] {
        let attack = with_fields("/", fields) + SMUGGLED;
        arena.case(what, &[refused("bad_request", 1)], |server| {
            check_answer(server, attack.as_bytes(), 400);
        });
    }
}

#[test]
fn hosts_that_contradict_each_other() {
    let mut arena = Arena::new(&[]);
    let swap = |to: &str| request("/").replace("Host: localhost", to) + SMUGGLED;
    for (what, attack, status, reason) in [
        ("no host", request("/").replace("Host: localhost\r\n", "") + SMUGGLED, 400, "bad_request"),
        ("two hosts", swap("Host: localhost\r\nHost: localhost"), 400, "bad_request"),
        ("two hosts in one", swap("Host: localhost, evil.example"), 400, "bad_request"),
        ("a host with a user", swap("Host: localhost@evil.example"), 400, "bad_request"),
        ("a host with a path", swap("Host: localhost/evil"), 400, "bad_request"),
        ("another host in the target", request("http://evil.example/") + SMUGGLED, 403, "host"),
        (
            "a user in the target",
            request("http://localhost@evil.example/") + SMUGGLED,
            400,
            "bad_request",
        ),
    ] {
        arena.case(what, &[refused(reason, 1)], |server| {
            check_answer(server, attack.as_bytes(), status);
        });
    }
}

#[test]
fn requests_behind_others() {
    let mut arena = Arena::new(&[]);
    arena.case("a request behind one that is refused", &[refused("not_found", 1)], |server| {
        check_answer(server, (request("/nowhere") + SMUGGLED).as_bytes(), 404);
    });
    arena.case("a request behind a handshake is frames", &[closed("protocol", 1)], |server| {
        let mut client = Client::raw(server.address);
        client.write((request("/echo") + SMUGGLED).as_bytes());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(client.next().close_code(), 1002);
    });
    arena.case(
        "a handshake behind a body that was not there",
        &[refused("too_large", 1)],
        |server| {
            let hidden = request("/");
            let attack = format!(
                "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{hidden}",
                hidden.len()
            );
            check_answer(server, attack.as_bytes(), 413);
        },
    );
    arena.case("10,000 requests for pages at once", &[], |server| {
        let pages = SMUGGLED.repeat(10_000);
        crate::handshakes::exchange_some(server.address, pages.as_bytes(), 1 << 20);
    });
}
