//! Chance as a peer: bytes without any sense, and streams of right frames with some of their bits turned. The test says
//! its seed; `SEED=…` in the environment has it take the same bytes again.

use std::io::Write;
use std::net::Shutdown;

use crate::arena::Arena;
use crate::support::client::{Client, close_frame, frame, request};
use crate::support::dice::Dice;
use crate::support::server::Server;

const PEERS: usize = 300;

fn dice() -> Dice {
    let seed = std::env::var("SEED").map_or(1955, |text| text.parse().expect("a number"));
    eprintln!("SEED={seed}");
    Dice::new(seed)
}

fn noise(dice: &mut Dice, bytes_max: usize) -> Vec<u8> {
    (0..dice.below(bytes_max)).map(|_| dice.below(256) as u8).collect()
}

/// Right frames of all kinds, of which one byte in fifty or so is another one.
fn nearly_right(dice: &mut Dice) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..dice.below(12) {
        let heads = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a];
        let head = heads[dice.below(heads.len())];
        let length = if head >= 0x88 { dice.below(126) } else { dice.length() % 3000 };
        stream.extend(frame(head, &vec![b'a'; length]));
    }
    stream.extend(close_frame(1000));
    for _ in 0..dice.below(1 + stream.len() / 50) {
        let at = dice.below(stream.len());
        stream[at] ^= 1 << dice.below(8);
    }
    stream
}

/// Sends the bytes, closes its side, and reads frames to the end, which may come as a reset where the server would not
/// read everything.
fn attack(server: &Server, path: &str, bytes: &[u8]) {
    let mut client = Client::connect(server.address, path);
    let _ = client.stream.write_all(bytes);
    let _ = client.stream.shutdown(Shutdown::Write);
    while let Ok(Some(received)) = client.read() {
        assert!([1, 2, 8, 9, 10].contains(&received.opcode()), "{received:?}");
    }
}

#[test]
fn noise_behind_the_handshake() {
    let mut dice = dice();
    let mut arena = Arena::new(&[]);
    for path in ["/echo", "/relay/noise", "/chat"] {
        arena.case(&format!("noise on {path}"), &[], |server| {
            for _ in 0..PEERS {
                attack(server, path, &noise(&mut dice, 2000));
            }
        });
        arena.case(&format!("frames with turned bits on {path}"), &[], |server| {
            for _ in 0..PEERS {
                attack(server, path, &nearly_right(&mut dice));
            }
        });
    }
}

#[test]
fn noise_in_place_of_the_handshake() {
    let mut dice = dice();
    let mut arena = Arena::new(&[]);
    arena.case("noise", &[], |server| {
        for _ in 0..PEERS {
            let bytes = [noise(&mut dice, 2000), b"\r\n\r\n".to_vec()].concat();
            let answer = crate::handshakes::exchange(server.address, &bytes);
            assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
        }
    });
    arena.case("a handshake with turned bits", &[], |server| {
        for _ in 0..PEERS {
            let mut bytes = request("/relay/noise").into_bytes();
            for _ in 0..1 + dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            let mut client = Client::raw(server.address);
            client.write(&bytes);
            client.stream.shutdown(Shutdown::Write).expect("it has two sides");
            let mut answer = Vec::new();
            let _ = std::io::Read::read_to_end(&mut client.stream, &mut answer);
            assert!(
                answer.starts_with(b"HTTP/1.") || answer.is_empty(),
                "{}",
                answer.escape_ascii()
            );
        }
    });
}
