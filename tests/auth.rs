//! Who may come in: tokens by every way that they may come, refusals that say why, and nothing of a token in any log.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::io::{Read, Write};
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::chat::ChatClient;
use support::client::{Client, frame};
use support::embedded::Embedded;
use support::server::Server;
use support::token::{SECRET, keys, now, signed, token};
use uproar::config::{Mode, TokenKey};
use uproar::{Config, Context, Handler, Message, Request};

const UPROAR: &str = env!("CARGO_BIN_EXE_uproar");

/// A server that takes tokens everywhere, and those who show none only if `open`.
fn server(open: bool) -> Server {
    let (name, keys) = keys();
    let modes = if open { "[\"token\", \"open\"]" } else { "[\"token\"]" };
    let settings = [
        (name, &*keys),
        ("UPROAR_AUTH__MODES", modes),
        ("UPROAR_AUTH__COOKIE", "session"),
        ("UPROAR_AUTH__QUERY_PARAMETER", "token"),
        ("UPROAR_TELEMETRY__LOG_LEVEL", "trace"),
    ];
    Server::start_with(&["--echo"], &settings)
}

/// A handshake's request with those fields beside the usual.
fn request(path: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// The answer's head, and the connection.
fn ask(server: &Server, path: &str, fields: &[&str]) -> (String, Client) {
    let mut client = Client::raw(server.address);
    client.write(request(path, fields).as_bytes());
    (client.read_head(), client)
}

/// The whole answer to a handshake that must be refused with that status.
#[track_caller]
fn refused(server: &Server, path: &str, fields: &[&str], status: u16) -> String {
    let mut stream = Client::raw(server.address).stream;
    stream.write_all(request(path, fields).as_bytes()).expect("the server takes bytes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a proper end");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {fields:?}: {answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    answer
}

/// A session that was let in.
#[track_caller]
fn enter(server: &Server, path: &str, fields: &[&str]) -> (String, Client) {
    let (head, client) = ask(server, path, fields);
    assert!(head.starts_with("HTTP/1.1 101 "), "{path} {fields:?}: {head}");
    (head, client)
}

fn everywhere(user: &str) -> String {
    token(user, &json!({ "rooms": { "*": ["join", "send"] } }))
}

#[test]
fn a_token_opens_by_each_of_its_ways() {
    let server = server(false);
    let token = everywhere("alice");
    let ways = [
        ("/relay/x".to_owned(), format!("Authorization: Bearer {token}")),
        ("/relay/x".to_owned(), format!("authorization: BEARER {token}")),
        ("/relay/x".to_owned(), format!("Cookie: theme=dark; session={token}")),
        ("/relay/x".to_owned(), format!("Sec-WebSocket-Protocol: uproar.token.{token}")),
        (format!("/relay/x?token={token}"), "X-None: 1".to_owned()),
        (format!("/?a=1&token={token}&b=2"), "X-None: 1".to_owned()),
        (format!("/echo?token={token}"), "X-None: 1".to_owned()),
        ("/chat".to_owned(), format!("Authorization: Bearer {token}")),
    ];
    for (path, field) in &ways {
        enter(&server, path, &[field]);
        let count = [r#"result="accepted""#];
        assert!(server.metric("uproar_tokens_total", &count) >= 1.0);
    }
    let accepted = server.metric("uproar_tokens_total", &[r#"result="accepted""#]);
    assert_eq!(accepted, ways.len() as f64);
    assert_eq!(server.metric("uproar_tokens_total", &[]), accepted);
}

#[test]
fn the_answer_names_a_subprotocol_but_never_the_token() {
    let server = server(false);
    let token = everywhere("alice");
    let offer = |path: &str, offered: &str| {
        let (head, _) = enter(&server, path, &[&format!("Sec-WebSocket-Protocol: {offered}")]);
        assert!(!head.contains(&token), "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        line.map(str::to_owned)
    };
    let hidden = format!("uproar.token.{token}");
    assert_eq!(offer("/relay/x", &hidden), None);
    let taken = offer("/relay/x", &format!("uproar.token, {hidden}"));
    assert_eq!(taken.as_deref(), Some("uproar.token"));
    let taken = offer("/chat", &format!("{hidden},uproar.token,uproar.chat.v1"));
    assert_eq!(taken.as_deref(), Some("uproar.chat.v1"));
}

#[test]
fn the_server_sets_no_cookie() {
    let server = server(true);
    let shown = format!("Cookie: session={}", everywhere("alice"));
    for fields in [&[][..], &[shown.as_str()]] {
        for path in ["/relay/x", "/chat"] {
            let (head, _) = enter(&server, path, fields);
            assert!(!head.contains("set-cookie"), "{head}");
        }
    }
    for path in ["/", "/uproar.js", "/relay.html", "/nowhere"] {
        let mut client = Client::raw(server.address);
        client.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let head = client.read_head();
        assert!(head.contains("content-length: ") && !head.contains("set-cookie"), "{head}");
    }
}

#[test]
fn without_a_token_nobody_comes_in_unless_the_server_is_open() {
    let closed = server(false);
    for path in ["/", "/relay/x", "/echo"] {
        let answer = refused(&closed, path, &[], 401);
        assert!(answer.contains("www-authenticate: Bearer realm=\"uproar\"\r\n"), "{answer}");
        assert!(answer.ends_with("this path needs a token\n"), "{answer}");
    }
    let no_token = [r#"reason="no_token""#];
    assert_eq!(closed.metric("uproar_connections_refused_total", &no_token), 3.0);
    let open = server(true);
    for path in ["/", "/relay/x", "/echo", "/chat"] {
        enter(&open, path, &[]);
    }
    // What is shown and wrong is not overlooked.
    refused(&open, "/relay/x?token=x", &[], 401);
    assert_eq!(open.metric("uproar_tokens_total", &[r#"result="malformed""#]), 1.0);
}

#[test]
fn a_wrong_token_is_refused_with_its_reason_and_counted() {
    let server = server(false);
    let claims = json!({ "sub": "alice", "exp": now() + 60 });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&claims, SECRET)
    };
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_owned();
    let cases = [
        ("malformed", "a.b.c".to_owned(), "no JWT"),
        ("algorithm", unsigned, "algorithm"),
        ("signature", signed(&claims, "the secret of somebody else, sure"), "signature is wrong"),
        ("expired", with("exp", json!(now() - 31)), "has expired"),
        ("not_yet_valid", with("nbf", json!(now() + 600)), "not valid yet"),
        ("audience", with("aud", json!("shop")), "aud"),
        ("claims", with("sub", json!("guest-x")), "sub"),
        ("grant", with("rooms", json!({ "*": ["fly"] })), "rooms"),
        ("too_long", "x".repeat(9000), "8192"),
    ];
    for (result, token, text) in &cases {
        let answer =
            refused(&server, "/relay/x", &[&format!("Authorization: Bearer {token}")], 401);
        let challenge = "www-authenticate: Bearer realm=\"uproar\", error=\"invalid_token\"\r\n";
        assert!(answer.contains(challenge) && answer.contains(text), "{result}: {answer}");
        let label = format!("result=\"{result}\"");
        assert_eq!(server.metric("uproar_tokens_total", &[&label]), 1.0, "{result}");
    }
    let bad = server.metric("uproar_connections_refused_total", &[r#"reason="bad_token""#]);
    assert_eq!(bad, cases.len() as f64);
    enter(&server, "/relay/x", &[&format!("Authorization: Bearer {}", everywhere("alice"))]);
}

#[test]
fn more_than_one_token_is_a_bad_request() {
    let server = server(true);
    let token = everywhere("alice");
    let bearer = format!("Authorization: Bearer {token}");
    let path = format!("/relay/x?token={token}");
    for fields in [
        vec![bearer.clone()],
        vec![format!("Cookie: session={token}")],
        vec![format!("Sec-WebSocket-Protocol: uproar.token.{token}")],
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let answer = refused(&server, &path, &fields, 400);
        assert!(answer.contains("error=\"invalid_request\""), "{answer}");
    }
    refused(&server, "/relay/x", &[&bearer, &bearer], 400);
    assert_eq!(server.metric("uproar_tokens_total", &[]), 0.0, "none of them was looked at");
}

#[test]
fn a_relay_room_needs_the_right_to_join_it() {
    let server = server(false);
    let may =
        |rooms: Value| format!("Authorization: Bearer {}", token("a", &json!({ "rooms": rooms })));
    let team = may(json!({ "team-*": ["join"], "lobby-of-others": ["join"], "x": ["send"] }));
    enter(&server, "/relay/team-a", &[&team]);
    enter(&server, "/relay/team-%C3%A9", &[&team]);
    for path in ["/relay/x", "/relay/other", "/relay/Team-a", "/"] {
        let answer = refused(&server, path, &[&team], 403);
        assert!(answer.contains("error=\"insufficient_scope\""), "{answer}");
    }
    enter(&server, "/", &[&may(json!({ "lobby": ["join"] }))]);
    refused(&server, "/relay/x", &[&may(json!({}))], 403);
    let reason = [r#"reason="room_forbidden""#];
    assert_eq!(server.metric("uproar_connections_refused_total", &reason), 5.0);
}

#[test]
fn a_chat_session_is_the_user_of_its_token() {
    let server = server(false);
    let token = token("alice", &json!({ "name": "Alice", "rooms": { "*": ["join"] } }));
    let (_, mut client) = enter(&server, "/chat", &[&format!("Authorization: Bearer {token}")]);
    client.write(&frame(0x81, br#"{"type":"hello"}"#));
    let welcome: Value = serde_json::from_str(client.next().text()).expect("JSON");
    assert_eq!(welcome["type"], "welcome");
    assert_eq!((&welcome["user"], &welcome["name"]), (&json!("alice"), &json!("Alice")));
    assert!(welcome.get("guest").is_none_or(Value::is_null), "{welcome}");
}

#[test]
fn the_first_message_of_a_chat_may_show_the_token_and_has_to_where_nobody_did() {
    let server = server(false);
    let hello = |client: &mut Client, token: Option<&str>| {
        let hello = json!({"type": "hello", "token": token, "ref": 1});
        client.send(&hello.to_string());
    };
    let wrong =
        signed(&json!({"sub": "alice", "exp": now() + 60}), "the secret of somebody else, sure");
    for (token, code) in [(None, "token_required"), (Some(&*wrong), "bad_token")] {
        let (_, mut client) = enter(&server, "/chat", &[]);
        hello(&mut client, token);
        let mut frames = client.rest();
        assert_eq!(frames.pop().expect("a Close").close_code(), 4401);
        let error: Value = serde_json::from_str(frames[0].text()).expect("JSON");
        assert_eq!((&error["code"], &error["ref"]), (&json!(code), &json!(1)));
    }
    let (_, client) = enter(&server, "/chat", &[]);
    let short = json!({"sub": "alice", "exp": now() - 26, "rooms": {"a": ["join"]}});
    let short = json!({"type": "hello", "token": signed(&short, SECRET)});
    let mut alice = ChatClient::hello(client, &short);
    assert_eq!(alice.user(), "alice");
    assert_eq!(alice.await_type("error")["code"], "token_expired");
    let refresh = |token: String| json!({"type": "refresh", "token": token, "ref": 2});
    alice.send(&refresh(everywhere("bob")));
    assert_eq!(alice.await_type("error")["code"], "forbidden");
    let end = now() + 2 - 30;
    let claims = json!({"sub": "alice", "exp": end, "rooms": {"*": ["join"]}});
    alice.send(&refresh(signed(&claims, SECRET)));
    assert_eq!(alice.await_type("refreshed")["expires"], (end + 30) * 1000);
    alice.join("b");
    assert_eq!(alice.client.rest().pop().expect("a Close").close_code(), 4401);
    let closed = [r#"reason="unauthenticated""#];
    server.wait_for_metric("uproar_sessions_closed_total", &closed, |count| count == 3.0);
}

#[test]
fn nothing_of_a_token_is_in_a_log_or_a_metric() {
    let mut server = server(false);
    let token = everywhere("alice");
    let wrong = format!("{}x", &token[..token.len() - 2]);
    for token in [&token, &wrong] {
        for (path, field) in [
            ("/relay/x".to_owned(), format!("Authorization: Bearer {token}")),
            ("/relay/x".to_owned(), format!("Cookie: session={token}")),
            ("/relay/x".to_owned(), format!("Sec-WebSocket-Protocol: uproar.token.{token}")),
            (format!("/relay/x?token={token}"), "X-None: 1".to_owned()),
            (format!("/nowhere?token={token}"), "X-None: 1".to_owned()),
            (format!("/relay/x?token={token}"), format!("Authorization: Bearer {token}")),
        ] {
            ask(&server, &path, &[&field]);
        }
    }
    let parts: Vec<&str> = token.split('.').chain(wrong.split('.')).collect();
    let (_, page) = server.admin("/metrics");
    assert!(parts.iter().all(|part| !page.contains(part)), "{page}");
    server.signal("TERM");
    server.wait();
    let mut lines = 0;
    let mut last = false;
    while !last {
        let line = server.log_line(|_| true).to_string();
        assert!(parts.iter().all(|part| !line.contains(part)), "{line}");
        assert!(!line.contains(SECRET), "{line}");
        last = line.contains("stopped");
        lines += 1;
    }
    assert!(lines > 12, "each of them left a line");
}

/// Says what it is told of who has come.
struct Curious;

impl Handler for Curious {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let user = request.access.as_ref().map_or("nobody", |access| &access.identity.user);
        let fields: Vec<_> =
            request.headers.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        session.send(format!("{user} {} {}", request.uri, fields.join(" ")).as_str());
    }

    fn message(&self, _: &mut Context<'_>, _: Message<'_>) {}
}

#[test]
fn an_embedded_handler_is_told_who_it_is_and_never_the_token() {
    let takes_tokens = |config: &mut Config| {
        config.auth.modes = vec![Mode::Token];
        config.auth.query_parameter = "token".into();
        let secret = Some(SECRET.into());
        config.auth.keys = vec![TokenKey { secret, ..TokenKey::default() }];
    };
    let server = Embedded::start_with(takes_tokens, |builder| {
        builder.route("/curious", Curious).bind().expect("it starts")
    });
    let token = everywhere("alice");
    for (path, field) in [
        ("/curious?a=1".to_owned(), format!("Authorization: Bearer {token}")),
        (format!("/curious?a=1&token={token}"), "X-None: 1".to_owned()),
    ] {
        let mut client = Client::raw(server.address);
        client.write(request(&path, &[&field]).as_bytes());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        let told = client.next();
        assert!(told.text().starts_with("alice /curious?a=1 "), "{}", told.text());
        assert!(!told.text().contains(&token), "{}", told.text());
    }
}

/// Runs `uproar token` with those arguments, alone in the world.
fn run(arguments: &[&str]) -> Output {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let mut command = Command::new(UPROAR);
    command.env_clear().current_dir(directory).arg("token").args(arguments);
    command.output().expect("the binary runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.strip_suffix('\n').expect("a line");
    assert!(!line.contains(char::is_whitespace), "{text:?}");
    line.to_owned()
}

#[test]
fn a_token_of_the_command_line_opens() {
    let secret = printed(&["--new-secret"]);
    assert_ne!(secret, printed(&["--new-secret"]));
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("secret"), format!("{secret}\n")).expect("a file");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[auth]\nmodes = [\"token\"]\n\
         audience = \"chat\"\n[[auth.keys]]\nid = \"one\"\nissuer = \"me\"\nsecret_file = \"{}\"\n",
        path("secret")
    );
    std::fs::write(path("uproar.toml"), text).expect("a file");
    let mut command = Command::new(UPROAR);
    command.args(["--config", &path("uproar.toml")]);
    let server = Server::spawn(command);
    let config = path("uproar.toml");
    let token = printed(&[
        "--config",
        &config,
        "--user",
        "alice",
        "--name",
        "Alice",
        "--room",
        "team-*:join,send",
        "--room",
        "lobby:join",
        "--direct",
        "--ttl",
        "1h",
    ]);
    enter(&server, "/relay/team-a", &[&format!("Authorization: Bearer {token}")]);
    enter(&server, "/", &[&format!("Authorization: Bearer {token}")]);
    refused(&server, "/relay/x", &[&format!("Authorization: Bearer {token}")], 403);
    // Without the configuration the token says neither who it is from nor who it is for.
    let bare = printed(&["--secret-file", &path("secret"), "--user", "alice"]);
    let answer = refused(&server, "/", &[&format!("Authorization: Bearer {bare}")], 401);
    assert!(answer.contains("aud"), "{answer}");
}

#[test]
fn what_a_server_would_not_take_is_not_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("secret"), SECRET).expect("a file");
    std::fs::write(path("short"), "short\n").expect("a file");
    std::fs::write(path("none.toml"), "").expect("a file");
    let secret = path("secret");
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty());
    };
    let with = |more: &[&'static str]| {
        let fixed = ["--secret-file", &secret].map(str::to_owned);
        fixed.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
    };
    let refused = |more: &[&'static str], code: i32, expected: &str| {
        let words = with(more);
        check(&words.iter().map(String::as_str).collect::<Vec<_>>(), code, expected);
    };
    refused(&["--user", "guest-x"], 1, "sub");
    refused(&["--user", ""], 1, "sub");
    refused(&["--user", "a", "--name", " "], 1, "name");
    refused(&["--user", "a", "--room", "x:fly"], 1, "rooms");
    refused(&["--user", "a", "--ttl", "0s"], 1, "expired");
    refused(&["--user", "a", "--room", "x"], 2, "team-*:join,send");
    refused(&["--user", "a", "--ttl", "soon"], 2, "--ttl");
    refused(&[], 2, "--user");
    check(&["--user", "a", "--secret-file", &path("short")], 1, "at least 32");
    check(&["--user", "a", "--secret-file", &path("missing")], 1, "missing: cannot be read");
    check(&["--user", "a", "--config", &path("none.toml")], 1, "--secret-file names one");
}

#[test]
fn an_open_server_does_not_look_at_tokens() {
    let server = Server::start(&[]);
    ChatClient::connect(server.address, "Ann");
    enter(&server, "/relay/x?token=a.b.c", &["Authorization: Bearer a.b.c"]);
    assert_eq!(server.metric("uproar_tokens_total", &[]), 0.0);
}
