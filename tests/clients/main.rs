//! Other people's clients, unchanged, against the running server: stock `fastwebsockets` and `tokio-tungstenite`.

#![allow(clippy::expect_used, reason = "the functions that the tests share fail the test")]

#[path = "../support/mod.rs"]
mod support;

mod fast;
mod peer;
mod tungstenite;

use std::ops::Range;

use fast::Fast;
use peer::{Peer, Said};
use support::server::Server;
use tungstenite::Tungstenite;

const MIB: usize = 1 << 20;

fn server() -> Server {
    Server::start_with(&["--echo"], &[("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "16777216")])
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, range: Range<usize>) -> usize {
        // An xorshift generator.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + self.0 as usize % range.len()
    }

    /// A message, of any order of magnitude up to `bytes_max`.
    fn message(&mut self, bytes_max: usize) -> Said {
        let magnitude = self.next(0..bytes_max.ilog2() as usize + 1);
        let length = self.next(0..(2 << magnitude).min(bytes_max + 1));
        if self.next(0..2) == 0 {
            return Said::Binary((0..length).map(|_| self.next(0..256) as u8).collect());
        }
        let characters = ['a', 'ß', '€', '😀', '\0', '"'];
        Said::Text((0..length / 4).map(|_| characters[self.next(0..6)]).collect())
    }
}

async fn echo<P: Peer>() {
    let server = server();
    let mut peer = P::connect(server.address, "/echo").await;
    for length in [0, 1, 125, 126, 65_535, 65_536, MIB, 16 * MIB] {
        for message in [Said::Binary(vec![0xa5; length]), Said::Text("x".repeat(length))] {
            peer.send(&message, usize::MAX).await;
            assert!(peer.receive().await == message, "{length} bytes");
        }
    }
    let mut numbers = Numbers(0x5eed_1e55);
    for _ in 0..100 {
        let message = numbers.message(MIB);
        let fragment_bytes = match numbers.next(0..3) {
            0 => usize::MAX,
            _ => numbers.next(1..10_000),
        };
        peer.send(&message, fragment_bytes).await;
        assert!(peer.receive().await == message, "in fragments of {fragment_bytes}");
    }
    peer.close(3001).await;
    assert_eq!(peer.receive().await, Said::Close(3001));
    peer.end().await;
}

#[tokio::test]
async fn fastwebsockets_is_echoed() {
    echo::<Fast>().await;
}

#[tokio::test]
async fn tungstenite_is_echoed() {
    echo::<Tungstenite>().await;
}

/// Both say something of every kind, the other one hears it as it was said.
async fn relay<A: Peer, B: Peer>() {
    let server = server();
    let mut one = A::connect(server.address, "/relay/room").await;
    let mut other = B::connect(server.address, "/relay/room").await;
    let mut numbers = Numbers(0xc0ff_ee11);
    for _ in 0..50 {
        // Small enough to fit what nobody reads yet: both speak before either listens.
        let (mine, yours) = (numbers.message(16 * 1024), numbers.message(16 * 1024));
        let fragment_bytes = numbers.next(1..20_000);
        one.send(&mine, fragment_bytes).await;
        other.send(&yours, usize::MAX).await;
        assert!(other.receive().await == mine, "in fragments of {fragment_bytes}");
        assert!(one.receive().await == yours);
    }
    let large = Said::Binary((0..MIB).map(|at| (at * 31) as u8).collect());
    tokio::join!(one.send(&large, 100_000), async { assert!(other.receive().await == large) });
    tokio::join!(other.send(&large, usize::MAX), async { assert!(one.receive().await == large) });

    one.close(1000).await;
    assert_eq!(one.receive().await, Said::Close(1000));
    one.end().await;
    server.signal("TERM");
    assert_eq!(other.receive().await, Said::Close(1001));
    other.end().await;
}

#[tokio::test]
async fn fastwebsockets_talks_with_fastwebsockets() {
    relay::<Fast, Fast>().await;
}

#[tokio::test]
async fn fastwebsockets_talks_with_tungstenite() {
    relay::<Fast, Tungstenite>().await;
}

#[tokio::test]
async fn tungstenite_talks_with_fastwebsockets() {
    relay::<Tungstenite, Fast>().await;
}

#[tokio::test]
async fn tungstenite_talks_with_tungstenite() {
    relay::<Tungstenite, Tungstenite>().await;
}
