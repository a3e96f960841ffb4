//! Text, valid and not (Autobahn's section 6, after Markus Kuhn's decoder stress test): found at the first byte that
//! nothing could make valid, whether in one frame or across fragments.

use crate::peer::*;

const VALID: &[&str] = &[
    "κόσμε",
    "Hello-µ@ßöäüàá-UTF-8!!",
    // The first and last of each length.
    "\u{0}",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    // Around the surrogates, and what is no character and yet valid.
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{1fffe}\u{1ffff}",
    "\u{8fffe}",
    "a\u{80}\u{800}\u{10000}z",
];

/// Bytes and the position of the one that is wrong whatever follows; the length where only the end is wrong.
const INVALID: &[(&[u8], usize)] = &[
    // Continuations of nothing.
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"a\x80\xbf", 1),
    (b"\xce\xba\xba", 2),
    // Characters that go on too early, or end too early.
    (b"\xc3 ", 1),
    (b"\xe2 ", 1),
    (b"\xe2\x82 ", 2),
    (b"\xf0\x9f\x98 ", 3),
    (b"\xe2\x82\xe2\x82", 2),
    (b"\xc3", 1),
    (b"\xe2\x82", 2),
    (b"\xf0\x9f\x98", 3),
    (b"\xce\xba\xf4", 3),
    // Bytes that appear nowhere.
    (b"\xfe", 0),
    (b"\xff", 0),
    (b"\xf5\x80\x80\x80", 0),
    (b"\xf8\x88\x80\x80\x80", 0),
    (b"\xfc\x84\x80\x80\x80\x80", 0),
    // Longer than need be.
    (b"\xc0\xaf", 0),
    (b"\xc1\xbf", 0),
    (b"\xe0\x80\xaf", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xf0\x80\x80\xaf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    // Surrogates, alone and in pairs.
    (b"\xed\xa0\x80", 1),
    (b"\xed\xaf\xbf", 1),
    (b"\xed\xb0\x80", 1),
    (b"\xed\xbf\xbf\xed\xb0\x80", 1),
    // Above the last character.
    (b"\xf4\x90\x80\x80", 1),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 12),
];

#[test]
fn valid_text() {
    for content in VALID {
        check(&format!("{content:?}"), &[frame(TEXT, content.as_bytes())], &[text(content)]);
        for at in 0..=content.len() {
            let (start, end) = content.as_bytes().split_at(at);
            check(
                &format!("{content:?} in fragments cut at {at}"),
                &[
                    frame(TEXT_BEGIN, start),
                    frame(CONTINUE, b""),
                    frame(PING, b"\xff"),
                    frame(END, end),
                ],
                &[Heard::Ping(b"\xff".to_vec()), text(content)],
            );
        }
        let mut frames: Vec<_> =
            content.as_bytes().iter().map(|&byte| frame(CONTINUE, &[byte])).collect();
        frames[0][0] = TEXT_BEGIN;
        frames.push(frame(END, b""));
        check(&format!("{content:?} in fragments of a byte"), &frames, &[text(content)]);
    }
}

#[test]
fn invalid_text() {
    for &(bytes, _) in INVALID {
        check(&format!("{bytes:x?}"), &[frame(TEXT, bytes)], &[INVALID_UTF8]);
        for at in 0..=bytes.len() {
            let (start, end) = bytes.split_at(at);
            let frames = [frame(TEXT_BEGIN, start), frame(END, end)];
            check(&format!("{bytes:x?} in fragments cut at {at}"), &frames, &[INVALID_UTF8]);
        }
        check(
            &format!("{bytes:x?} in binary"),
            &[frame(BINARY, bytes)],
            &[Heard::Binary(bytes.to_vec())],
        );
    }
}

#[test]
fn invalid_text_is_found_at_its_first_wrong_byte() {
    for &(bytes, wrong_at) in INVALID.iter().filter(|(bytes, wrong_at)| *wrong_at < bytes.len()) {
        // One frame of which more is to come, read in pieces.
        let stream = frame(TEXT, &[bytes, &[b' '; 100]].concat());
        let wrong_byte = stream.len() - 100 - bytes.len() + wrong_at;
        found_at(&stream, wrong_byte, &format!("{bytes:x?} in a frame"));
        // A fragment for each byte.
        let frames: Vec<_> = bytes.iter().map(|&byte| frame(CONTINUE, &[byte])).collect();
        let mut stream = frames.concat();
        stream[0] = TEXT_BEGIN;
        found_at(
            &stream,
            (wrong_at + 1) * frames[0].len() - 1,
            &format!("{bytes:x?} in fragments"),
        );
    }
}

#[track_caller]
fn found_at(stream: &[u8], wrong_byte: usize, what: &str) {
    for size in [1, wrong_byte.max(1)] {
        let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
        stream[..wrong_byte].chunks(size).for_each(|piece| decoder.feed(piece));
        assert_eq!(decoder.heard, [], "{what}, before the wrong byte");
        decoder.feed(&stream[wrong_byte..=wrong_byte]);
        assert_eq!(decoder.heard, [INVALID_UTF8], "{what}, with the wrong byte");
    }
}

#[test]
fn an_unfinished_character_is_found_at_the_end() {
    for &(bytes, _) in INVALID.iter().filter(|(bytes, wrong_at)| *wrong_at == bytes.len()) {
        let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
        decoder.feed(&frame(TEXT_BEGIN, bytes));
        decoder.feed(&frame(CONTINUE, b""));
        assert_eq!(decoder.heard, [], "{bytes:x?}");
        decoder.feed(&frame(END, b""));
        assert_eq!(decoder.heard, [INVALID_UTF8], "{bytes:x?}");
    }
}
