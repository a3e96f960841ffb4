//! A violation in a head is found with the byte that commits it, not with a later one.

use crate::peer::*;

#[test]
fn heads_are_judged_byte_by_byte() {
    let begun = frame(TEXT_BEGIN, b"begun");
    let cases: &[(&str, &[u8], &[u8], Heard)] = &[
        ("reserved bit", b"", &[0xc1], PROTOCOL),
        ("reserved data opcode", b"", &[0x83], PROTOCOL),
        ("reserved control opcode", b"", &[0x8b], PROTOCOL),
        ("fragmented ping", b"", &[0x09], PROTOCOL),
        ("continuation of nothing", b"", &[0x80], PROTOCOL),
        ("message within a message", &begun, &[0x81], PROTOCOL),
        ("unmasked", b"", &[0x81, 0x05], PROTOCOL),
        ("unmasked continuation", &begun, &[0x80, 0x00], PROTOCOL),
        ("long ping", b"", &[0x89, 0xfe], PROTOCOL),
        ("close of one byte", b"", &[0x88, 0x81], PROTOCOL),
        ("125 in 16 bits", b"", &[0x82, 0xfe, 0, 125], PROTOCOL),
        ("65,535 in 64 bits", b"", &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], PROTOCOL),
        ("length of 64 bits", b"", &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], PROTOCOL),
        ("message too big", b"", &[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1], TOO_BIG),
        ("sum too big", &begun, &[0x80, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xfc], TOO_BIG),
    ];
    for (rule, before, head, violation) in cases {
        for size in [1, 3, 100] {
            let (last, start) = head.split_last().expect("a head has bytes");
            let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
            decoder.feed(before);
            start.chunks(size).for_each(|piece| decoder.feed(piece));
            assert_eq!(decoder.heard, [], "{rule}, before its last byte");
            decoder.feed(&[*last]);
            assert_eq!(
                decoder.heard,
                std::slice::from_ref(violation),
                "{rule}, with its last byte"
            );
        }
    }
}

#[test]
fn the_largest_message_passes() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    decoder.feed(&frame(TEXT_BEGIN, b"begun"));
    decoder.feed(&head(END, MESSAGE_BYTES_MAX as u64 - 5));
    assert_eq!(decoder.heard, []);
    decoder.feed(&frame(TEXT, &vec![b'*'; MESSAGE_BYTES_MAX - 5])[14..]);
    assert!(matches!(&decoder.heard[..], [Heard::Text(text)] if text.len() == MESSAGE_BYTES_MAX));
}
