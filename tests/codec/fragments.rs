//! Messages in fragments, control frames between them, and the message limit (Autobahn's sections 5 and 9).

use crate::peer::*;

#[test]
fn fragments_make_a_message() {
    check("5.3 two", &[frame(TEXT_BEGIN, b"frag"), frame(END, b"ment")], &[text("fragment")]);
    check(
        "binary, with bytes that are not text",
        &[frame(BINARY_BEGIN, b"\xff"), frame(CONTINUE, b"\x80"), frame(END, b"\xfe")],
        &[Heard::Binary(b"\xff\x80\xfe".to_vec())],
    );
    check(
        "6.1.2 three empty ones",
        &[frame(TEXT_BEGIN, b""), frame(CONTINUE, b""), frame(END, b"")],
        &[text("")],
    );
    check(
        "6.1.3 empty around one",
        &[frame(TEXT_BEGIN, b""), frame(CONTINUE, b"middle"), frame(END, b"")],
        &[text("middle")],
    );
    let mut frames = vec![frame(BINARY_BEGIN, b"")];
    frames.extend((0..200).map(|_| frame(CONTINUE, b"")));
    frames.push(frame(END, b"!"));
    check("200 empty ones", &frames, &[Heard::Binary(b"!".to_vec())]);
    check(
        "two messages in a row",
        &[
            frame(TEXT_BEGIN, b"a"),
            frame(END, b"b"),
            frame(TEXT_BEGIN, b"c"),
            frame(END, b"d"),
            frame(TEXT, b"e"),
        ],
        &[text("ab"), text("cd"), text("e")],
    );
}

#[test]
fn control_frames_between_fragments() {
    let ping = |payload: &[u8]| Heard::Ping(payload.to_vec());
    check(
        "5.6 one ping",
        &[frame(TEXT_BEGIN, b"frag"), frame(PING, b"ping"), frame(END, b"ment")],
        &[ping(b"ping"), text("fragment")],
    );
    check(
        "5.19 pings of several lengths",
        &[
            frame(TEXT_BEGIN, b"1"),
            frame(CONTINUE, b"2"),
            frame(PING, &[7; 125]),
            frame(CONTINUE, b"3"),
            frame(PING, b""),
            frame(PONG, b"pong"),
            frame(END, b"4"),
            frame(PING, b"after"),
        ],
        &[ping(&[7; 125]), ping(b""), Heard::Pong(b"pong".to_vec()), text("1234"), ping(b"after")],
    );
    check(
        "close within a message",
        &[frame(TEXT_BEGIN, b"never"), frame(CLOSE, b"\x03\xe8"), frame(END, b" ended")],
        &[Heard::Close(Some(uproar::Close::normal()))],
    );
}

#[test]
fn control_frames_are_not_fragmented() {
    for first in [CLOSE, PING, PONG] {
        let begin = first & 0x0f;
        check(
            &format!("5.1 {begin:x} in fragments"),
            &[frame(begin, b"fr"), frame(END, b"ag")],
            &[PROTOCOL],
        );
        let frames = [frame(TEXT_BEGIN, b"a"), frame(begin, b"fr"), frame(END, b"b")];
        check(&format!("{begin:x} in fragments within a message"), &frames, &[PROTOCOL]);
    }
}

#[test]
fn continuations_continue_something() {
    check(
        "5.9 end of nothing",
        &[frame(END, b"non-continuation"), frame(TEXT, b"Hello")],
        &[PROTOCOL],
    );
    check("5.12 middle of nothing", &[frame(CONTINUE, b"non-continuation")], &[PROTOCOL]);
    check(
        "5.9 after a whole message",
        &[frame(TEXT, b"Hello"), frame(END, b"")],
        &[text("Hello"), PROTOCOL],
    );
    check(
        "5.15 after a fragmented message",
        &[frame(TEXT_BEGIN, b"frag"), frame(END, b"ment"), frame(CONTINUE, b"more")],
        &[text("fragment"), PROTOCOL],
    );
    check(
        "5.12 after a ping between reads",
        &[frame(PING, b""), frame(END, b"")],
        &[Heard::Ping(Vec::new()), PROTOCOL],
    );
}

