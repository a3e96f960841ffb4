//! Clients join, leave, send, send by halves, break rules, stop reading and vanish, in any order and over real sockets;
//! and whoever keeps to the rules hears every message of everybody who does exactly once and in order. In the end
//! nothing is left of anybody.
//!
//! The test says its seed; `SEED=…` in the environment has it take the same steps again. `src/shard/tests/churn.rs` does
//! the same to a shard without sockets, where every step is known.

#![allow(clippy::print_stdout, reason = "the seed, to do it again")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

#[path = "../support/mod.rs"]
mod support;

mod peer;

use std::net::SocketAddr;

use uproar::{Context, Handler, Message, Request};

use peer::{Peer, ROOMS};
use support::client::{close_frame, frame};
use support::dice::Dice;
use support::embedded::Embedded;
use support::wait_for;

const SHARDS: usize = 3;
const ROUNDS: usize = 300;
const AUDITORS_PER_ROOM: usize = 2;
const SENDERS_PER_ROOM: usize = 2;
const ROWDIES: usize = 40;
const STEPS_PER_ROUND: usize = 40;

/// So little that who does not read is soon closed.
const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// Does what it is told: `join 3`, `leave 3`, `say 3 …`. Says which, ahead of the first message of a room and behind
/// the last.
struct Lounge;

impl Handler for Lounge {
    fn open(&self, _session: &mut Context<'_>, _request: &Request) {}

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        let Message::Text(text) = message else { return session.broadcast(message) };
        let mut words = text.split(' ');
        let (what, room) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match what {
            "join" => {
                session.send(text);
                assert!(session.join(room));
            }
            "leave" => {
                session.leave(room);
                session.send(text);
            }
            _ => session.publish(room, message),
        }
    }
}

/// Everybody there is.
struct Crowd {
    dice: Dice,
    address: SocketAddr,
    /// By room; they only listen.
    auditors: Vec<Peer>,
    /// By room; they speak and listen.
    senders: Vec<Peer>,
    rowdies: Vec<Peer>,
    /// What each sender has said so far.
    said: Vec<u64>,
}

impl Crowd {
    fn new(address: SocketAddr, dice: Dice) -> Self {
        let several = |per_room: usize| -> Vec<Peer> {
            (0..ROOMS * per_room).map(|number| Peer::steady(address, number % ROOMS)).collect()
        };
        let (mut auditors, mut senders) = (several(AUDITORS_PER_ROOM), several(SENDERS_PER_ROOM));
        for peer in auditors.iter_mut().chain(&mut senders) {
            wait_for("everybody is in", || {
                assert!(peer.listen());
                peer.is_in_a_room().then_some(())
            });
        }
        let rowdies = (0..ROWDIES).map(|_| Peer::rowdy(address)).collect();
        let said = vec![0; senders.len()];
        Self { dice, address, auditors, senders, rowdies, said }
    }

    /// Some steps of the rowdies and some words of the senders, mixed; then everybody who listens hears them out.
    fn round(&mut self) {
        for _ in 0..STEPS_PER_ROUND {
            if self.dice.one_in(4) {
                self.speak();
            }
            let rowdy = self.dice.below(self.rowdies.len());
            self.step(rowdy);
        }
        for rowdy in &mut self.rowdies {
            // One that was closed or is gone makes way for another.
            if (!rowdy.is_deaf && !rowdy.listen()) || rowdy.is_gone() {
                *rowdy = Peer::rowdy(self.address);
            }
        }
        self.hear_out();
    }

    /// One of the senders says its next message.
    fn speak(&mut self) {
        let sender = self.dice.below(self.senders.len());
        let length = self.dice.length();
        let room = sender % ROOMS;
        let text = peer::spoken(room, sender, self.said[sender], length);
        self.said[sender] += 1;
        assert!(self.senders[sender].say(&text), "a sender that listens is read");
    }

