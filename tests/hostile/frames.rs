//! Frames that break the rules. Which rule gets which code is the matter of the conformance tests; here each is broken
//! by many at once, next to somebody who keeps to them.

use std::time::Duration;

use crate::arena::{Arena, closed};
use crate::support::client::{Client, close_frame, frame};
use crate::support::pause;
use crate::support::server::Server;

/// How many do the same.
const PEERS: usize = 20;

/// Has so many connect to the echo, send `bytes` and be closed with `code`.
fn all_closed(server: &Server, bytes: &[u8], code: u16) -> Vec<Client> {
    let mut clients: Vec<_> =
        (0..PEERS).map(|_| Client::connect(server.address, "/echo")).collect();
    clients.iter_mut().for_each(|client| client.write(bytes));
    for client in &mut clients {
        let close = client.rest().pop().expect("a close");
        assert_eq!(close.close_code(), code, "{}", bytes[..bytes.len().min(40)].escape_ascii());
    }
    clients
}

/// The head of a masked frame that announces `length` bytes in 64 bits.
fn announced(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127], &length.to_be_bytes()[..], &[1, 2, 3, 4]].concat()
}

#[test]
fn frames_that_no_client_may_send() {
    let mut arena = Arena::new(&[]);
    for (what, bytes) in [
        ("not masked", vec![0x81, 5, b'h', b'e', b'l', b'l', b'o']),
        ("a reserved bit", frame(0xc1, b"hello")),
        ("all reserved bits", frame(0xf1, b"hello")),
        ("a reserved opcode", frame(0x83, b"hello")),
        ("a reserved control opcode", frame(0x8f, b"hello")),
        ("a length in 16 bits that fits 7", vec![0x81, 0x80 | 126, 0, 5, 1, 2, 3, 4]),
        ("a length in 64 bits that fits 16", announced(0x81, 300)),
        ("a length of 64 bits", announced(0x82, u64::MAX)),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126])),
        ("a close of 126 bytes", frame(0x88, &[b'x'; 126])),
        ("a ping in fragments", frame(0x09, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a message within a message", [frame(0x01, b"x"), frame(0x81, b"y")].concat()),
    ] {
        arena.case(what, &[closed("protocol", PEERS)], |server| all_closed(server, &bytes, 1002));
    }
    for (what, payload) in [
        ("one byte", vec![3]),
        ("a code of 0", vec![0, 0]),
        ("a code below 1000", 999_u16.to_be_bytes().to_vec()),
        ("a code that stands for none", 1005_u16.to_be_bytes().to_vec()),
        ("a code that stands for a loss", 1006_u16.to_be_bytes().to_vec()),
        ("a code that stands for TLS", 1015_u16.to_be_bytes().to_vec()),
        ("a code of nobody", 2999_u16.to_be_bytes().to_vec()),
        ("a code above 4999", 65_535_u16.to_be_bytes().to_vec()),
    ] {
        let bytes = frame(0x88, &payload);
        let what = format!("a close with {what}");
        arena.case(&what, &[closed("protocol", PEERS)], |server| all_closed(server, &bytes, 1002));
    }
}

#[test]
fn text_that_is_none_wherever_it_is_wrong() {
    const WRONG: [&[u8]; 8] = [
        b"\xff",
        b"\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
    ];
    const GOOD: &str = "aé€😀 and so on é€😀";
    let mut arena = Arena::new(&[]);
    for wrong in WRONG {
        let what = format!("{} at every position", wrong.escape_ascii());
        let positions: Vec<_> = (0..=GOOD.len()).filter(|at| GOOD.is_char_boundary(*at)).collect();
        let sent = |at: usize| [&GOOD.as_bytes()[..at], wrong, &GOOD.as_bytes()[at..]].concat();
        // Whole, in the reason of a close, and in two fragments, cut within what is wrong or before it.
        let times = 3 * positions.len();
        arena.case(&what, &[closed("invalid_utf8", times)], |server| {
            let open = |bytes: Vec<u8>| {
                let mut client = Client::connect(server.address, "/echo");
                client.write(&bytes);
                client
            };
            let attacks = positions.iter().flat_map(|&at| {
                let text = sent(at);
                let (start, end) = text.split_at(at + wrong.len() / 2);
                let reason = [&1000_u16.to_be_bytes()[..], &text].concat();
                [
                    frame(0x81, &text),
                    frame(0x88, &reason),
                    [frame(0x01, start), frame(0x80, end)].concat(),
                ]
            });
            let mut clients: Vec<_> = attacks.map(open).collect();
            for client in &mut clients {
                assert_eq!(client.rest().pop().expect("a close").close_code(), 1007);
            }
            clients
        });
    }
}