#[test]
fn messages_do_not_nest() {
    for first in [TEXT, BINARY, TEXT_BEGIN, BINARY_BEGIN] {
        let frames = [frame(TEXT_BEGIN, b"fragment1"), frame(first, b"fragment2"), frame(END, b"")];
        check(&format!("5.18 {first:x} within a message"), &frames, &[PROTOCOL]);
    }
}

#[test]
fn limit_counts_the_whole_message() {
    let limited = |frames: &[Vec<u8>]| {
        let stream = frames.concat();
        let at_once = hear([&stream[..]], 10);
        assert_eq!(at_once, hear(stream.chunks(1), 10));
        at_once
    };
    assert_eq!(limited(&[frame(TEXT, b"0123456789")]), [text("0123456789")]);
    assert_eq!(limited(&[head(TEXT, 11)]), [TOO_BIG], "judged by the head alone");
    assert_eq!(limited(&[frame(TEXT_BEGIN, b"01234"), frame(END, b"56789")]), [text("0123456789")]);
    assert_eq!(limited(&[frame(TEXT_BEGIN, b"01234"), head(END, 6)]), [TOO_BIG]);
    assert_eq!(limited(&[frame(TEXT_BEGIN, b"0123456789"), head(CONTINUE, 1)]), [TOO_BIG]);
    assert_eq!(
        limited(&[frame(BINARY_BEGIN, b"0"), head(END, (1 << 63) - 1)]),
        [TOO_BIG],
        "no overflow"
    );
    let cut = frame(TEXT_BEGIN, b"012345678\xc3");
    assert_eq!(limited(&[cut, head(END, 1)]), [TOO_BIG], "the start of a character counts");
    assert_eq!(
        limited(&[frame(TEXT_BEGIN, b"0123456789"), frame(CONTINUE, b""), frame(END, b"")]),
        [text("0123456789")]
    );
    assert_eq!(
        limited(&[
            frame(TEXT_BEGIN, "0123456é".as_bytes()),
            frame(PING, &[1; 125]),
            frame(END, b"9")
        ]),
        [Heard::Ping(vec![1; 125]), text("0123456é9")],
        "control frames do not count"
    );
}

#[test]
fn memory_is_held_only_while_something_is_unfinished() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    decoder.feed(&frame(TEXT, b"whole"));
    assert!(!decoder.holds_memory());
    decoder.feed(&frame(TEXT_BEGIN, b"begun"));
    assert!(decoder.is_message_started());
    decoder.feed(&frame(PING, b"between"));
    assert!(decoder.is_message_started());
    decoder.feed(&frame(END, b", ended"));
    assert!(!decoder.is_message_started());
    assert!(
        !decoder.holds_memory(),
        "the call after the message, though without input, lets it go"
    );
    decoder.feed(&frame(PING, b"cut")[..7]);
    assert!(decoder.is_message_started());
    decoder.feed(&frame(PING, b"cut")[7..]);
    assert!(!decoder.holds_memory());
}

#[test]
fn each_message_has_a_start_of_its_own() {
    use uproar::protocol::frame::decode;
    let mut partial = None;
    let mut first = frame(BINARY_BEGIN, b"1");
    assert!(decode(&mut partial, &mut first, 10).is_ok_and(|decoded| decoded.event.is_none()));
    partial.as_mut().expect("a message has begun").started_tick = Some(7);
    let mut ping = frame(PING, b"");
    assert!(decode(&mut partial, &mut ping, 10).is_ok_and(|decoded| decoded.event.is_some()));
    assert_eq!(
        partial.as_ref().and_then(|partial| partial.started_tick),
        Some(7),
        "a ping is no new start"
    );
    let mut stream = [frame(END, b"2"), frame(BINARY_BEGIN, b"3")].concat();
    let consumed = decode(&mut partial, &mut stream, 10).expect("valid").consumed;
    assert!(
        decode(&mut partial, &mut stream[consumed..], 10)
            .is_ok_and(|decoded| decoded.event.is_none())
    );
    assert_eq!(
        partial.as_ref().map(|partial| partial.started_tick),
        Some(None),
        "the next message is one"
    );
}
