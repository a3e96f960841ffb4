//! The server is killed in the middle of whatever it does, again and again, and started on what it left: nothing
//! acknowledged is missing, nothing comes twice, everyone sees the same order, and nobody was shown what is not stored.
//!
//! Each run says its seed; `SEED=…` in the environment throws the same dice again, and `CYCLES=30` has the server killed
//! so many times instead of five.

#![allow(clippy::print_stdout, reason = "the seed, to do it again, and what was done")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod member;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use member::Member;
use support::PATIENCE;
use support::audit::{self, Evidence, Message, Stretch};
use support::chat::ChatClient;
use support::data_dir::DataDir;
use support::dice::Dice;
use support::server::Server;
use support::session;

const ROOMS: usize = 4;
const PUBLISHERS: usize = 10;
const READERS: usize = 4;

/// A moment that is not chosen by what was heard is up to that much later.
const DELAY_MAX_MICROS: usize = 3000;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_promised_survives_any_kill() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = variable("SEED", now.expect("after 1970").as_nanos() as u64);
    let cycles = variable("CYCLES", 5);
    println!("SEED={seed} CYCLES={cycles}");
    let data_dir = DataDir::new();
    let mut party = Party::new(Dice::new(seed));
    for cycle in 1..=cycles {
        let server = start(&data_dir, party.dice.below(2) == 0);
        party.go_on_until_the_end(server, cycle);
    }
    let server = start(&data_dir, true);
    let evidence = party.bring_to_rest(server.address);
    let log = || evidence.log.values().flatten();
    let said = evidence.said.len();
    let again: usize = evidence.said.iter().map(|said| said.acks.len().saturating_sub(1)).sum();
    let seen: usize = evidence.stretches.iter().map(|stretch| stretch.seen.len()).sum();
    println!("{said} said, {again} acknowledged again, {} stored, {seen} heard", log().count());
    audit::hold(&evidence);
    assert_eq!(log().count(), said, "each is stored once");
}

/// The data must survive with either setting: what the kernel was given is not lost with a process.
fn start(data_dir: &DataDir, is_full: bool) -> Server {
    let directory = data_dir.path().to_str().expect("text");
    let synchronous = if is_full { "full" } else { "normal" };
    Server::start_with(
        &["--shards", "2", "--data-dir", directory],
        &[("UPROAR_LOG__SYNCHRONOUS", synchronous)],
    )
}

/// Everybody there is.
struct Party {
    dice: Dice,
    rooms: Vec<String>,
    members: Vec<Member>,
}

impl Party {
    fn new(dice: Dice) -> Self {
        let rooms: Vec<_> = (0..ROOMS).map(|room| format!("room {room}")).collect();
        let publisher = |number: usize| {
            let two = [rooms[number % ROOMS].clone(), rooms[(number + 1) % ROOMS].clone()];
            Member::new(format!("publisher {number}"), &two, true)
        };
        let reader = |number: usize| Member::new(format!("reader {number}"), &rooms, false);
        let members = (0..PUBLISHERS).map(publisher).chain((0..READERS).map(reader)).collect();
        Self { dice, rooms, members }
    }

    /// Comes back to the server, does what there is to do, and kills it at some moment: at times before everybody is
    /// in again.
    fn go_on_until_the_end(&mut self, server: Server, cycle: u64) {
        let dice = &mut self.dice;
        let enough = if dice.one_in(4) { dice.below(100) } else { dice.below(20_000) };
        self.connect(server.address);
        let (mut heard, started) = (0, Instant::now());
        while heard < enough {
            heard += self.turn(true);
            assert!(started.elapsed() < PATIENCE, "{heard} of {enough} messages came");
        }
        let moment = if self.dice.one_in(3) { self.any_moment() } else { self.first_word() };
        server.kill();
        // What it sent before it ended is as good as any.
        let started = Instant::now();
        while self.members.iter().any(|member| !member.session().is_lost()) {
            heard += self.turn(false);
            assert!(started.elapsed() < PATIENCE, "the connections end with the process");
        }
        println!("cycle {cycle}: killed after {heard} messages, {moment}");
    }

    /// Goes on for a moment that has nothing to do with what the server does.
    fn any_moment(&mut self) -> String {
        let micros = self.dice.below(DELAY_MAX_MICROS);
        let end = Instant::now() + Duration::from_micros(micros as u64);
        while Instant::now() < end {
            self.turn(true);
        }
        format!("at a moment {micros} microseconds later")
    }

    /// Has everybody hear everything, lets some speak, and waits for the first word of it that anybody is sent: what
    /// is sent before it is stored has not been stored then.
    fn first_word(&mut self) -> String {
        self.be_answered();
        while session::wait(self.members.iter().map(Member::session), Duration::from_millis(5)) {
            self.turn(false);
        }
        let speakers = 1 + self.dice.below(PUBLISHERS);
        for member in &mut self.members[..speakers] {
            member.speak(&mut self.dice);
        }
        session::wait(self.members.iter().map(Member::session), PATIENCE);
        format!("at the first word of what {speakers} said")
    }

    /// Waits until nobody waits for an answer any more, and says nothing new.
    fn be_answered(&mut self) {
        let started = Instant::now();
        while !self.members.iter().all(Member::is_answered) {
            self.turn(false);
            assert!(started.elapsed() < PATIENCE, "everything is acknowledged in the end");
        }
    }

    fn connect(&mut self, address: SocketAddr) {
        self.members.iter_mut().for_each(|member| member.connect(address));
    }

    /// Has everybody act once; how many messages came.
    fn turn(&mut self, goes_on: bool) -> usize {
        session::wait(self.members.iter().map(Member::session), Duration::from_millis(5));
        let dice = &mut self.dice;
        self.members.iter_mut().map(|member| member.act(dice, goes_on)).sum()
    }

    /// Comes back for the last time, says nothing new, and hears out what there is.
    fn bring_to_rest(mut self, address: SocketAddr) -> Evidence {
        self.connect(address);
        self.be_answered();
        let mut reader = ChatClient::connect(address, "auditor");
        let log: BTreeMap<_, _> =
            self.rooms.iter().map(|room| (room.clone(), reader.whole_log(room))).collect();
        let last = |room: &str| log[room].last().map_or(0, |message| message.seq);
        // Who is not given everything is left to the audit.
        let started = Instant::now();
        while !self.members.iter().all(|member| member.is_done(last))
            && started.elapsed() < PATIENCE
        {
            self.turn(false);
        }
        let mut stretches: Vec<_> =
            self.rooms.iter().map(|room| from_the_beginning(address, room, last(room))).collect();
        let mut said = Vec::new();
        for member in self.members {
            let (own, given) = member.testify();
            said.extend(own);
            stretches.extend(given);
        }
        Evidence { said, log, stretches }
    }
}

/// All of a room's log, as it is given to somebody who comes back after having heard nothing.
fn from_the_beginning(address: SocketAddr, room: &str, last: u64) -> Stretch {
    let mut reader = ChatClient::connect(address, "latecomer");
    let epoch = reader.join(room)["epoch"].clone();
    reader.resume(room, &epoch, 0);
    let mut stretch = Stretch::new(format!("latecomer in {room}"), room.to_owned(), 0);
    while stretch.reached() < last {
        stretch.seen.push(Message::of(&reader.await_type("message")));
    }
    stretch
}
