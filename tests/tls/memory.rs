//! What a session over TLS costs in resident memory while nothing happens to it.

#![allow(clippy::print_stdout, reason = "figures for those who run the test by hand")]

use std::time::Duration;

use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};

use crate::support::client::{close_frame, frame};
use crate::support::memory::resident_bytes;
use crate::support::pause;
use crate::support::tls::{Files, TlsClient};

/// Beyond what a plain session costs, secrets and what derives further ones from them. A buffer of any kind would be
/// more, and so would the cipher's tables.
const IDLE_BYTES_MAX: usize = 1536;

#[test]
fn an_idle_session_holds_its_secrets_and_no_buffer() {
    const FEW: usize = 200;
    const MORE: usize = 1000;
    for (version, name) in [(&TLS13, "1.3"), (&TLS12, "1.2")] {
        let files = Files::new();
        let server = files.start(&["--shards", "1"], &[]);
        let trust = files.trust_with(ring::default_provider(), &[version]);
        let connect = |count: usize| -> Vec<_> {
            let used = |_| {
                let mut client = TlsClient::connect(server.address, &trust, "/relay/idle");
                // It has read and written, so that every buffer was there that ever is.
                client.write(&frame(0x89, &[b'.'; 100]));
                assert_eq!(client.next().payload.len(), 100);
                client
            };
            (0..count).map(used).collect()
        };
        // Twice the time in which every session is looked at.
        let settled = || {
            pause(Duration::from_secs(3));
            resident_bytes(server.pid())
        };
        // What handshakes need once is not what sessions need.
        for mut client in connect(FEW) {
            client.write(&close_frame(1000));
        }
        let few = connect(FEW);
        let before = settled();
        let more = connect(MORE);
        let after = settled();
        let slope = after.saturating_sub(before) / MORE;
        println!("{slope} bytes for each idle session over TLS {name}");
        assert!(slope <= IDLE_BYTES_MAX, "{slope} bytes for each session over TLS {name}");
        drop((few, more));
    }
}
