//! Close frames, received (Autobahn's section 7) and sent.

use uproar::Close;
use uproar::protocol::CloseReason;
use uproar::protocol::frame::{Violation, encode_close};

use crate::peer::*;

fn payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

#[test]
fn payloads() {
    let close = |code: u16, reason: &str| Heard::Close(Some(Close::new(code, reason)));
    let longest = "*".repeat(123);
    check("7.3.1 empty", &[frame(CLOSE, b"")], &[Heard::Close(None)]);
    check("7.3.2 one byte", &[frame(CLOSE, b"a")], &[PROTOCOL]);
    check("7.3.3 code alone", &[frame(CLOSE, &payload(1000, b""))], &[close(1000, "")]);
    check(
        "7.3.4 with a reason",
        &[frame(CLOSE, &payload(1000, b"Hello World!"))],
        &[close(1000, "Hello World!")],
    );
    check(
        "7.3.5 longest",
        &[frame(CLOSE, &payload(1000, longest.as_bytes()))],
        &[close(1000, &longest)],
    );
    check("7.3.6 too long", &[frame(CLOSE, &payload(1000, &[b'*'; 124]))], &[PROTOCOL]);
    check(
        "7.5.1 not UTF-8",
        &[frame(CLOSE, &payload(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"))],
        &[INVALID_UTF8],
    );
    check("ends within a character", &[frame(CLOSE, &payload(1000, b"\xe2\x82"))], &[INVALID_UTF8]);
    check("wrong code before wrong reason", &[frame(CLOSE, &payload(999, b"\xff"))], &[PROTOCOL]);
}

#[test]
fn nothing_is_heard_after_a_close() {
    let closed = Heard::Close(Some(Close::normal()));
    let frames = [
        frame(TEXT, b"before"),
        frame(CLOSE, &payload(1000, b"")),
        frame(TEXT, b"after"),
        vec![0xff; 20],
    ];
    check("7.1 after a close", &frames, &[text("before"), closed]);
}

#[test]
fn codes() {
    let mut valid = vec![];
    valid.extend(1000..=1003);
    valid.extend(1007..=1014);
    valid.extend(3000..=4999);
    for code in 0..=u16::MAX {
        let stream = frame(CLOSE, &payload(code, b""));
        let expected =
            if valid.contains(&code) { Heard::Close(Some(Close::new(code, ""))) } else { PROTOCOL };
        assert_eq!(hear([&stream[..]], MESSAGE_BYTES_MAX), [expected], "7.7 and 7.9, code {code}");
        let mut sent = Vec::new();
        encode_close(Some(&Close::new(code, "bye")), &mut sent);
        let expected = if valid.contains(&code) {
            [&b"\x88\x05"[..], &payload(code, b"bye")].concat()
        } else {
            vec![0x88, 0]
        };
        assert_eq!(sent, expected, "code {code} sent");
    }
}

#[test]
fn reasons_are_cut_at_a_character() {
    for (reason, kept) in [
        ("a".repeat(123), 123),
        ("a".repeat(124), 123),
        ("é".repeat(100), 122),
        ("€".repeat(100), 123),
        (format!("a{}", "€".repeat(100)), 121),
        (format!("a{}", "😀".repeat(100)), 121),
    ] {
        let mut sent = Vec::new();
        encode_close(Some(&Close::new(1001_u16, reason.clone())), &mut sent);
        assert_eq!(sent[..4], [0x88, kept + 2, 0x03, 0xe9]);
        assert_eq!(&sent[4..], &reason.as_bytes()[..usize::from(kept)]);
    }
    let mut sent = Vec::new();
    encode_close(None, &mut sent);
    assert_eq!(sent, [0x88, 0]);
}

#[test]
fn each_violation_has_its_close_code() {
    for (violation, code) in [
        (Violation::Protocol("wrong"), 1002),
        (Violation::InvalidUtf8, 1007),
        (Violation::TooBig, 1009),
    ] {
        let close = CloseReason::from(violation).close().expect("a violation is answered");
        assert_eq!(close.code, code);
        assert_eq!(close.reason, violation.to_string());
    }
}
