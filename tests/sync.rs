//! With `log.synchronous = "full"` the disk has a message before anybody hears of it: a kill cannot show that, because
//! the kernel keeps what a process wrote; the order of the system calls can.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]
#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::net::SocketAddr;

use serde_json::json;

use support::chat::ChatClient;
use support::data_dir::DataDir;
use support::strace::{Call, Traced, bytes, calls};

const CLIENTS: usize = 4;
const MESSAGES: usize = 25;

/// That many are on the way at once, so that some are stored together.
const WINDOW: usize = 5;

/// Enough to show a whole page of the database.
const OPTIONS: [&str; 4] =
    ["-y", "-s4200", "-e", "trace=write,writev,pwrite64,sendto,sendmsg,sendmmsg,fsync,fdatasync"];

/// A frame of the write-ahead log is a head of that many bytes, and a page.
const HEAD_BYTES: usize = 24;

/// What was said: its id and its body.
type Said = (String, String);

/// What a server did that was said so much to.
fn trace(synchronous: &str) -> (Vec<Call>, Vec<Said>) {
    let data_dir = DataDir::new();
    let settings = format!("[log]\nsynchronous = \"{synchronous}\"\n");
    let path = data_dir.path().join("uproar.toml");
    std::fs::write(&path, settings).expect("a file can be written");
    let (path, directory) = (path.to_str().expect("text"), data_dir.path().to_str().expect("text"));
    let arguments = ["--shards", "2", "--config", path, "--data-dir", directory];
    let traced = Traced::start(&format!("sync-{synchronous}"), &OPTIONS, &arguments);
    let said = talk(traced.server.address);
    (calls(&traced.finish()), said)
}

/// Has clients say things by turns and hear them all.
fn talk(address: SocketAddr) -> Vec<Said> {
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|number| ChatClient::connect(address, &format!("c{number}"))).collect();
    for client in &mut clients {
        client.join("a");
    }
    let mut said = Vec::new();
    for round in 0..MESSAGES / WINDOW {
        for (number, client) in clients.iter_mut().enumerate() {
            for count in 0..WINDOW {
                let body = format!("proof {number} {:03}.", round * WINDOW + count);
                said.push((client.say("a", &json!(body)), body));
            }
        }
        for client in &mut clients {
            (0..WINDOW).for_each(|_| drop(client.await_type("ack")));
            (0..WINDOW * CLIENTS).for_each(|_| drop(client.await_type("message")));
        }
    }
    said
}

/// What a trace says of messages: when they were stored, and when somebody was told.
struct Trace<'a> {
    writes: Vec<&'a Call>,
    syncs: Vec<&'a Call>,
    sends: Vec<&'a Call>,
}

impl<'a> Trace<'a> {
    fn new(calls: &'a [Call]) -> Self {
        let is_wal = |call: &&Call| call.arguments.contains("/uproar.db-wal>");
        let is_sync = |call: &&Call| call.name.ends_with("sync");
        let (syncs, writes): (Vec<_>, Vec<_>) = calls.iter().filter(is_wal).partition(is_sync);
        let is_socket = |call: &&Call| {
            let descriptor = call.arguments.split(',').next().unwrap_or_default();
            descriptor.contains("socket:") || descriptor.contains("TCP:")
        };
        Self { writes, syncs, sends: calls.iter().filter(is_socket).collect() }
    }

    /// The call that wrote the end of the transaction that a message was stored with.
    fn commit(&self, body: &str) -> &Call {
        let wrote = |call: &&Call| call.arguments.contains(body);
        let page = self.writes.iter().position(wrote).expect("the message is written");
        let is_commit = |head: &[u8]| head.len() == HEAD_BYTES && head[4..8] != [0; 4];
        // The head of a frame comes ahead of its page.
        let heads = page - 1..self.writes.len() - 1;
        let mut heads = heads.filter(|at| is_commit(&bytes(&self.writes[*at].arguments)));
        self.writes[heads.next().expect("the transaction ends") + 1]
    }

    /// The line on which a socket is first given something that has this in it.
    fn told(&self, what: &str) -> usize {
        let what = what.replace('"', "\\\"");
        let told = self.sends.iter().find(|call| call.arguments.contains(&what));
        told.unwrap_or_else(|| panic!("nobody was told {what}")).begin
    }

    /// Whether the write-ahead log was synced, all of it, after that call and before that line.
    fn is_synced(&self, commit: &Call, told: usize) -> bool {
        self.syncs
            .iter()
            .any(|sync| sync.begin > commit.end && sync.end < told && sync.result.starts_with('0'))
    }
}

/// How many messages somebody heard of, or their senders had an ack for, before they were synced: of all of them. Each
/// must have been written.
fn told_too_early(synchronous: &str) -> (usize, usize) {
    let (calls, said) = trace(synchronous);
    let trace = Trace::new(&calls);
    let mut too_early = 0;
    for (client_id, body) in &said {
        let commit = trace.commit(body);
        let heard = trace.told(&format!(r#""body":"{body}""#));
        let acked = trace.told(&format!(r#"{{"type":"ack","client_id":"{client_id}""#));
        for (told, what) in [(heard, "message"), (acked, "ack")] {
            assert!(commit.end < told, "the {what} of {body:?} goes out before it is written");
            too_early += usize::from(!trace.is_synced(commit, told));
        }
    }
    let (writes, syncs) = (trace.writes.len(), trace.syncs.len());
    println!("{synchronous}: {} said, {writes} writes, {syncs} syncs of the log", said.len());
    (too_early, 2 * said.len())
}

#[test]
fn full_syncs_before_anybody_is_told() {
    let (too_early, all) = told_too_early("full");
    assert_eq!(too_early, 0, "of {all} acks and messages");
}

#[test]
fn normal_leaves_that_to_the_kernel() {
    let (too_early, all) = told_too_early("normal");
    assert!(
        too_early > 0,
        "each of {all} waited for a sync, or the check sees none that is missing"
    );
}
