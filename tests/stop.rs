//! Stopping's promise: everybody is told, nothing that was queued is lost, nobody is reset, and the process ends in
//! time with the right code.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use support::client::{Client, request};
use support::data_dir::DataDir;
use support::server::Server;
use support::wait_for;
use uproar::{Context, Handler, Message, Request, RunError};

/// Reads on until the Close of a stopping server, answers it and hangs up; the frames before it.
fn until_close(mut client: Client) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    loop {
        let frame = client.next();
        if frame.opcode() == 8 {
            assert_eq!(frame.close_code(), 1001);
            client.write(&support::client::frame(0x88, &1001_u16.to_be_bytes()));
            assert_eq!(client.read().expect("no reset"), None, "nothing follows a Close");
            return payloads;
        }
        payloads.push(frame.payload);
    }
}

fn stops_on(signal: &str) {
    let mut server = Server::start(&["--shards", "2", "--echo"]);
    let clients: Vec<_> = (0..200)
        .map(|number| {
            let path = ["/", "/echo", "/relay/a"][number % 3];
            Client::connect(server.address, path)
        })
        .collect();
    server.signal(signal);
    clients.into_iter().for_each(|client| assert!(until_close(client).is_empty()));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn everybody_is_told_on_sigterm() {
    stops_on("TERM");
}

/// What `systemctl reload` sends, to a server that has nothing to load again.
#[test]
fn a_hangup_disturbs_nobody() {
    let mut server = Server::start(&["--echo"]);
    let mut client = Client::connect(server.address, "/echo");
    server.signal("HUP");
    server.log_line(|line| line["signal"] == "SIGHUP");
    client.send("here");
    assert_eq!(client.next().text(), "here");
    server.signal("TERM");
    assert!(until_close(client).is_empty());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sigint_is_the_same() {
    stops_on("INT");
}

fn await_closed_listener(server: &Server) {
    wait_for("the listener is closed", || {
        let attempt = TcpStream::connect(server.address);
        attempt.err().filter(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

#[test]
fn a_stopping_server_is_not_ready_and_takes_nobody() {
    let mut server = Server::start(&[]);
    let mut client = Client::connect(server.address, "/");
    assert_eq!(server.admin("/readyz"), (200, "ok\n".into()));
    server.signal("TERM");
    assert_eq!(client.next().close_code(), 1001);
    // The Close is not answered yet, so the server waits.
    assert_eq!(server.admin("/readyz"), (503, "draining\n".into()));
    assert_eq!(server.admin("/healthz").0, 200);
    assert_eq!(server.metric("uproar_sessions_closed_total", &["reason=\"slow_reader\""]), 0.0);
    await_closed_listener(&server);
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_was_queued_is_delivered_first() {
    const MESSAGES: usize = 100;
    // However slow the machine is that reads: it is about what is queued, not about the time.
    let patient = [("UPROAR_SERVER__DRAIN_SECS", "3600")];
    let mut server = Server::start_with(&["--shards", "2"], &patient);
    let readers: Vec<_> = (0..4).map(|_| Client::connect(server.address, "/relay/a")).collect();
    let mut sender = Client::connect(server.address, "/relay/a");
    let message = |number: usize| {
        let mut message = format!("{number:05} ").into_bytes();
        message.resize(60_000, b'x');
        message
    };
    for number in 0..MESSAGES {
        sender.write(&support::client::frame(0x82, &message(number)));
        // Not more at once than a queue takes; the rest goes on once the kernel has taken some.
        let delivered = (readers.len() * (number + 1)) as f64;
        if number % 10 == 9 {
            server.wait_for_metric("uproar_deliveries_total", &[], |count| count == delivered);
            if server.metric("uproar_outbox_bytes", &[]) > 4e6 {
                break;
            }
        }
    }
    let deliveries = server.metric("uproar_deliveries_total", &[]) as usize;
    assert!(server.metric("uproar_outbox_bytes", &[]) > 0.0, "the readers' queues are not empty");
    server.signal("TERM");
    assert!(until_close(sender).is_empty());
    for reader in readers {
        let got = until_close(reader);
        assert_eq!(got.len(), deliveries / 4);
        assert!(got.iter().enumerate().all(|(number, payload)| *payload == message(number)));
    }
    assert_eq!(server.wait().code(), Some(0));
}

/// A flush takes several turns in so large a room; the stop comes in the middle of it.
#[test]
fn what_is_being_delivered_reaches_everybody() {
    const MEMBERS: usize = 1_500;
    // The members are descriptors of this process, too.
    let _ = uproar::descriptors::Descriptors::raise();
    let mut server = Server::start(&["--shards", "1"]);
    let mut members: Vec<_> = (0..MEMBERS).map(|_| Client::connect(server.address, "/")).collect();
    let mut sender = Client::connect(server.address, "/");
    let messages = [b"one", b"two"].map(|payload| support::client::frame(0x82, payload));
    sender.write(&messages.concat());
    // Whoever joined first is served first.
    let first = members.remove(0);
    first.stream.peek(&mut [0]).expect("a message arrives");
    server.signal("TERM");
    members.push(first);
    for member in members {
        assert_eq!(until_close(member), [b"one", b"two"]);
    }
    assert!(until_close(sender).is_empty());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn who_was_about_to_connect_is_answered() {
    let mut server = Server::start(&["--shards", "2"]);
    // While the process is stopped, the kernel completes connections that nobody accepts.
    server.signal("STOP");
    let connect = |bytes: &str| {
        let mut stream = TcpStream::connect(server.address).expect("the kernel's queue has room");
        stream.set_read_timeout(Some(support::PATIENCE)).expect("a timeout can be set");
        stream.write_all(bytes.as_bytes()).expect("the kernel takes it");
        stream
    };
    let complete: Vec<_> = (0..100).map(|_| connect(&request("/"))).collect();
    let silent: Vec<_> = (0..20).map(|_| connect("")).collect();
    let begun = connect(&request("/")[..20]);
    server.signal("TERM");
    server.signal("CONT");
    let answer = |mut stream: TcpStream| {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("no reset");
        answer
    };
    // Whoever was faster than the stop is a session, and is told that it is over.
    let is_told = |answer: &[u8]| {
        answer.starts_with(b"HTTP/1.1 503 ")
            || answer.starts_with(b"HTTP/1.1 101 ")
                && answer.windows(2).any(|code| code == [3, 0xe9])
    };
    for stream in complete {
        let answer = answer(stream);
        assert!(is_told(&answer), "{:?}", String::from_utf8_lossy(&answer));
    }
    for stream in silent {
        assert!(answer(stream).starts_with(b"HTTP/1.1 503 "));
    }
    // Nobody else comes, but who has begun to ask is waited for.
    await_closed_listener(&server);
    let mut rest = begun;
    rest.write_all(&request("/").as_bytes()[20..]).expect("the rest is awaited");
    assert!(answer(rest).starts_with(b"HTTP/1.1 503 "));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let settings =
        [("UPROAR_SERVER__DRAIN_SECS", "3600"), ("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "300")];
    let mut server = Server::start_with(&[], &settings);
    let silent = TcpStream::connect(server.address).expect("the server accepts");
    let mut visitor = TcpStream::connect(server.address).expect("the server accepts");
    visitor.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
    assert!(visitor.read(&mut [0; 64]).expect("a page") > 0);
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 2.0);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    drop((silent, visitor));
}

#[test]
fn a_peer_that_never_reads_does_not_hold_the_exit_up() {
    let mut server = Server::start_with(&[], &[("UPROAR_SERVER__DRAIN_SECS", "1")]);
    let deaf = Client::connect(server.address, "/");
    let mut sender = Client::connect(server.address, "/");
    while server.metric("uproar_outbox_bytes", &[]) == 0.0 {
        (0..10).for_each(|_| sender.write(&support::client::frame(0x82, &[0; 60_000])));
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let line = server.log_line(|line| line["level"] == "WARN");
    assert!(line["message"].as_str().is_some_and(|text| text.contains("cutting off")), "{line}");
    drop(deaf);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut server = Server::start_with(&[], &[("UPROAR_SERVER__DRAIN_SECS", "3600")]);
    let mut client = Client::connect(server.address, "/");
    server.signal("TERM");
    // It waits for the answer to this.
    assert_eq!(client.next().close_code(), 1001);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(130));
}

/// Does in its shard what the first message says.
struct Troublemaker;

impl Handler for Troublemaker {
    fn open(&self, _: &mut Context<'_>, _: &Request) {}

    fn message(&self, _: &mut Context<'_>, message: Message<'_>) {
        match message {
            Message::Text("panic") => panic!("the handler gave up"),
            Message::Text("block") => {
                tracing::info!(target: "uproar", "blocking");
                loop {
                    std::thread::park();
                }
            }
            _ => {}
        }
    }
}

fn troubled_server(data: &DataDir, drain_secs: u64) -> uproar::Server {
    let mut config = data.config();
    config.server.shards = 2;
    config.server.drain_secs = drain_secs;
    uproar::logs::init(&config.telemetry).ok();
    uproar::Server::builder(config).route("/trouble", Troublemaker).bind().expect("it starts")
}

#[test]
fn a_panic_ends_the_server() {
    let data = DataDir::new();
    let server = troubled_server(&data, 10);
    let address = server.address();
    let running = std::thread::spawn(|| server.run());
    Client::connect(address, "/trouble").send("panic");
    match running.join().expect("the server's own thread does not panic") {
        Err(RunError::Panicked { message, .. }) => assert_eq!(message, "the handler gave up"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_was_stopped_before_it_ran_does_not_run() {
    let data = DataDir::new();
    let server = troubled_server(&data, 10);
    server.stopper().stop();
    server.run().expect("it was told to");
}

/// Set in the process that plays the server of a test, which is this binary once more.
const ROLE: &str = "UPROAR_TEST_ROLE";

/// In a process of its own: the server with the troublesome handler, and the exit code that `main` would give it.
fn in_a_process_of_its_own(test: &str, drain_secs: u64) -> Server {
    if env::var_os(ROLE).is_some() {
        let data = DataDir::new();
        let server = troubled_server(&data, drain_secs);
        server.stop_on_signals();
        let code = i32::from(server.run().is_err());
        // The exit drops nothing.
        drop(data);
        std::process::exit(code);
    }
    let mut command = Command::new(env::current_exe().expect("a test has a file"));
    command.args(["--exact", test, "--nocapture"]).env(ROLE, "server");
    Server::spawn(command)
}

#[test]
fn a_panic_ends_the_process() {
    let mut server = in_a_process_of_its_own("a_panic_ends_the_process", 10);
    let mut other = Client::connect(server.address, "/trouble");
    Client::connect(server.address, "/trouble").send("panic");
    assert_eq!(server.wait().code(), Some(1));
    let where_it_was = server.log_line(|line| line["level"] == "ERROR");
    assert_eq!(where_it_was["message"], "panicked: the handler gave up");
    assert!(where_it_was["location"].as_str().is_some_and(|at| at.contains("stop.rs")));
    let what_it_means = server.log_line(|line| line["level"] == "ERROR");
    assert_eq!(what_it_means["message"], "the server cannot go on");
    // Not half-dead: who was on another shard is gone too.
    assert!(!matches!(other.stream.read(&mut [0; 16]), Ok(1..)));
    other.stream.shutdown(Shutdown::Both).ok();
}

#[test]
fn a_handler_that_blocks_does_not_hold_the_exit_up() {
    let mut server = in_a_process_of_its_own("a_handler_that_blocks_does_not_hold_the_exit_up", 1);
    let mut client = Client::connect(server.address, "/trouble");
    client.send("block");
    server.log_line(|line| line["message"] == "blocking");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.log_line(|line| {
        line["message"].as_str().is_some_and(|text| text.contains("a handler blocks its shard"))
    });
}
