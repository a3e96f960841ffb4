//! Whole requests that are wrong: methods, versions, sizes, bodies. Which bytes get which status is the matter of the
//! handshake's own tests; here it is what they cost others.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::arena::{Arena, refused};
use crate::support::PATIENCE;
use crate::support::client::request;
use crate::support::server::Server;

/// Sends `bytes` as far as they are taken and gives all that is answered, up to the end, which may be a reset where the
/// server would not read all of it.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut writer = stream.try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        // The answer may come long before the last byte is taken, and then nobody takes it any more.
        scope.spawn(move || drop(writer.write_all(bytes)));
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(answer).expect("an answer is text")
    })
}

/// Sends `bytes` as far as they are taken, reads at most so many of what is answered, and is gone.
pub(crate) fn exchange_some(address: SocketAddr, bytes: &[u8], read_max: usize) {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut writer = stream.try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || drop(writer.write_all(bytes)));
        let (mut length, mut buffer) = (0, [0; 4096]);
        while length < read_max
            && let Ok(more @ 1..) = stream.read(&mut buffer)
        {
            length += more;
        }
        stream.shutdown(Shutdown::Both).expect("it is open");
    });
}

/// Requires one answer with that status, and nothing behind it.
#[track_caller]
pub(crate) fn check_answer(server: &Server, bytes: &[u8], status: u16) {
    let shown = bytes[..bytes.len().min(160)].escape_ascii();
    let answer = exchange(server.address, bytes);
    let is_right = answer.split(' ').nth(1) == Some(&status.to_string());
    assert!(is_right, "{shown}: {answer:?} and not {status}");
    let answers = answer.lines().filter(|line| line.starts_with("HTTP/1."));
    assert_eq!(answers.count(), 1, "{shown}: one answer, and not {answer:?}");
}

/// The handshake with more fields, each with its line break.
pub(crate) fn with_fields(path: &str, fields: &str) -> String {
    let request = request(path);
    let head = request.strip_suffix("\r\n").expect("it ends with an empty line");
    format!("{head}{fields}\r\n")
}

#[test]
fn methods_and_versions_that_are_none() {
    let mut arena = Arena::new(&[]);
    let handshake = request("/relay/a");
    let swap = |from: &str, to: &str| handshake.replacen(from, to, 1).into_bytes();
    let beyond = format!("Version: {}", "9".repeat(500));
    for (what, bytes, status, reason) in [
        ("POST", swap("GET", "POST"), 405, "method_not_allowed"),
        ("TRACE", swap("GET", "TRACE"), 405, "method_not_allowed"),
        ("a method nobody knows", swap("GET", "BREW"), 405, "method_not_allowed"),
        ("a method in lower case", swap("GET", "get"), 405, "method_not_allowed"),
        ("a method of 1,000 letters", swap("GET", &"G".repeat(1000)), 405, "method_not_allowed"),
        ("CONNECT", swap("GET /relay/a", "CONNECT localhost:1"), 404, "not_found"),
        ("no method", swap("GET ", " "), 400, "bad_request"),
        ("a method with a control character", swap("GET", "G\x01T"), 400, "bad_request"),
        ("HTTP/0.9", b"GET /relay/a\r\n\r\n".to_vec(), 400, "bad_request"),
        ("HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), 400, "bad_request"),
        ("HTTP/1.2", swap("HTTP/1.1", "HTTP/1.2"), 400, "bad_request"),
        ("HTTP/2.0", swap("HTTP/1.1", "HTTP/2.0"), 400, "bad_request"),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400, "bad_request"),
        ("WebSocket of version 8", swap("Version: 13", "Version: 8"), 426, "version"),
        ("no version of WebSocket", swap("Version: 13", "Version: "), 426, "version"),
        ("a version beyond numbers", swap("Version: 13", &beyond), 426, "version"),
    ] {
        arena.case(what, &[refused(reason, 1)], |server| check_answer(server, &bytes, status));
    }
    arena.case("TLS where it is not spoken", &[refused("tls_not_spoken", 1)], |server| {
        let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n";
        assert_eq!(exchange(server.address, hello), "", "there is no word that both sides know");
    });
}

#[test]
fn headers_beyond_all_bounds() {
    let mut arena = Arena::new(&[]);
    let giant = "x".repeat(1 << 20);
    for (what, bytes) in [
        ("a field of 1 MiB", with_fields("/", &format!("X: {giant}\r\n"))),
        ("a field's name of 1 MiB", with_fields("/", &format!("{giant}: x\r\n"))),
        ("a path of 1 MiB", request(&format!("/relay/{giant}"))),
        ("a cookie of 1 MiB", with_fields("/", &format!("Cookie: a={giant}\r\n"))),
        ("100,000 fields", with_fields("/", &"X: y\r\n".repeat(100_000))),
        ("100,000 fields without a name", with_fields("/", &"a:\r\n".repeat(100_000))),
        (
            "1,000 subprotocols in 1,000 fields",
            with_fields("/", &"Sec-WebSocket-Protocol: a\r\n".repeat(1000)),
        ),
    ] {
        arena.case(what, &[refused("header_too_large", 1)], |server| {
            check_answer(server, bytes.as_bytes(), 431);
        });
    }
    arena.case("200 that hold almost as much as they may", &[refused("lost", 200)], |server| {
        let almost = with_fields("/", &format!("X: {}", "x".repeat(16_000)));
        let almost = almost.trim_end();
        let open = |_| {
            let mut stream = TcpStream::connect(server.address).expect("the server accepts");
            stream.write_all(almost.as_bytes()).expect("it is within the bounds");
            stream
        };
        (0..200).map(open).collect::<Vec<_>>()
    });
}

#[test]
fn bodies_where_none_belong() {
    let mut arena = Arena::new(&[]);
    let body = "x".repeat(100_000);
    for (what, bytes) in [
        ("a short body", with_fields("/", "Content-Length: 5\r\n") + "hello"),
        ("a body of 100,000 bytes", with_fields("/", "Content-Length: 100000\r\n") + &body),
        ("a body that is announced", with_fields("/", "Content-Length: 1099511627776\r\n")),
        (
            "a body in chunks",
            with_fields("/", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "an endless chunk",
            with_fields("/", "Transfer-Encoding: chunked\r\n") + "ffffffffffffffff\r\n" + &body,
        ),
        (
            "a body that waits to be asked for",
            with_fields("/", "Content-Length: 9\r\nExpect: 100-continue\r\n"),
        ),
    ] {
        arena.case(what, &[refused("bad_request", 1)], |server| {
            check_answer(server, bytes.as_bytes(), 400);
        });
    }
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1099511627776\r\n\r\n";
    arena.case("a page with a body", &[refused("too_large", 1)], |server| {
        check_answer(server, page.as_bytes(), 413);
    });
}
