//! Requests that are answered with something else than a 101.

use super::*;

/// Sends `request`, expects that status, that line among the fields, and that label to be counted.
pub(super) async fn check(
    server: &Server,
    request: impl AsRef<[u8]>,
    (status, field, label): (u16, &str, &str),
) {
    let request = request.as_ref();
    let shown = request[..request.len().min(120)].escape_ascii().to_string();
    let before = server.refused(label);
    let answer = server.exchange(request).await;
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {shown}: {answer}"));
    let version = if shown.contains("HTTP/1.0") { "HTTP/1.0" } else { "HTTP/1.1" };
    assert!(head.starts_with(&format!("{version} {status} ")), "{shown}: {head}");
    assert!(
        field.is_empty() || head.lines().any(|line| line == field),
        "{shown}: {field:?} is not in {head}"
    );
    assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=utf-8"), "{shown}");
    assert!(
        header(&answer, "connection").is_some_and(|value| value.contains("close")),
        "{shown}: {head}"
    );
    assert!(header(&answer, "date").is_some(), "{shown}");
    assert_eq!(header(&answer, "content-length"), Some(body.len().to_string().as_str()), "{shown}");
    assert!(body.len() > 10 && body.ends_with('\n'), "{shown}: {body:?}");
    assert_eq!(server.refused(label), before + 1.0, "{shown}");
    assert_eq!(server.connections.count(), 0, "{shown}");
    assert!(server.adopted.is_empty(), "{shown}");
}

const BAD: (u16, &str, &str) = (400, "", "bad_request");
const VERSION: (u16, &str, &str) = (426, "sec-websocket-version: 13", "version");

fn handshake(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{HANDSHAKE}\r\n")
}

#[test]
fn malformed_requests() {
    serve(
        |_| {},
        async |server| {
            for request in [
                "nonsense\r\n\r\n",
                "GET /\r\n\r\n",
                "GET / HTTP/1.1 x\r\nHost: localhost\r\n\r\n",
                "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            ] {
                check(&server, request, BAD).await;
            }
            server.quiet().await;
        },
    );
}

#[test]
fn hosts_and_origins() {
    const HOST: (u16, &str, &str) = (403, "", "host");
    const ORIGIN: (u16, &str, &str) = (403, "", "origin");
    serve(
        |_| {},
        async |server| {
            for bad in [
                "",
                "Host:\r\n",
                "Host: a b\r\n",
                "Host: user@localhost\r\n",
                "Host: localhost\r\nHost: localhost\r\n",
            ] {
                check(&server, format!("GET / HTTP/1.1\r\n{bad}\r\n"), BAD).await;
                let upgrade = HANDSHAKE.replace("Host: localhost\r\n", bad);
                check(&server, format!("GET / HTTP/1.1\r\n{upgrade}\r\n"), BAD).await;
            }
            check(&server, "GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n", HOST).await;
            check(&server, handshake("/").replace("localhost", "localhost.evil.com"), HOST).await;
            check(&server, handshake("http://evil.example/"), HOST).await;
            for origin in
                ["https://evil.example", "http://localhost.evil.com", "http://localhost@evil.com"]
            {
                check(
                    &server,
                    handshake("/").replace("Upgrade:", &format!("Origin: {origin}\r\nUpgrade:")),
                    ORIGIN,
                )
                .await;
            }
            let two = "Origin: null\r\nOrigin: null\r\nUpgrade:";
            check(&server, handshake("/").replace("Upgrade:", two), ORIGIN).await;
        },
    );
}

