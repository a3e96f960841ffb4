//! What a message costs is counted, not timed: one write a member however many frames there are, and no system call
//! beside it that grows with the members.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};

use uproar::{Context, Handler, Message, Request};

use support::client::{Client, frame};
use support::embedded::Embedded;
use support::server::{Server, metric};
use support::strace::Traced;
use support::wait_for;

const WRITES: &str = "uproar_writes_total";
const DELIVERIES: &str = "uproar_deliveries_total";

/// More than one step of a flush serves.
const MEMBERS: usize = 600;
const FRAMES: usize = 32;

#[test]
fn a_member_gets_one_write_however_many_frames_there_are() {
    let server = Server::start(&["--shards", "1"]);
    let mut members: Vec<_> = (0..MEMBERS).map(|_| Client::connect(server.address, "/")).collect();
    let mut sender = Client::connect(server.address, "/");
    // Each handshake's answer is a write.
    let writes = server.wait_for_metric(WRITES, &[], |writes| writes == (MEMBERS + 1) as f64);
    sender.write(&frame(0x81, b"one of many").repeat(FRAMES));
    for member in &mut members {
        (0..FRAMES).for_each(|_| assert_eq!(member.next().text(), "one of many"));
    }
    let deliveries = (MEMBERS * FRAMES) as f64;
    server.wait_for_metric(DELIVERIES, &[], |count| count == deliveries);
    assert_eq!(server.metric(WRITES, &[]) - writes, MEMBERS as f64);
}

/// Joins the rooms that the path names and answers everything; "hold" keeps its shard until the test has sent what is
/// to come in one turn.
struct Turn(Arc<Barrier>);

impl Handler for Turn {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let rooms = request.room.as_deref().unwrap_or_default();
        rooms.split('+').for_each(|room| assert!(session.join(room)));
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        if message == Message::Text("hold") {
            self.0.wait();
            self.0.wait();
            return;
        }
        session.send("heard");
        session.broadcast(message);
    }
}

/// A server with that handler, and one client to hold its shard with.
struct Held {
    server: Embedded,
    barrier: Arc<Barrier>,
    holder: Client,
}

impl Held {
    fn start() -> Self {
        let barrier = Arc::new(Barrier::new(2));
        let handler = Turn(Arc::clone(&barrier));
        let server = Embedded::start(1, |builder| {
            builder.route("/{room}", handler).bind().expect("it starts")
        });
        let holder = Client::connect(server.address, "/nobody");
        Self { server, barrier, holder }
    }

    fn connect(&self, rooms: &str) -> Client {
        Client::connect(self.server.address, &format!("/{rooms}"))
    }

    /// What `send` sends is read by the server in one turn, when so many other clients are connected.
    fn turn(&mut self, clients: usize, send: impl FnOnce()) -> Before {
        let admin = self.server.admin;
        let opened = (clients + 1) as f64;
        wait_for("the clients are counted", || {
            (metric(admin, "uproar_sessions", &[]) == opened).then_some(())
        });
        let before = Before {
            admin,
            writes: metric(admin, WRITES, &[]),
            deliveries: metric(admin, DELIVERIES, &[]),
        };
        self.holder.send("hold");
        self.barrier.wait();
        send();
        self.barrier.wait();
        before
    }
}

/// The counts before a turn.
struct Before {
    admin: SocketAddr,
    writes: f64,
    deliveries: f64,
}

impl Before {
    /// What has come since: writes and deliveries.
    fn growth(&self) -> (f64, f64) {
        let deliveries = wait_for("the deliveries are counted", || {
            Some(metric(self.admin, DELIVERIES, &[])).filter(|now| *now > self.deliveries)
        });
        (metric(self.admin, WRITES, &[]) - self.writes, deliveries - self.deliveries)
    }
}

/// One test, because the servers of one process share its metrics.
#[test]
fn everything_that_a_turn_brings_a_member_goes_out_in_one_write() {
    let mut held = Held::start();
    two_rooms_and_an_answer(&mut held);
    sixteen_senders(&mut held);
}

