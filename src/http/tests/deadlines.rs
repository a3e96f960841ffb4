//! Peers that take their time, go away or take up room.

use super::*;

/// Long enough to do something before it passes, short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

#[test]
fn a_silent_connection_is_closed() {
    serve(
        |options| options.limits.handshake_timeout = SHORT,
        async |server| {
            let mut client = server.connect().await;
            assert_eq!(client.rest().await, "");
            assert_eq!(server.refused("silent"), 1.0);
            server.quiet().await;
        },
    );
}

#[test]
fn a_dripped_request_is_not_waited_for() {
    serve(
        |options| options.limits.handshake_timeout = SHORT,
        async |server| {
            let (mut reader, mut writer) = server.connect().await.0.into_split();
            let drip = tokio::spawn(async move {
                while writer.write_all(b"G").await.is_ok() {
                    time::sleep(Duration::from_millis(10)).await;
                }
            });
            let mut answer = String::new();
            reader.read_to_string(&mut answer).await.expect("a proper end");
            assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
            assert_eq!(header(&answer, "connection"), Some("close"));
            assert!(answer.ends_with("\r\n\r\nthe request took too long\n"), "{answer}");
            assert_eq!(server.refused("timeout"), 1.0);
            drop(reader);
            drip.await.expect("it ends");
            server.quiet().await;
        },
    );
}

#[test]
fn an_idle_visitor_of_pages_is_closed_without_a_word() {
    serve(
        |options| options.limits.handshake_timeout = SHORT,
        async |server| {
            let mut client = server.connect().await;
            client.send("GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
            assert_eq!(client.rest().await, "");
            server.quiet().await;
            assert_eq!(server.refused("timeout"), 0.0);
        },
    );
}

#[test]
fn a_visitor_who_never_reads_is_closed() {
    serve(
        |options| options.limits.handshake_timeout = SHORT,
        async |server| {
            let mut client = server.connect().await;
            let requests = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
            // More answers than the kernel buffers, so that the server cannot write any more and stops reading.
            let writing = async { while client.0.write_all(requests.as_bytes()).await.is_ok() {} };
            let _ = time::timeout(SHORT * 2, writing).await;
            eventually(|| server.refused("timeout") == 1.0).await;
            server.quiet().await;
        },
    );
}

#[test]
fn who_goes_away_is_counted() {
    serve(
        |_| {},
        async |server| {
            drop(server.connect().await);
            eventually(|| server.refused("lost") == 1.0).await;
            let mut client = server.connect().await;
            client.send("GET / HT").await;
            drop(client);
            eventually(|| server.refused("lost") == 2.0).await;
            server.quiet().await;
        },
    );
}

#[test]
fn the_oldest_silent_connection_makes_room() {
    serve(
        |options| options.limits.pending_handshakes_max = 3,
        async |server| {
            assert!(!server.door.is_full());
            let mut speaking = server.connect().await;
            speaking.send("GET / HT").await;
            let mut oldest = server.connect().await;
            eventually(|| server.door.pending() == 2).await;

            // Not full yet: nobody has to go, now or later.
            server.door.evict();
            let younger = server.connect().await;
            eventually(|| server.door.is_full()).await;
            time::sleep(Duration::from_millis(20)).await;
            assert_eq!(server.refused("evicted"), 0.0);

            server.door.evict();
            assert_eq!(oldest.rest().await, "");
            eventually(|| !server.door.is_full()).await;
            assert_eq!(server.room_calls.load(Ordering::Relaxed), 1);
            assert_eq!(server.refused("evicted"), 1.0);
            assert!(younger.hears_nothing());
            speaking.send("TP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
            assert!(speaking.rest().await.starts_with("HTTP/1.1 200 "));
        },
    );
}

#[test]
fn nobody_is_evicted_who_speaks() {
    serve(
        |options| options.limits.pending_handshakes_max = 1,
        async |server| {
            let mut speaking = server.connect().await;
            speaking.send("GET / HT").await;
            eventually(|| server.door.is_full()).await;
            time::sleep(Duration::from_millis(20)).await;
            server.door.evict();
            speaking.send("TP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
            assert!(speaking.rest().await.starts_with("HTTP/1.1 200 "));
            drop(speaking);
            server.quiet().await;
            assert_eq!(server.refused("evicted"), 0.0);
        },
    );
}

#[test]
fn a_silent_connection_costs_little() {
    serve(
        |_| {},
        async |server| {
            let client = server.connect().await;
            let peer = client.0.local_addr().expect("an address");
            let stream = client.0.into_std().expect("a socket");
            let bytes = size_of_val(&server.door.visit(stream, peer));
            assert!(bytes <= 768, "{bytes} bytes before the first byte came");
        },
    );
}
