//! Single frames: lengths, masks, reserved bits and opcodes, pings and pongs (RFC 6455, sections 5.1, 5.2 and 5.5).

use crate::bytes::*;
use crate::row::*;
use crate::support::client::frame;

#[test]
fn every_form_of_length_is_echoed_as_it_came() {
    let table = Table::new();
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let content: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        table.check(
            &format!("binary of {length}"),
            &[frame(BINARY, &content)],
            &[binary(&content)],
        );
        let content = "ä".repeat(length / 2);
        table.check(
            &format!("text of {length}"),
            &[frame(TEXT, content.as_bytes())],
            &[text(&content)],
        );
    }
}

#[test]
fn a_length_in_more_bytes_than_it_needs_is_a_violation() {
    let table = Table::new();
    table.check("125 in 16 bits", &[vec![TEXT, 0xfe, 0, 125]], &[PROTOCOL]);
    table.check("0 in 16 bits", &[vec![TEXT, 0xfe, 0, 0]], &[PROTOCOL]);
    table.check("65,535 in 64 bits", &[long_head(BINARY, 65_535)], &[PROTOCOL]);
    table.check("2^63", &[long_head(BINARY, 1 << 63)], &[PROTOCOL]);
}

#[test]
fn an_unmasked_frame_is_a_violation() {
    let table = Table::new();
    for first in [TEXT, BINARY, PING, PONG, CLOSE, TEXT_BEGIN] {
        table.check(&format!("unmasked {first:#x}"), &[vec![first, 2, b'h', b'i']], &[PROTOCOL]);
    }
    let frames = [frame(TEXT, b"masked"), vec![TEXT, 1, b'a']];
    table.check("unmasked behind a masked one", &frames, &[text("masked"), PROTOCOL]);
}

#[test]
fn reserved_bits_are_a_violation() {
    let table = Table::new();
    for bits in 1..8_u8 {
        let frames = [frame(TEXT, b"before"), frame(TEXT | bits << 4, b"x"), frame(TEXT, b"after")];
        table.check(&format!("bits {bits}"), &frames, &[text("before"), PROTOCOL]);
    }
    table.check("on a ping", &[frame(PING | 0x40, b"")], &[PROTOCOL]);
    table.check("on a close", &[frame(CLOSE | 0x20, b"")], &[PROTOCOL]);
    table.check("on a fragment", &[frame(TEXT_BEGIN, b"a"), frame(END | 0x10, b"b")], &[PROTOCOL]);
}

#[test]
fn reserved_opcodes_are_a_violation() {
    let table = Table::new();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let frames = [frame(TEXT, b"before"), frame(0x80 | opcode, b""), frame(PING, b"after")];
        table.check(&format!("opcode {opcode}"), &frames, &[text("before"), PROTOCOL]);
    }
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let table = Table::new();
    let longest: Vec<u8> = (0..125).map(|at| 0xff - at).collect();
    for payload in [&b""[..], b"hello", b"\x00\xff\xfe", &longest] {
        table.check("ping", &[frame(PING, payload)], &[pong(payload)]);
    }
    table.check("pongs are not answered", &[frame(PONG, b""), frame(PONG, b"unasked")], &[]);
    let pings: Vec<_> = (0..10_u8).map(|number| frame(PING, &[number; 9])).collect();
    let pongs: Vec<_> = (0..10_u8).map(|number| pong(&[number; 9])).collect();
    table.check("ten pings", &pings, &pongs);
}

#[test]
fn a_control_frame_is_short_and_whole() {
    let table = Table::new();
    for first in [PING, PONG, CLOSE] {
        table.check(
            &format!("126 bytes of {first:#x}"),
            &[frame(first, &[b'0'; 126])],
            &[PROTOCOL],
        );
        table.check(&format!("{first:#x} in 64 bits"), &[long_head(first, 70_000)], &[PROTOCOL]);
        table.check(&format!("fragment of {first:#x}"), &[frame(first & 0x7f, b"")], &[PROTOCOL]);
    }
}

#[test]
fn many_messages_in_one_write_are_all_echoed_in_order() {
    let table = Table::new();
    let contents: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
    let frames: Vec<_> = contents.iter().map(|content| frame(TEXT, content.as_bytes())).collect();
    let expected: Vec<_> = contents.iter().map(|content| text(content)).collect();
    table.check("2,000 messages", &frames, &expected);
}
