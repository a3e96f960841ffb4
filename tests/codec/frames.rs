//! Single frames: lengths, pings and pongs, reserved bits and opcodes, masks (Autobahn's sections 1 to 4).

use crate::peer::*;

/// Payload lengths at which the head's form changes, and around them.
const LENGTHS: [usize; 13] =
    [0, 1, 2, 124, 125, 126, 127, 128, 255, 65_535, 65_536, 65_537, 200_000];

#[test]
fn data_frames_of_every_length() {
    for length in LENGTHS {
        let content = "*".repeat(length);
        check(
            &format!("1.1 text of {length}"),
            &[frame(TEXT, content.as_bytes())],
            &[text(&content)],
        );
        let content: Vec<u8> = (0..length).map(|at| (at * 7) as u8 | 0x80).collect();
        check(
            &format!("1.2 binary of {length}"),
            &[frame(BINARY, &content)],
            &[Heard::Binary(content)],
        );
    }
}

#[test]
fn lengths_are_in_their_shortest_form() {
    for length in [0_u16, 1, 125] {
        let mut long = vec![TEXT, 0x80 | 126];
        long.extend(length.to_be_bytes());
        check(&format!("{length} in 16 bits"), &[long], &[PROTOCOL]);
    }
    for length in [0_u64, 125, 126, 65_535] {
        let mut long = vec![BINARY, 0x80 | 127];
        long.extend(length.to_be_bytes());
        check(&format!("{length} in 64 bits"), &[long], &[PROTOCOL]);
    }
}

#[test]
fn lengths_have_63_bits() {
    for length in [1_u64 << 63, u64::MAX] {
        check(&format!("length {length:x}"), &[head(BINARY, length)], &[PROTOCOL]);
    }
    for length in [(1_u64 << 63) - 1, 1 << 32, MESSAGE_BYTES_MAX as u64 + 1] {
        check(&format!("length {length:x}"), &[head(BINARY, length)], &[TOO_BIG]);
    }
}

#[test]
fn pings_and_pongs() {
    let ping = |payload: &[u8]| Heard::Ping(payload.to_vec());
    let pong = |payload: &[u8]| Heard::Pong(payload.to_vec());
    let bytes: Vec<u8> = (0..125).map(|at| 0xff - at).collect();
    check("2.1 empty ping", &[frame(PING, b"")], &[ping(b"")]);
    check("2.2 ping with text", &[frame(PING, b"Hello, world!")], &[ping(b"Hello, world!")]);
    check(
        "2.3 ping that is not text",
        &[frame(PING, b"\x00\xff\xfe\xfd")],
        &[ping(b"\x00\xff\xfe\xfd")],
    );
    check("2.4 ping of 125 bytes", &[frame(PING, &bytes)], &[ping(&bytes)]);
    check("2.5 ping of 126 bytes", &[frame(PING, &[0xfe; 126])], &[PROTOCOL]);
    check("2.5 ping of 65,536 bytes", &[frame(PING, &[0xfe; 65_536])], &[PROTOCOL]);
    check("2.7 empty pong unasked", &[frame(PONG, b"")], &[pong(b"")]);
    check("2.8 pong unasked", &[frame(PONG, b"unsolicited")], &[pong(b"unsolicited")]);
    check(
        "2.9 pong, then ping",
        &[frame(PONG, b"unsolicited"), frame(PING, b"ping")],
        &[pong(b"unsolicited"), ping(b"ping")],
    );
    let payloads = (b'0'..=b'9').map(|digit| vec![digit]);
    let frames: Vec<_> = payloads.clone().map(|payload| frame(PING, &payload)).collect();
    check("2.10 ten pings", &frames, &payloads.map(Heard::Ping).collect::<Vec<_>>());
    check("pong of 126 bytes", &[frame(PONG, &[0; 126])], &[PROTOCOL]);
}

#[test]
fn reserved_bits() {
    for bits in 1..8_u8 {
        for first in [TEXT, BINARY, CLOSE, PING, PONG, TEXT_BEGIN] {
            let frames =
                [frame(TEXT, b"before"), frame(first | bits << 4, b""), frame(TEXT, b"after")];
            check(&format!("3 bits {bits} on {first:x}"), &frames, &[text("before"), PROTOCOL]);
        }
    }
    let frames = [frame(TEXT_BEGIN, b"be"), frame(END | 0x40, b"gun")];
    check("3 bit within a message", &frames, &[PROTOCOL]);
}

#[test]
fn reserved_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"reserved"] {
            let frames = [frame(TEXT, b"before"), frame(0x80 | opcode, payload), frame(PING, b"")];
            check(&format!("4 opcode {opcode}"), &frames, &[text("before"), PROTOCOL]);
        }
        let frames = [frame(BINARY_BEGIN, b"a"), frame(0x80 | opcode, b""), frame(END, b"b")];
        check(&format!("4 opcode {opcode} within a message"), &frames, &[PROTOCOL]);
    }
}

#[test]
fn unmasked_frames() {
    for first in [TEXT, BINARY, CLOSE, PING, PONG, TEXT_BEGIN] {
        check(&format!("unmasked {first:x}"), &[vec![first, 0]], &[PROTOCOL]);
        check(
            &format!("unmasked {first:x} of 5"),
            &[vec![first, 5], b"Hello".to_vec()],
            &[PROTOCOL],
        );
    }
    let frames = [frame(TEXT_BEGIN, b"masked, "), vec![END, 3], b"not".to_vec()];
    check("unmasked continuation", &frames, &[PROTOCOL]);
}

#[test]
fn many_frames_in_one_read() {
    let frames: Vec<_> =
        (0..500).map(|number| frame(TEXT, format!("{number}").as_bytes())).collect();
    let expected: Vec<_> = (0..500).map(|number| text(&number.to_string())).collect();
    check("500 frames", &frames, &expected);
}
