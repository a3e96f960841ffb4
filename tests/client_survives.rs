//! The client against the real server, in Node and in a real browser at once: the server is killed under it and
//! started again, the network swallows packets, and every message arrives exactly once, in one order.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

#[allow(dead_code, reason = "shared with the tests of the demo page")]
mod browser {
    pub(crate) mod chromium;
    pub(crate) mod deadline;
    pub(crate) mod tab;
}

mod client {
    pub(crate) mod crowd;
    pub(crate) mod far;
    pub(crate) mod node;
}

use std::net::{Ipv4Addr, TcpListener};

use client::crowd::Crowd;
use client::far::{Far, is_inside};
use support::data_dir::DataDir;
use support::server::Server;

/// How often each test disturbs what the clients rely on.
const ROUNDS: usize = 5;

/// Seconds; two of them without a word, and a client takes its connection for dead.
const HEARTBEAT: (&str, &str) = ("UPROAR_LIMITS__HEARTBEAT_SECS", "1");

#[test]
fn every_message_arrives_once_though_the_server_is_killed() {
    let data = DataDir::new();
    let port = free_port();
    let start = || {
        let data = data.path().to_str().expect("a path of text");
        let listen = format!("127.0.0.1:{port}");
        Server::start_with(&["--listen", &listen, "--data-dir", data], &[HEARTBEAT])
    };
    let mut server = start();
    let mut crowd = Crowd::begin(&format!("127.0.0.1:{port}"));
    for _ in 0..ROUNDS {
        crowd.talk_for_a_while();
        // Dropped, it is killed: no signal that it could act on.
        drop(server);
        crowd.wait_for_outage();
        server = start();
        crowd.wait_for_all_to_be_back();
    }
    crowd.talk_for_a_while();
    crowd.end();
}

#[test]
fn every_message_arrives_once_though_the_network_swallows_packets() {
    let name = "every_message_arrives_once_though_the_network_swallows_packets";
    if !is_inside() {
        client::far::run_inside(name);
        return;
    }
    let far = Far::new();
    let data = DataDir::new();
    let _server = far.start_server(&data, HEARTBEAT);
    let mut crowd = Crowd::begin(&far.address());
    for _ in 0..ROUNDS {
        crowd.talk_for_a_while();
        far.cut();
        crowd.wait_for_outage();
        far.mend();
        crowd.wait_for_all_to_be_back();
    }
    crowd.talk_for_a_while();
    crowd.end();
}

/// A port that was free a moment ago, for a server that has to come back on the same one.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}
