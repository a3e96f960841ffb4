//! Messages in fragments, and what may come between them (RFC 6455, section 5.4).

use crate::bytes::*;
use crate::row::*;
use crate::support::client::frame;

#[test]
fn fragments_are_put_together() {
    let table = Table::new();
    let frames = [frame(TEXT_BEGIN, b"frag"), frame(CONTINUE, b"men"), frame(END, b"ted")];
    table.check("text in three", &frames, &[text("fragmented")]);
    let frames = [frame(BINARY_BEGIN, b""), frame(CONTINUE, b""), frame(END, b"")];
    table.check("binary of empty fragments", &frames, &[binary(b"")]);
    let mut frames = vec![frame(TEXT_BEGIN, b"")];
    frames.extend((0..10_000).map(|_| frame(CONTINUE, b"")));
    frames.push(frame(END, b"end"));
    table.check("10,000 empty fragments", &frames, &[text("end")]);
    let content = vec![0xa5; 1 << 20];
    let mut frames: Vec<_> = content.chunks(1_000).map(|piece| frame(CONTINUE, piece)).collect();
    frames[0][0] = BINARY_BEGIN;
    frames.push(frame(END, b""));
    table.check("1 MiB in fragments of 1,000 bytes", &frames, &[binary(&content)]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let table = Table::new();
    let frames = [
        frame(TEXT_BEGIN, b"be"),
        frame(PING, b"1"),
        frame(CONTINUE, b"twe"),
        frame(PONG, b"unasked"),
        frame(PING, b"2"),
        frame(END, b"en"),
    ];
    table.check("pings between fragments", &frames, &[pong(b"1"), pong(b"2"), text("between")]);
    let frames = [frame(TEXT_BEGIN, b"cut"), frame(CLOSE, b"\x03\xe8")];
    table.check("a close within a message", &frames, &[Said::Close(1000)]);
}

#[test]
fn fragments_out_of_order_are_a_violation() {
    let table = Table::new();
    let before = frame(TEXT, b"before");
    for first in [CONTINUE, END] {
        let frames = [before.clone(), frame(first, b"of nothing"), frame(TEXT, b"after")];
        table.check(&format!("{first:#x} of nothing"), &frames, &[text("before"), PROTOCOL]);
    }
    for first in [TEXT, BINARY, TEXT_BEGIN, BINARY_BEGIN] {
        let frames = [before.clone(), frame(BINARY_BEGIN, b"begun"), frame(first, b"another")];
        table.check(&format!("{first:#x} within a message"), &frames, &[text("before"), PROTOCOL]);
    }
    let frames = [frame(TEXT_BEGIN, b"a"), frame(END, b"b"), frame(END, b"c")];
    table.check("a second end", &frames, &[text("ab"), PROTOCOL]);
}
