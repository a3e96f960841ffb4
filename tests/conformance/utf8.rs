//! Text is UTF-8, checked as it comes (RFC 6455, section 8.1).

use crate::bytes::*;
use crate::row::*;
use crate::support::client::frame;

/// Bytes that are no UTF-8, each wrong in its own way.
const INVALID: [&[u8]; 8] = [
    b"\x80",
    b"\xff",
    b"\xc0\x80",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xe2\x28\xa1",
];

#[test]
fn characters_may_be_cut_between_fragments() {
    let table = Table::new();
    let content = "κόσμε 😀 \u{10ffff} \0";
    let mut frames: Vec<_> =
        content.as_bytes().chunks(1).map(|byte| frame(CONTINUE, byte)).collect();
    frames[0][0] = TEXT_BEGIN;
    frames.push(frame(END, b""));
    table.check("a byte a fragment", &frames, &[text(content)]);
    table.check("whole", &[frame(TEXT, content.as_bytes())], &[text(content)]);
}

#[test]
fn invalid_text_is_a_violation() {
    let table = Table::new();
    for bytes in INVALID {
        let content = [b"good \xc3\xa4 ", bytes].concat();
        let frames = [frame(TEXT, b"before"), frame(TEXT, &content), frame(TEXT, b"after")];
        table.check(&format!("{bytes:x?}"), &frames, &[text("before"), INVALID_UTF8]);
        let frames = [frame(TEXT_BEGIN, b"good"), frame(END, bytes)];
        table.check(&format!("{bytes:x?} in a fragment"), &frames, &[INVALID_UTF8]);
        table.check(&format!("{bytes:x?} as binary"), &[frame(BINARY, bytes)], &[binary(bytes)]);
    }
    table.check("ends within a character", &[frame(TEXT, b"\xf0\x9f\x98")], &[INVALID_UTF8]);
    let frames = [frame(TEXT_BEGIN, b"\xf0\x9f"), frame(END, b"\x98")];
    table.check("ends within a character, in fragments", &frames, &[INVALID_UTF8]);
}

#[test]
fn the_first_wrong_byte_ends_the_session_though_the_message_goes_on() {
    let table = Table::new();
    // The frame announces more than ever comes.
    let whole = frame(TEXT, b"good so far \xff and more");
    table.check("within a frame", &[whole[..6 + 13].to_vec()], &[INVALID_UTF8]);
    table.check(
        "within a message",
        &[frame(TEXT_BEGIN, b"\xf4"), frame(CONTINUE, b"\x90")],
        &[INVALID_UTF8],
    );
    let mut client = table.connect();
    client.write(&whole[..6 + 12]);
    client.write(&whole[6 + 12..6 + 13]);
    assert_eq!(said(&mut client), [INVALID_UTF8]);
}