#[test]
fn paths_and_methods() {
    const NOT_FOUND: (u16, &str, &str) = (404, "", "not_found");
    const GET: (u16, &str, &str) = (405, "allow: GET", "method_not_allowed");
    const GET_HEAD: (u16, &str, &str) = (405, "allow: GET, HEAD", "method_not_allowed");
    const PLAIN: (u16, &str, &str) = (426, "upgrade: websocket", "upgrade_required");
    serve(
        |_| {},
        async |server| {
            for path in ["/nowhere", "/relay/", "/relay/a/b", "/page.js", "/metrics"] {
                check(&server, handshake(path), NOT_FOUND).await;
            }
            check(&server, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", NOT_FOUND).await;
            check(&server, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", NOT_FOUND).await;
            check(&server, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", NOT_FOUND)
                .await;
            for path in
                ["/relay/%zz", "/relay/%2e%2e", "/relay/%ff", "/relay/%0a", "/relay/e%CC%81"]
            {
                check(&server, handshake(path), BAD).await;
            }
            check(&server, handshake("/chat").replace("GET", "POST"), GET).await;
            check(&server, "DELETE /relay/a HTTP/1.1\r\nHost: localhost\r\n\r\n", GET).await;
            check(
                &server,
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
                GET_HEAD,
            )
            .await;
            check(&server, "GET /relay/a HTTP/1.1\r\nHost: localhost\r\n\r\n", PLAIN).await;
            check(&server, "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", PLAIN).await;
            server.quiet().await;
        },
    );
}

#[test]
fn handshakes_that_are_wrong() {
    serve(
        |_| {},
        async |server| {
            let swap = |from: &str, to: &str| {
                let request = handshake("/relay/a");
                assert!(request.contains(from), "{from}");
                request.replace(from, to)
            };
            for (from, to) in [
                ("HTTP/1.1", "HTTP/1.0"),
                ("Upgrade: websocket\r\n", ""),
                ("Upgrade: websocket", "Upgrade: h2c"),
                ("Upgrade: websocket", "Upgrade: websockets"),
                ("Connection: Upgrade\r\n", ""),
                ("Connection: Upgrade", "Connection: keep-alive"),
                ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
                ("dGhlIHNhbXBsZSBub25jZQ==", ""),
                ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
                ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWE="),
                ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
                ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25!ZQ=="),
                ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="),
                (
                    "Sec-WebSocket-Key:",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key:",
                ),
                ("Host:", "Content-Length: 3\r\nHost:"),
                ("Host:", "Transfer-Encoding: chunked\r\nHost:"),
            ] {
                check(&server, swap(from, to), BAD).await;
            }
            for (from, to) in [
                ("Sec-WebSocket-Version: 13\r\n", ""),
                ("Version: 13", "Version: 12"),
                ("Version: 13", "Version: 8, 13"),
                ("Version: 13", "Version: 013"),
                ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
            ] {
                check(&server, swap(from, to), VERSION).await;
            }
            server.quiet().await;
        },
    );
}

#[test]
fn bodies_are_refused_and_not_reset() {
    const TOO_LARGE: (u16, &str, &str) = (413, "", "too_large");
    serve(
        |_| {},
        async |server| {
            let body = "x".repeat(100_000);
            let length = format!("Content-Length: {}", body.len());
            let chunked = "GET /relay/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
            check(&server, chunked, TOO_LARGE).await;
            check(
                &server,
                format!("GET / HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n{body}"),
                TOO_LARGE,
            )
            .await;
            // No interim answer invites the body.
            let expecting = format!(
                "GET / HTTP/1.1\r\nHost: localhost\r\n{length}\r\nExpect: 100-continue\r\n\r\n"
            );
            check(&server, expecting, TOO_LARGE).await;
        },
    );
}

#[test]
fn who_is_refused_may_finish_speaking() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            client
                .send("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
                .await;
            assert!(client.answer().await.starts_with("HTTP/1.1 413 "));
            eventually(|| server.refused("too_large") == 1.0).await;
            // A socket that was closed at once would answer the first of these with a reset.
            for _ in 0..10 {
                client.send("x".repeat(10_000)).await;
                time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(client.rest().await, "");
        },
    );
}

#[test]
fn header_limits() {
    const TOO_LARGE: (u16, &str, &str) = (431, "", "header_too_large");
    serve(
        |options| (options.limits.header_bytes_max, options.limits.headers_max) = (1000, 10),
        async |server| {
            let sized = |bytes: usize| {
                let head = "GET /relay/a HTTP/1.1\r\nHost: localhost\r\nX: ";
                format!("{head}{}\r\n\r\n", "x".repeat(bytes - head.len() - 4))
            };
            check(&server, sized(1000), (426, "", "upgrade_required")).await;
            check(&server, sized(1001), TOO_LARGE).await;
            check(&server, sized(200_000), TOO_LARGE).await;
            check(
                &server,
                format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000)),
                TOO_LARGE,
            )
            .await;
            let many = |n: usize| {
                format!(
                    "GET /relay/a HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
                    "X: y\r\n".repeat(n - 1)
                )
            };
            check(&server, many(10), (426, "", "upgrade_required")).await;
            check(&server, many(11), TOO_LARGE).await;
            server.quiet().await;
        },
    );
}

#[test]
fn a_server_that_is_full_or_stopping() {
    serve(
        |options| options.connections_max = 0,
        async |server| {
            check(&server, handshake("/"), (503, "retry-after: 5", "connections_max")).await;
            let page = server
                .exchange("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await;
            assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
            server.readiness.set(Phase::Draining);
            check(&server, handshake("/"), (503, "retry-after: 5", "draining")).await;
            check(
                &server,
                "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                (503, "retry-after: 5", "draining"),
            )
            .await;
        },
    );
    serve(
        |options| options.mailbox = 0,
        async |server| {
            check(&server, handshake("/"), (503, "retry-after: 5", "shard_busy")).await;
            server.quiet().await;
        },
    );
}

#[test]
fn a_refusal_behind_a_page() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
            client.send("nonsense\r\n\r\n").await;
            let end = client.rest().await;
            assert!(end.starts_with("HTTP/1.1 400 ") && end.ends_with("valid HTTP/1.1\n"), "{end}");
            assert_eq!(server.refused("bad_request"), 1.0);
        },
    );
}

#[test]
fn who_closes_its_half_is_answered() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            client.0.shutdown().await.expect("the socket is open");
            assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
        },
    );
}
