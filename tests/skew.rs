//! Every shard has as many sessions as any other, however many shards there are, whichever listener the kernel chooses
//! for a connection, and whoever leaves.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::net::TcpStream;

use uproar::{Context, Handler, Message, Request};

use support::client::Client;
use support::embedded::Embedded;
use support::server::{self, Server};
use support::storm;

/// How far the fullest or the emptiest shard may be from its share.
const SKEW_MAX: f64 = 0.1;

/// How far apart shards may be where the threads of the control runtime ask for the emptiest at the same moment.
const RACE: f64 = 4.0;

/// A metric's samples of each shard.
fn by_shard(admin: std::net::SocketAddr, name: &str, shards: usize) -> Vec<f64> {
    (0..shards).map(|shard| server::metric(admin, name, &[&format!("shard=\"{shard}\"")])).collect()
}

/// How far the furthest of the counts is from their mean, as a part of it.
fn skew(counts: &[f64]) -> f64 {
    let share = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|count| (count - share).abs() / share).fold(0.0, f64::max)
}

#[track_caller]
fn assert_even(counts: &[f64]) {
    let share = counts.iter().sum::<f64>() / counts.len() as f64;
    assert!(skew(counts) <= SKEW_MAX, "{counts:?}");
    assert!(counts.iter().all(|count| (count - share).abs() <= RACE), "{counts:?}");
}

#[test]
fn connections_are_spread_evenly() {
    const CONNECTIONS: usize = 10_000;
    storm::need_descriptors(CONNECTIONS);
    for shards in [1, 2, 4, 8, 64] {
        let server = Server::start(&["--shards", &shards.to_string()]);
        let open = storm::open(server.address, "/", CONNECTIONS);
        server.wait_for_metric("uproar_sessions", &[], |count| count == CONNECTIONS as f64);
        let accepted = by_shard(server.admin, "uproar_connections_accepted_total", shards);
        let sessions = by_shard(server.admin, "uproar_sessions", shards);
        println!(
            "{shards} shards: listeners {:.2} % off their share, sessions {:.2} %",
            100.0 * skew(&accepted),
            100.0 * skew(&sessions)
        );
        assert_even(&sessions);
        storm::reset(open);
    }
}

/// Says on which shard a session is.
struct Where;

impl Handler for Where {
    fn open(&self, session: &mut Context<'_>, _request: &Request) {
        let id = session.id().to_string();
        session.send(&id[..2]);
    }

    fn message(&self, _session: &mut Context<'_>, _message: Message<'_>) {}
}

#[test]
fn who_comes_makes_up_for_who_left() {
    const SHARDS: usize = 4;
    const CONNECTIONS: usize = 400;
    let server =
        Embedded::start(SHARDS, |builder| builder.route("/", Where).bind().expect("it starts"));
    let connect = || {
        let mut client = Client::connect(server.address, "/");
        let shard = usize::from_str_radix(client.next().text(), 16).expect("a number");
        (shard, client.stream)
    };
    let mut clients: Vec<(usize, TcpStream)> = (0..CONNECTIONS).map(|_| connect()).collect();
    for empty in 0..SHARDS {
        // Everybody of one shard, and every third of the others.
        let mut number = 0;
        clients.retain(|(shard, _)| {
            number += 1;
            *shard != empty && number % 3 != 0
        });
        let left = clients.len() as f64;
        server.wait_for_metric("uproar_sessions", |sessions| sessions == left);
        clients.extend((clients.len()..CONNECTIONS).map(|_| connect()));
        server.wait_for_metric("uproar_sessions", |sessions| sessions == CONNECTIONS as f64);
        assert_even(&by_shard(server.admin, "uproar_sessions", SHARDS));
    }
}
