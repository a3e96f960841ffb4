//! The closing handshake and the end of the TCP connection (RFC 6455, sections 5.5.1 and 7).

use std::net::Shutdown;

use uproar::{Close, Context, Handler, Message, Request};

use crate::bytes::*;
use crate::row::*;
use crate::support::client::{Client, close_frame, frame};
use crate::support::data_dir::DataDir;
use crate::support::server::Server;

fn close_with(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn a_close_is_answered_with_its_code() {
    let table = Table::new();
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4408, 4999]) {
        table.check(&format!("{code}"), &[close_frame(code)], &[Said::Close(code)]);
    }
    table.check("with a reason", &[close_with(1000, "adé".as_bytes())], &[Said::Close(1000)]);
    table.check("longest reason", &[close_with(1001, &[b'*'; 123])], &[Said::Close(1001)]);
    table.check("without a code", &[frame(CLOSE, b"")], &[Said::CloseWithoutCode]);
}

#[test]
fn a_wrong_close_is_a_violation() {
    let table = Table::new();
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        table.check(&format!("{code}"), &[close_frame(code)], &[PROTOCOL]);
    }
    table.check("one byte", &[frame(CLOSE, b"a")], &[PROTOCOL]);
    table.check("reason that is not UTF-8", &[close_with(1000, b"\xed\xa0\x80")], &[INVALID_UTF8]);
}

#[test]
fn what_comes_before_a_close_is_answered_and_what_comes_behind_it_is_not_heard() {
    let table = Table::new();
    let frames = [
        frame(TEXT, b"before"),
        frame(PING, b"before"),
        close_frame(3001),
        frame(TEXT, b"after"),
        frame(PING, b"after"),
        close_frame(1000),
        vec![0xff; 100],
    ];
    let mut client = table.connect();
    client.write(&frames.concat());
    let mut heard = said(&mut client);
    assert_eq!(heard.pop(), Some(Said::Close(3001)), "and nothing behind it");
    assert_eq!(heard.len(), 2);
    assert!(heard.contains(&text("before")) && heard.contains(&pong(b"before")), "{heard:?}");
}

/// A server that closed at once over what it has not read would send a reset, and the Close would be lost.
#[test]
fn a_peer_that_goes_on_sending_reads_the_close() {
    let table = Table::new();
    for (last_words, code) in [
        (vec![TEXT, 0], 1002),
        (frame(TEXT, b"\xff"), 1007),
        (long_head(BINARY, 16_777_217), 1009),
        (close_frame(4000), 4000),
    ] {
        let more = vec![0; 8 * MIB];
        table.check(&format!("8 MiB behind {code}"), &[last_words, more], &[Said::Close(code)]);
    }
}

#[test]
fn each_end_is_counted_by_its_reason() {
    let server = Server::start(&["--echo"]);
    for (bytes, reason) in [
        (close_frame(1000), "peer"),
        (vec![TEXT, 0], "protocol"),
        (frame(TEXT, b"\xff"), "invalid_utf8"),
        (long_head(TEXT, 65_537), "too_big"),
    ] {
        let mut client = Client::connect(server.address, "/echo");
        client.write(&bytes);
        client.rest();
        let labels = [&*format!("reason=\"{reason}\"")];
        server.wait_for_metric("uproar_sessions_closed_total", &labels, |ends| ends == 1.0);
    }
    drop(Client::connect(server.address, "/echo"));
    let closed = "uproar_sessions_closed_total";
    server.wait_for_metric(closed, &["reason=\"lost\""], |ends| ends == 1.0);
    assert_eq!(server.metric(closed, &[]), 5.0);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
}

const MIB: usize = 1 << 20;

/// A room with one who does not read: of eight messages of 1 MiB most are queued for it.
struct Backlog {
    server: Server,
    reader: Client,
}

impl Backlog {
    fn new(outbox_bytes_max: usize) -> Self {
        let server = Server::start_with(
            &[],
            &[
                ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "1048576"),
                ("UPROAR_LIMITS__OUTBOX_BYTES_MAX", &outbox_bytes_max.to_string()),
                ("UPROAR_LIMITS__CLOSE_TIMEOUT_SECS", "60"),
                ("UPROAR_SERVER__DRAIN_SECS", "60"),
            ],
        );
        let reader = Client::connect_narrow(server.address, "/");
        let mut sender = Client::connect(server.address, "/");
        for number in 0..8 {
            sender.write(&frame(BINARY, &vec![number; MIB]));
        }
        server.wait_for_metric("uproar_messages_total", &[], |messages| messages == 8.0);
        sender.write(&close_frame(1000));
        sender.rest();
        Self { server, reader }
    }

    /// Requires that so many messages and that Close are all that the reader gets.
    #[track_caller]
    fn check(&mut self, messages: u8, code: u16) {
        let mut heard = said(&mut self.reader);
        assert_eq!(heard.pop(), Some(Said::Close(code)));
        let expected: Vec<_> = (0..messages).map(|number| binary(&vec![number; MIB])).collect();
        assert!(heard == expected, "{} messages", heard.len());
    }
}