#[test]
fn what_is_announced_and_never_sent() {
    let settings = [
        ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "16777216"),
        ("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", "1"),
    ];
    let mut arena = Arena::new(&settings);
    for (what, length) in
        [("16 MiB and a byte", (16 << 20) + 1), ("4 GiB", 1 << 32), ("all there is", (1 << 63) - 1)]
    {
        arena.case(what, &[closed("too_big", PEERS)], |server| {
            all_closed(server, &announced(0x82, length), 1009)
        });
    }
    // Within the limit, so that they have to be waited for: 3 GiB in all.
    const ANNOUNCERS: usize = 200;
    arena.case("16 MiB each by 200", &[closed("message_timeout", ANNOUNCERS)], |server| {
        let mut clients: Vec<_> =
            (0..ANNOUNCERS).map(|_| Client::connect(server.address, "/echo")).collect();
        let bytes = [announced(0x82, 16 << 20), b"a few".to_vec()].concat();
        clients.iter_mut().for_each(|client| client.write(&bytes));
        for client in &mut clients {
            assert_eq!(client.next().close_code(), 1008);
        }
        clients
    });
}

#[test]
fn frames_that_take_their_time() {
    let mut arena = Arena::new(&[("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", "2")]);
    let whole = frame(0x81, b"slowly");
    arena.case("a byte a second", &[closed("message_timeout", PEERS)], |server| {
        let mut clients: Vec<_> =
            (0..PEERS).map(|_| Client::connect(server.address, "/echo")).collect();
        for byte in whole.chunks(1).take(4) {
            // Whoever is closed by then does not hear it.
            for client in &mut clients {
                let _ = std::io::Write::write_all(&mut client.stream, byte);
            }
            pause(Duration::from_secs(1));
        }
        for client in &mut clients {
            assert_eq!(client.next().close_code(), 1008);
        }
        clients
    });
    arena.case("cut off anywhere", &[closed("message_timeout", whole.len() - 1)], |server| {
        let cut = |length: usize| {
            let mut client = Client::connect(server.address, "/echo");
            client.write(&whole[..length]);
            client
        };
        let mut clients: Vec<_> = (1..whole.len()).map(cut).collect();
        for client in &mut clients {
            assert_eq!(client.next().close_code(), 1008);
        }
        clients
    });
    arena.case("cut off by the end", &[closed("lost", whole.len() - 1)], |server| {
        for length in 1..whole.len() {
            let mut client = Client::connect(server.address, "/echo");
            client.write(&whole[..length]);
            client.stream.shutdown(std::net::Shutdown::Write).expect("it has two sides");
            // Nothing is said to what was not finished.
            let frames = client.rest();
            assert!(frames.iter().all(|frame| frame.opcode() == 8), "{frames:?}");
        }
    });
    arena.case("8 MiB behind a close", &[closed("peer", PEERS)], |server| {
        let bytes = [close_frame(1000), vec![0xff; 8 << 20]].concat();
        for _ in 0..PEERS {
            let mut client = Client::connect(server.address, "/echo");
            let _ = std::io::Write::write_all(&mut client.stream, &bytes);
            assert_eq!(client.next().close_code(), 1000);
        }
    });
}
