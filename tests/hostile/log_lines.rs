//! Peers that write into the server's log: no control character of theirs reaches a line, and no line is theirs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::handshakes::{exchange, with_fields};
use crate::support::PATIENCE;
use crate::support::chat::ChatClient;
use crate::support::client::{Client, frame, request};
use crate::support::data_dir::DataDir;
use crate::support::server::binary;

/// What would be an entry of its own, if it were one.
const FORGED: &str = "FORGED";

/// Everything by which a peer can get a word of its own to the server.
fn attack(address: SocketAddr) {
    for path in [
        "/relay/%0aFORGED",
        "/relay/%0d%0aFORGED",
        "/relay/%1b[2J%1b[31mFORGED",
        "/nowhere%0aFORGED",
        "/nowhere\u{9b}31mFORGED",
        "/nowhere\u{202e}FORGED",
        "/relay/\u{7f}FORGED",
        "/nowhere%E2%80%A8FORGED",
    ] {
        exchange(address, request(path).as_bytes());
        exchange(address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }
    for fields in [
        "X: \x1b[2JFORGED\r\n",
        "Origin: http://localhost\x1b[2JFORGED\r\n",
        "Origin: http://evil.example\u{85}FORGED\r\n",
        "User-Agent: \u{9b}2JFORGED\r\n",
        "Sec-WebSocket-Protocol: \x07FORGED\r\n",
        "X: a\rFORGED: b\r\n",
        "X: a\nFORGED\r\n",
        "Cookie: a=\0FORGED\r\n",
    ] {
        exchange(address, with_fields("/nowhere", fields).as_bytes());
    }
    exchange(address, b"GET /\nFORGED HTTP/1.1\r\nHost: localhost\r\n\r\n");
    exchange(address, b"\x1b[2J\nFORGED\r\n\r\n");
    // A session whose path is said in a line of its own.
    for path in [
        "/relay/a?\u{9b}31mFORGED",
        "/relay/%F0%9F%98%80%20FORGED",
        "/relay/a%22%2C%22level%22%3A%22FORGED",
    ] {
        let mut client = Client::raw(address);
        client.write(request(path).as_bytes());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "), "{path}");
        client.write(&frame(0x88, b"\x03\xe8\x1b[2J\nFORGED"));
        client.rest();
    }
    let mut client = ChatClient::connect(address, "Mallory");
    for text in [
        json!({"type": "join", "room": "\n\u{1b}[2JFORGED"}),
        json!({"type": "\n\u{1b}[2JFORGED"}),
        json!({"type": "hello", "name": "\n\u{1b}[2JFORGED"}),
    ] {
        client.send(&text);
        client.await_type("error");
    }
    client.client.write(&frame(0x81, b"\n\x1b[2JFORGED"));
    client.await_type("error");
    client.client.write(&frame(0xf1, b"\n\x1b[2JFORGED"));
}

/// Everything that a server of that format logs while it is attacked, byte by byte.
fn log(format: &str) -> Vec<Vec<u8>> {
    let mut command = binary();
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shards", "1"]);
    command.env("UPROAR_TELEMETRY__LOG_LEVEL", "trace").env("UPROAR_TELEMETRY__LOG_FORMAT", format);
    let _data = DataDir::new().lend(&mut command);
    let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = Running(child.expect("the binary runs"));
    let stderr = child.0.stderr.take().expect("stderr is piped");
    let mut lines = BufReader::new(stderr).split(b'\n').map(|line| line.expect("it can be read"));
    let mut seen = Vec::new();
    let address = loop {
        let line = lines.next().expect("it says where it listens");
        let text = String::from_utf8_lossy(&line).into_owned();
        seen.push(line);
        if text.contains("listening") {
            break address(&text);
        }
    };
    attack(address);
    let pid = child.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .is_ok_and(|status| status.success())
    );
    let begin = std::time::Instant::now();
    seen.extend(lines.inspect(|_| assert!(begin.elapsed() < PATIENCE, "it does not end")));
    seen
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address behind `listen`, as either format has it.
fn address(line: &str) -> SocketAddr {
    let at = line.find("127.0.0.1:").expect("an address");
    let end = line[at..].find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    line[at..]
        .get(..end.unwrap_or(line.len() - at))
        .and_then(|text| text.parse().ok())
        .expect("an address")
}

#[test]
fn lines_are_the_servers_own() {
    for format in ["json", "human"] {
        let lines = log(format);
        assert!(lines.len() > 20, "{format}: what is refused is logged: {}", lines.len());
        for line in lines {
            let text = String::from_utf8(line).expect("a log is text");
            let is_deceptive = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!text.contains(is_deceptive), "{format}: {text:?}");
            match format {
                "json" => {
                    let line: serde_json::Value = serde_json::from_str(&text).expect("an entry");
                    assert!(line["timestamp"].is_string() && line["level"] != FORGED, "{line}");
                }
                _ => assert!(text.starts_with("20"), "an entry begins with its time: {text}"),
            }
        }
    }
}
