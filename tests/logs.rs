//! What the log says, and what it never says.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use serde_json::Value;
use support::client::{Client, frame};
use support::server::Server;

/// Stops the server and gives everything that it logged after its start.
fn log(mut server: Server) -> Vec<Value> {
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let mut lines = Vec::new();
    server.log_line(|line| {
        lines.push(line.clone());
        line["message"] == "stopped"
    });
    lines
}

fn with<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

#[test]
fn the_start_says_what_is_in_force() {
    let settings = [("UPROAR_LIMITS__OUTBOX_BYTES_MAX", "123456")];
    let server = Server::start_with(&["--shards", "3"], &settings);
    let [start] = &server.start[..] else { panic!("{:?}", server.start) };
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(start["listen"], server.address.to_string());
    assert_eq!(start["admin_listen"], server.admin.to_string());
    assert_eq!((&start["shards"], &start["outbox_bytes_max"]), (&3.into(), &123_456.into()));
    let limits =
        ["connections_max", "message_bytes_max", "pending_handshakes_max", "heartbeat_secs"];
    for limit in limits {
        assert!(start[limit].as_u64().is_some_and(|value| value > 0), "{limit}: {start}");
    }
}

#[test]
fn an_open_address_is_warned_of() {
    let open = [("UPROAR_AUTH__OPEN_TO_NETWORK", "true")];
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let server = Server::start_with(&["--listen", listen], &open);
        let [warning, _] = &server.start[..] else { panic!("{:?}", server.start) };
        assert_eq!(warning["level"], "WARN");
        let text = warning["message"].as_str().expect("a message");
        assert!(text.contains("auth.open_to_network = true") && text.contains(listen), "{text}");
    }
}

#[test]
fn a_session_is_logged_from_its_begin_to_its_end() {
    let server = Server::start(&["--log-level", "debug", "--shards", "1"]);
    let mut client = Client::connect(server.address, "/relay/a?token=secret");
    let peer = client.stream.local_addr().expect("an address").to_string();
    client.send("one");
    client.send("two");
    client.write(&[0xff, 0x80]);
    assert_eq!(client.next().close_code(), 1002);
    drop(client);
    server.wait_for_metric("uproar_sessions_closed_total", &[], |closed| closed == 1.0);
    let lines = log(server);
    let [opened] = with(&lines, "session opened")[..] else { panic!("{lines:?}") };
    let [closed] = with(&lines, "session closed")[..] else { panic!("{lines:?}") };
    assert_eq!((&opened["level"], &closed["level"]), (&"DEBUG".into(), &"DEBUG".into()));
    assert_eq!((&opened["peer"], &opened["path"]), (&peer.as_str().into(), &"/relay/a".into()));
    assert_eq!((&closed["peer"], &closed["session"]), (&peer.as_str().into(), &opened["session"]));
    assert_eq!((&closed["reason"], &closed["messages"]), (&"protocol".into(), &2.into()));
    assert!(closed["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{closed}");
    assert!(closed["open_secs"].is_f64() && closed["unsent_bytes"].is_u64(), "{closed}");
}

#[test]
fn who_comes_from_which_page_is_logged() {
    let (name, keys) = support::token::keys();
    let settings = [(name, &*keys), ("UPROAR_AUTH__MODES", "[\"token\"]")];
    let server = Server::start_with(&["--log-level", "debug", "--shards", "1"], &settings);
    let everywhere = serde_json::json!({"rooms": {"*": ["join", "send"]}});
    let token = support::token::token("alice", &everywhere);
    let enter = |path: &str, origin: &str, status: &str| {
        let mut client = Client::raw(server.address);
        let fields = format!("Origin: {origin}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let request = support::client::request(path);
        client.write(request.replacen("\r\n\r\n", &format!("\r\n{fields}"), 1).as_bytes());
        assert!(client.read_head().starts_with(&format!("HTTP/1.1 {status} ")), "{path} {origin}");
        client
    };
    let chat = enter("/chat", "http://localhost", "101");
    let hello = serde_json::json!({"type": "hello"});
    drop(support::chat::ChatClient::hello(chat, &hello));
    drop(enter("/relay/a", "http://localhost", "101"));
    drop(enter("/relay/a", "http://localhost.example", "403"));
    let long = format!("http://{}", "a".repeat(1000));
    drop(enter("/relay/a", &long, "403"));
    server.wait_for_metric("uproar_sessions_closed_total", &[], |closed| closed == 2.0);
    let lines = log(server);
    let (opened, closed) = (with(&lines, "session opened"), with(&lines, "session closed"));
    assert_eq!((opened.len(), closed.len()), (2, 2), "{lines:?}");
    for line in &opened {
        let told = (&line["user"], &line["origin"]);
        assert_eq!(told, (&"alice".into(), &"http://localhost".into()));
    }
    assert!(closed.iter().all(|line| line["user"] == "alice"), "{closed:?}");
    let refused: Vec<_> = lines.iter().filter(|line| line["reason"] == "origin").collect();
    let [first, second] = refused[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&first["origin"], &second["origin"]),
        (&"http://localhost.example".into(), &Value::Null)
    );
    let text = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(&token));
}

