//! Handshakes that succeed, and what the shard is given.

use tokio::task;

use super::*;

async fn check(server: &Server, request: &str, route: usize, room: Option<&str>) {
    let mut client = server.connect().await;
    client.send(request).await;
    let adopt = server.adoption().await;
    assert_eq!((adopt.route, adopt.request.room.as_deref()), (route, room), "{request}");
    assert_eq!(adopt.request.address, client.0.local_addr().expect("an address"));
    let response = String::from_utf8(adopt.response).expect("ASCII");
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{response}");
    assert!(
        response.ends_with("\r\n\r\n") && response.matches("\r\n\r\n").count() == 1,
        "{response}"
    );
    assert_eq!(header(&response, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(client.hears_nothing(), "{request}");
}

#[test]
fn variants_that_are_right() {
    serve(
        |_| {},
        async |server| {
            let plain = format!("GET /relay/a HTTP/1.1\r\n{HANDSHAKE}\r\n");
            check(&server, &plain, 1, Some("a")).await;
            check(&server, &format!("\r\n{plain}"), 1, Some("a")).await;
            check(&server, &plain.replace("/relay/a", "/?token=x"), 0, None).await;
            check(
                &server,
                &plain.replace("/relay/a", "/relay/caf%C3%A9%2F?x"),
                1,
                Some("caf\u{e9}/"),
            )
            .await;
            check(&server, &plain.replace("/relay/a", "http://127.0.0.1:80/chat"), 2, None).await;
            for (from, to) in [
                ("Upgrade: websocket", "UPGRADE:WebSocket"),
                ("Upgrade: websocket", "Upgrade: h2c, foo/1 ,\twebsocket"),
                ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
                ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
                ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: UPGRADE"),
                ("Connection: Upgrade", "Connection: ,upgrade,"),
                ("Host: localhost", "Host: [::1]:8080"),
                ("Host: localhost", "Origin: null\r\nHost: app.localhost:1"),
                (
                    "Host: localhost",
                    "Content-Length: 0\r\nOrigin: http://localhost:3000\r\nHost: 127.0.0.1",
                ),
                (
                    "Host: localhost",
                    "Sec-WebSocket-Extensions: permessage-deflate\r\nHost: localhost",
                ),
            ] {
                assert!(plain.contains(from), "{from}");
                check(&server, &plain.replace(from, to), 1, Some("a")).await;
            }
            server.quiet().await;
            assert_eq!(server.metric("uproar_handshake_duration_seconds_count"), 15.0);
        },
    );
}

#[test]
fn an_open_network_server_asks_no_origin() {
    serve(
        |options| options.origin_rule = OriginRule::Any,
        async |server| {
            let foreign =
                HANDSHAKE.replace("localhost", "chat.example\r\nOrigin: https://evil.example");
            check(&server, &format!("GET / HTTP/1.1\r\n{foreign}\r\n"), 0, None).await;
        },
    );
}

#[test]
fn subprotocols() {
    serve(
        |_| {},
        async |server| {
            for (path, offer, expected) in [
                (
                    "/chat",
                    "Sec-WebSocket-Protocol: mqtt, uproar.chat.v1\r\n",
                    Some("uproar.chat.v1"),
                ),
                (
                    "/chat",
                    "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: uproar.chat.v1\r\n",
                    Some("uproar.chat.v1"),
                ),
                ("/chat", "Sec-WebSocket-Protocol: mqtt\r\n", None),
                ("/chat", "", None),
                ("/", "Sec-WebSocket-Protocol: uproar.chat.v1\r\n", None),
            ] {
                let mut client = server.connect().await;
                client.send(format!("GET {path} HTTP/1.1\r\n{offer}{HANDSHAKE}\r\n")).await;
                let response = String::from_utf8(server.adoption().await.response).expect("ASCII");
                assert_eq!(header(&response, "sec-websocket-protocol"), expected, "{path} {offer}");
            }
        },
    );
}

#[test]
fn the_answer_waits_for_the_shard() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            client.send(format!("GET / HTTP/1.1\r\n{HANDSHAKE}\r\n")).await;
            let adopt = server.adoption().await;
            assert!(adopt.leftover.is_empty());
            let mut stream = TcpStream::from_std(adopt.stream).expect("a non-blocking socket");
            stream.write_all(b"<").await.expect("the peer reads");
            stream.write_all(&adopt.response).await.expect("the peer reads");
            drop(stream);
            let heard = client.rest().await;
            assert!(heard.starts_with("<HTTP/1.1 101 ") && heard.ends_with("\r\n\r\n"), "{heard}");
        },
    );
}

