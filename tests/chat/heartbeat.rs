//! Who is given up: a session that answers nothing, or that never says who it is. Each is told why, and then closed.

use serde_json::{Value, json};

use crate::support::chat::ChatClient;
use crate::support::client::{Client, Frame, frame};
use crate::support::server::{Server, metric};
use crate::support::wait_for;

/// The last things that a session hears: what comes before `bye`, the `bye`, and the code of the Close.
fn end(client: &mut Client) -> (Vec<Frame>, Value, u16) {
    let mut frames = client.rest();
    let code = frames.pop().expect("a Close").close_code();
    let bye = frames.pop().expect("a bye");
    (frames, serde_json::from_str(bye.text()).expect("JSON"), code)
}

fn server() -> Server {
    let settings =
        [("UPROAR_LIMITS__HEARTBEAT_SECS", "1"), ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "3")];
    Server::start_with(&["--shards", "1"], &settings)
}

#[test]
fn who_answers_nothing_is_told_and_closed() {
    let server = server();
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("a");
    let mut bob = ChatClient::connect(server.address, "Bob");
    bob.join("a");
    let (before, bye, code) = end(&mut ann.client);
    let pings = before.iter().filter(|frame| frame.opcode() == 9).count();
    let texts =
        before.iter().filter(|frame| frame.head == 0x81 && frame.text() == r#"{"type":"ping"}"#);
    assert!(pings > 0 && texts.count() > 0, "it was asked in both ways: {before:?}");
    assert_eq!((&bye["type"], &bye["code"], code), (&json!("bye"), &json!(4408), 4408));
    assert_eq!(bye["reconnect"], true);
    let label = "reason=\"heartbeat_timeout\"";
    server.wait_for_metric("uproar_sessions_closed_total", &[label], |ends| ends >= 1.0);
}

/// So much is asked for that the session is not listened to for the while, and none of it is read.
#[test]
fn who_asks_and_never_reads_is_given_up() {
    let server = server();
    let mut ann = ChatClient::connect(server.address, "Ann");
    ann.join("a");
    for _ in 0..50 {
        ann.say("a", &json!("x".repeat(4000)));
    }
    for _ in 0..50 {
        ann.await_type("ack");
    }
    let mut bob = ChatClient::hello(
        Client::connect_narrow(server.address, "/chat"),
        &json!({"type": "hello"}),
    );
    bob.join("a");
    for _ in 0..200 {
        bob.send(&json!({"type": "history", "room": "a", "limit": 50}));
    }
    let label = "reason=\"heartbeat_timeout\"";
    wait_for("he is given up", || {
        // She goes on talking, so that it is not her.
        ann.drain();
        (metric(server.admin, "uproar_sessions_closed_total", &[label]) >= 1.0).then_some(())
    });
    ann.say("a", &json!("still here"));
    ann.await_type("ack");
}

#[test]
fn who_answers_either_ping_stays() {
    let server = server();
    for answers_frames in [true, false] {
        let mut ann = ChatClient::connect(server.address, "Ann");
        let mut answered = 0;
        // A second apart each, so that many take longer than the timeout.
        while answered < 5 {
            let heard = ann.client.next();
            assert_ne!(heard.opcode(), 8, "{heard:?}");
            if answers_frames && heard.opcode() == 9 {
                ann.client.write(&frame(0x8a, &heard.payload));
                answered += 1;
            } else if !answers_frames && heard.opcode() == 1 {
                assert_eq!(heard.text(), r#"{"type":"ping"}"#);
                ann.client.send(r#"{"type":"pong"}"#);
                answered += 1;
            }
        }
        assert!(ann.drain().is_empty());
    }
}

#[test]
fn who_does_not_say_hello_in_time_is_closed() {
    let settings = [("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1")];
    let server = Server::start_with(&["--shards", "1"], &settings);
    let mut silent = Client::connect(server.address, "/chat");
    // It says something, but not that.
    silent.send(r#"{"type":"ping"}"#);
    let mut ann = ChatClient::connect(server.address, "Ann");
    let (before, bye, code) = end(&mut silent);
    assert_eq!(before.iter().map(Frame::text).collect::<Vec<_>>(), [r#"{"type":"pong"}"#]);
    assert_eq!((&bye["code"], &bye["reconnect"], code), (&json!(4401), &json!(false), 4401));
    assert!(ann.drain().is_empty(), "who said it stays");
}