#[test]
fn failures_are_logged_with_their_cause() {
    let server = Server::start(&["--log-level", "debug", "--shards", "1"]);
    let client = Client::connect(server.address, "/");
    let socket = socket2::SockRef::from(&client.stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).expect("closing can be made a reset");
    drop(client);
    server.wait_for_metric("uproar_sessions_closed_total", &[], |closed| closed == 1.0);
    let lines = log(server);
    let [failed] = with(&lines, "socket failed")[..] else { panic!("{lines:?}") };
    let error = failed["error"].as_str().expect("a cause");
    assert!(error.contains("Connection reset by peer"), "{error}");
    let [closed] = with(&lines, "session closed")[..] else { panic!("{lines:?}") };
    assert!(closed["peer"].is_string(), "{closed}");
    assert_eq!(closed["reason"], "lost");
}

#[test]
fn there_is_no_line_per_message_and_never_a_payload() {
    const SECRET: &str = "correct horse battery staple";
    let server = Server::start(&["--log-level", "trace", "--echo", "--shards", "2"]);
    let mut listener = Client::connect(server.address, "/");
    let mut client = Client::connect(server.address, &format!("/?{}", SECRET.replace(' ', "%20")));
    let mut echo = Client::connect(server.address, "/echo");
    for _ in 0..1000 {
        client.send(SECRET);
        listener.next();
    }
    // Whatever becomes of it: whole, in pieces, as a ping, a pong, a reason to close, or where none is allowed.
    echo.send(SECRET);
    echo.write(&frame(0x01, SECRET.as_bytes()));
    echo.write(&frame(0x80, SECRET.as_bytes()));
    echo.write(&frame(0x89, SECRET.as_bytes()));
    echo.write(&frame(0x8a, SECRET.as_bytes()));
    (0..3).for_each(|_| drop(echo.next()));
    let mut reason = 1000_u16.to_be_bytes().to_vec();
    reason.extend_from_slice(SECRET.as_bytes());
    echo.write(&frame(0x88, &reason));
    client.write(&frame(0xf1, SECRET.as_bytes()));
    let mut invalid = SECRET.as_bytes().to_vec();
    invalid.push(0xff);
    listener.write(&frame(0x81, &invalid));
    server.wait_for_metric("uproar_sessions_closed_total", &[], |closed| closed == 3.0);
    drop((listener, client, echo));
    let lines = log(server);
    assert!(lines.len() < 100, "{} lines", lines.len());
    let text = lines.iter().map(Value::to_string).collect::<String>().replace("%20", " ");
    for word in SECRET.split(' ') {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