fn two_rooms_and_an_answer(held: &mut Held) {
    let mut member = held.connect("here+there");
    let (mut here, mut there) = (held.connect("here"), held.connect("there"));
    let before = held.turn(3, || {
        here.send("from here");
        there.send("from there");
        member.send("to both");
    });
    let mut heard: Vec<_> = (0..3).map(|_| member.next().text().to_owned()).collect();
    heard.sort();
    assert_eq!(heard, ["from here", "from there", "heard"]);
    for sender in [&mut here, &mut there] {
        let mut heard = [sender.next().text().to_owned(), sender.next().text().to_owned()];
        heard.sort();
        assert_eq!(heard, ["heard", "to both"]);
    }
    // To each of the three one write, of three, two and two messages.
    assert_eq!(before.growth(), (3.0, 7.0));
}

fn sixteen_senders(held: &mut Held) {
    const SENDERS: usize = 16;
    const LISTENERS: usize = 50;
    let mut senders: Vec<_> = (0..SENDERS).map(|_| held.connect("room")).collect();
    let mut listeners: Vec<_> = (0..LISTENERS).map(|_| held.connect("room")).collect();
    let before = held.turn(SENDERS + LISTENERS, || {
        for (name, sender) in senders.iter_mut().enumerate() {
            sender.send(&name.to_string());
        }
    });
    let hear = |client: &mut Client, messages: usize| {
        let mut heard: Vec<_> = (0..messages).map(|_| client.next().text().to_owned()).collect();
        heard.sort();
        heard
    };
    for listener in &mut listeners {
        assert_eq!(hear(listener, SENDERS).len(), SENDERS);
    }
    for (name, sender) in senders.iter_mut().enumerate() {
        let heard = hear(sender, SENDERS);
        assert!(!heard.contains(&name.to_string()) && heard.contains(&"heard".to_owned()));
    }
    // Everyone gets sixteen messages: the senders an answer in the place of their own.
    let members = (SENDERS + LISTENERS) as f64;
    assert_eq!(before.growth(), (members, members * SENDERS as f64));
}

/// The system calls of a server that so many members get so many messages from, one at a time.
fn system_calls(members: usize, messages: usize) -> BTreeMap<String, i64> {
    let traced = Traced::start(&format!("strace-{members}"), &["-c"], &["--shards", "1"]);
    let address = traced.server.address;
    let mut receivers: Vec<_> = (0..members).map(|_| Client::connect(address, "/")).collect();
    let mut sender = Client::connect(address, "/");
    for _ in 0..messages {
        sender.send("one at a time");
        receivers.iter_mut().for_each(|receiver| drop(receiver.next()));
    }
    parse(&traced.finish())
}

/// `% time  seconds  usecs/call  calls  [errors]  syscall`
fn parse(summary: &str) -> BTreeMap<String, i64> {
    let row = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let calls = columns.get(3)?.parse().ok()?;
        Some(((*columns.last()?).to_owned(), calls)).filter(|(name, _)| name != "total")
    };
    summary.lines().filter_map(row).collect()
}

#[test]
fn nothing_but_the_writes_grows_with_the_deliveries() {
    const MESSAGES: usize = 200;
    const FEW: usize = 10;
    const MANY: usize = 60;
    /// Accepting, upgrading and closing one connection.
    const CALLS_PER_CONNECTION: i64 = 40;
    let (few, many) = (system_calls(FEW, MESSAGES), system_calls(MANY, MESSAGES));
    let growth = |name: &str| many.get(name).unwrap_or(&0) - few.get(name).unwrap_or(&0);
    let (connections, deliveries) = ((MANY - FEW) as i64, ((MANY - FEW) * MESSAGES) as i64);
    let is_write = |name: &str| matches!(name, "sendto" | "sendmsg" | "writev" | "write");
    let writes: i64 = many.keys().filter(|name| is_write(name)).map(|name| growth(name)).sum();
    println!("{deliveries} deliveries more: {writes} writes more");
    assert!(
        (deliveries..deliveries + connections * CALLS_PER_CONNECTION).contains(&writes),
        "{writes} writes for {deliveries} deliveries"
    );
    for name in many.keys().filter(|name| !is_write(name)) {
        if growth(name) > 0 {
            println!("{name}: {} more", growth(name));
        }
        assert!(growth(name) < connections * CALLS_PER_CONNECTION, "{name}: {few:?}, {many:?}");
    }
}