#[test]
fn bytes_behind_the_request_come_along() {
    serve(
        |_| {},
        async |server| {
            for size in [1, 100, 5000] {
                let mut client = server.connect().await;
                let behind: Vec<u8> = (0..size).map(|i| i as u8).collect();
                let mut request = format!("GET / HTTP/1.1\r\n{HANDSHAKE}\r\n").into_bytes();
                request.extend_from_slice(&behind);
                client.send(request).await;
                let adopt = server.adoption().await;
                // What hyper had not read yet is still in the socket, in order.
                let mut heard = adopt.leftover.to_vec();
                let mut stream = TcpStream::from_std(adopt.stream).expect("a non-blocking socket");
                assert!(!heard.is_empty());
                while heard.len() < behind.len() {
                    stream.read_buf(&mut heard).await.expect("the rest");
                }
                assert_eq!(heard, behind);
            }
        },
    );
}

#[test]
fn a_request_may_come_in_pieces() {
    serve(
        |_| {},
        async |server| {
            let request = format!("GET /relay/caf%C3%A9 HTTP/1.1\r\n{HANDSHAKE}\r\nbehind");
            for cut in 1..request.len() {
                let mut client = server.connect().await;
                let (first, second) = request.split_at(cut);
                client.send(first).await;
                // The server runs on this very thread: let it read the first piece before there is a second.
                for _ in 0..8 {
                    task::yield_now().await;
                }
                client.send(second).await;
                let adopt = server.adoption().await;
                assert_eq!(adopt.request.room.as_deref(), Some("caf\u{e9}"), "cut at {cut}");
                let mut heard = adopt.leftover.to_vec();
                let mut stream = TcpStream::from_std(adopt.stream).expect("a non-blocking socket");
                while heard.len() < 6 {
                    stream.read_buf(&mut heard).await.expect("the rest");
                }
                assert_eq!(heard, b"behind", "cut at {cut}");
                server.connections.release();
            }
        },
    );
}

#[test]
fn a_page_first_and_then_a_session() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
            client.send(format!("GET /chat HTTP/1.1\r\n{HANDSHAKE}\r\nleft over")).await;
            let adopt = server.adoption().await;
            assert_eq!((adopt.route, &adopt.leftover[..]), (2, &b"left over"[..]));
            assert!(adopt.response.starts_with(b"HTTP/1.1 101 "));
            assert!(client.hears_nothing());

            // Both in one go: the page goes out, the 101 does not.
            let mut client = server.connect().await;
            client
                .send(format!(
                    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n{HANDSHAKE}\r\n"
                ))
                .await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
            let adopt = server.adoption().await;
            assert!(adopt.response.starts_with(b"HTTP/1.1 101 "));
            assert!(client.hears_nothing());
        },
    );
}

#[test]
fn connections_are_counted_until_their_sessions_end() {
    serve(
        |options| (options.connections_max, options.mailbox) = (2, 1),
        async |server| {
            let request = format!("GET / HTTP/1.1\r\n{HANDSHAKE}\r\n");
            let mut first = server.connect().await;
            first.send(&request).await;
            eventually(|| server.adopted.len() == 1).await;
            assert_eq!(server.connections.count(), 1);

            assert!(server.exchange(&request).await.contains("the server is busy"));
            assert_eq!(server.connections.count(), 1);

            let adopt = server.adoption().await;
            let mut second = server.connect().await;
            second.send(&request).await;
            eventually(|| server.adopted.len() == 1).await;
            assert!(server.exchange(&request).await.contains("the server is full"));
            assert_eq!(server.connections.count(), 2);

            drop(adopt);
            server.connections.release();
            server.connections.release();
            assert_eq!(server.connections.count(), 0);
        },
    );
}