    /// One of the rowdies does one thing.
    fn step(&mut self, rowdy: usize) {
        let (dice, peer) = (&mut self.dice, &mut self.rowdies[rowdy]);
        // Who is deaf is left alone for long enough to fall behind.
        if peer.is_deaf && !dice.one_in(10) {
            return;
        }
        let room = dice.below(ROOMS);
        match dice.below(20) {
            0..=3 => drop(peer.say(&format!("join {room}"))),
            4..=6 => drop(peer.say(&format!("leave {room}"))),
            7..=9 => drop(peer.say(&format!("say {room} {}", "noise ".repeat(dice.length() / 6)))),
            10 => drop(peer.write(&frame(0x82, &vec![0; dice.length()]))),
            11 => drop(peer.write(&frame(0x89, b"there?"))),
            // Half a frame: the other half comes with what is said next, and is wrong.
            12 => {
                let whole = frame(0x81, format!("say {room} half of it").as_bytes());
                let half = 1 + dice.below(whole.len() - 1);
                peer.write(&whole[..half]);
                if dice.one_in(2) {
                    peer.write(&whole[half..]);
                }
            }
            // A message in three fragments with a ping in it.
            13 => {
                let text = format!("say {room} in pieces");
                let (first, rest) = text.split_at(5);
                peer.write(&frame(0x01, first.as_bytes()));
                peer.write(&frame(0x89, b"between"));
                peer.write(&frame(0x00, rest.as_bytes()));
                peer.write(&frame(0x80, b""));
            }
            // What no client may send: not masked, reserved bits, no UTF-8, a length that is too large.
            14 if dice.one_in(2) => {
                let wrong: [&[u8]; 4] = [
                    &[0x81, 2, b'h', b'i'],
                    &frame(0xc1, b"compressed"),
                    &frame(0x81, &[0xff]),
                    &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4],
                ];
                peer.write(wrong[dice.below(wrong.len())]);
            }
            15 => drop(peer.write(&close_frame(1000))),
            16 => peer.is_deaf = true,
            17 => peer.is_deaf = false,
            18 => peer.vanish(dice.below(3)),
            19 => {
                let partial = support::client::request("/");
                let length = dice.below(partial.len());
                Peer::raw(self.address, &partial.as_bytes()[..length]);
            }
            _ => {}
        }
    }

    /// Waits until everybody who keeps to the rules has heard all that they are owed.
    fn hear_out(&mut self) {
        let Self { auditors, senders, said, .. } = self;
        for (number, peer) in auditors.iter_mut().enumerate() {
            wait_for("an auditor hears every sender of its room", || {
                assert!(peer.listen(), "auditor {number} is there to the end");
                has_heard(peer, number % ROOMS, None, said).then_some(())
            });
        }
        for (number, peer) in senders.iter_mut().enumerate() {
            wait_for("a sender hears the others of its room", || {
                assert!(peer.listen(), "sender {number} is there to the end");
                has_heard(peer, number % ROOMS, Some(number), said).then_some(())
            });
        }
    }
}

/// Whether the peer has heard everything that the senders of a room have said, but for what it said itself.
fn has_heard(peer: &Peer, room: usize, itself: Option<usize>, said: &[u64]) -> bool {
    let mut of_room = said.iter().enumerate().filter(|(sender, _)| sender % ROOMS == room);
    of_room.all(|(sender, said)| itself == Some(sender) || peer.heard(room, sender) == *said)
}

#[test]
fn nobody_who_keeps_to_the_rules_misses_anything() {
    let seed = std::env::var("SEED").map_or(1977, |text| text.parse().expect("a number"));
    println!("SEED={seed}");
    let server = Embedded::start_with(
        |config| {
            config.server.shards = SHARDS;
            config.limits.outbox_bytes_max = OUTBOX_BYTES_MAX;
            config.limits.handshake_timeout_secs = 2;
            config.limits.close_timeout_secs = 1;
        },
        |builder| builder.route("/", Lounge).bind().expect("it starts"),
    );
    let mut crowd = Crowd::new(server.address, Dice::new(seed));
    for _ in 0..ROUNDS {
        crowd.round();
    }
    let said: u64 = crowd.said.iter().sum();
    println!("{said} messages heard {} times", peer::checked());
    for reason in ["peer", "lost", "protocol", "invalid_utf8", "too_big", "slow_reader"] {
        let label = format!("reason=\"{reason}\"");
        let closed =
            support::server::metric(server.admin, "uproar_sessions_closed_total", &[&label]);
        println!("{closed} closed: {reason}");
        assert!(closed > 0.0, "the test means to have some closed: {reason}");
    }
    drop(crowd);
    for metric in [
        "uproar_sessions",
        "uproar_rooms",
        "uproar_memberships",
        "uproar_outbox_bytes",
        "uproar_sessions_paused",
        "uproar_mailbox_batches",
        "uproar_handshakes_pending",
    ] {
        server.wait_for_metric(metric, |left| left == 0.0);
    }
    server.stop().expect("an orderly end");
}