#[test]
fn a_close_waits_for_the_message_that_was_begun_and_for_no_other() {
    for (bytes, code, hangs_up) in [
        (close_frame(3500), 3500, false),
        (close_frame(3500), 3500, true),
        (vec![TEXT, 0], 1002, false),
    ] {
        let mut backlog = Backlog::new(16 * MIB);
        backlog.reader.write(&bytes);
        if hangs_up {
            backlog.reader.stream.shutdown(Shutdown::Write).expect("a socket has two sides");
        }
        let server = &backlog.server;
        server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
        backlog.check(1, code);
        let dropped = ["reason=\"closed\""];
        backlog.server.wait_for_metric("uproar_drops_total", &dropped, |frames| frames == 7.0);
        backlog.server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
    }
}

#[test]
fn a_slow_reader_is_told_after_the_message_that_was_begun() {
    let mut backlog = Backlog::new(3 * MIB);
    let closed = ["reason=\"slow_reader\""];
    backlog.server.wait_for_metric("uproar_sessions_closed_total", &closed, |ends| ends == 1.0);
    backlog.check(1, 1013);
}

#[test]
fn a_server_that_stops_says_so_after_everything_that_was_queued() {
    let mut backlog = Backlog::new(16 * MIB);
    backlog.server.signal("TERM");
    backlog.server.log_line(|line| line["message"] == "stopping");
    backlog.check(8, 1001);
    drop(backlog.reader);
    assert!(backlog.server.wait().success());
}

#[test]
fn a_peer_that_does_not_close_or_does_not_read_is_not_waited_for_forever() {
    let settings = [
        ("UPROAR_LIMITS__CLOSE_TIMEOUT_SECS", "1"),
        ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "16777216"),
    ];
    let server = Server::start_with(&["--echo"], &settings);
    let descriptors = || server.metric("process_open_fds", &[]);
    let before = descriptors();
    let mut idle = Client::connect(server.address, "/echo");
    idle.write(&close_frame(1000));
    assert_eq!(said(&mut idle), [Said::Close(1000)]);
    let mut reader = Client::connect_narrow(server.address, "/");
    let mut sender = Client::connect(server.address, "/");
    sender.write(&frame(BINARY, &vec![0; 16 * MIB]));
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes > 0.0);
    reader.write(&close_frame(1000));
    drop(sender);
    server.wait_for_metric("uproar_sessions_closed_total", &[], |ends| ends == 3.0);
    server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
    server.wait_for_metric("process_open_fds", &[], |descriptors| descriptors <= before);
}

/// Says its last words and closes, with the code that the room is named after.
struct Closer;

impl Handler for Closer {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let code: u16 = request.room.as_deref().and_then(|room| room.parse().ok()).expect("a code");
        session.send("last words");
        session.close(Close::new(code, "for a reason"));
        session.send("too late");
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        session.send(message);
    }
}

#[test]
fn a_handler_closes_with_a_code_of_its_own_behind_what_it_sent() {
    let data = DataDir::new();
    let server = uproar::Server::builder(data.config())
        .route("/close/{room}", Closer)
        .bind()
        .expect("a server");
    let (address, stopper) = (server.address(), server.stopper());
    let running = std::thread::spawn(|| server.run());
    for code in [1000, 1003, 1008, 1011, 1013, 4000] {
        let mut client = Client::connect(address, &format!("/close/{code}"));
        client.write(&frame(TEXT, b"not heard"));
        let mut frames = client.rest();
        let close = frames.pop().expect("a close");
        assert_eq!(close.payload[2..], *b"for a reason");
        assert_eq!(Said::from(close), Said::Close(code));
        let heard: Vec<_> = frames.into_iter().map(Said::from).collect();
        assert_eq!(heard, [text("last words")]);
    }
    let mut client = Client::connect(address, "/close/1005");
    assert_eq!(said(&mut client), [text("last words"), Said::CloseWithoutCode], "not to be sent");
    drop(client);
    stopper.stop();
    running.join().expect("no panic").expect("a proper end");
}
