//! How large a message may be: judged by what a head announces, and by the sum of the fragments.

use std::io::Write;

use crate::bytes::*;
use crate::row::*;
use crate::support::client::{Client, frame};
use crate::support::server::Server;

#[test]
fn the_largest_message_is_echoed_and_the_next_size_refused() {
    let table = Table::new();
    let largest = vec![0x5a; 16_777_216];
    table.check("16 MiB", &[frame(BINARY, &largest)], &[binary(&largest)]);
    let half = &largest[..8_388_608];
    let frames = [frame(BINARY_BEGIN, half), frame(END, half)];
    table.check("16 MiB in two fragments", &frames, &[binary(&largest)]);
    for length in [16_777_217, 1 << 32, (1 << 63) - 1] {
        let head = long_head(BINARY, length);
        table.check(&format!("{length} announced, nothing sent"), &[head], &[TOO_BIG]);
    }
}

#[test]
fn fragments_are_added_up() {
    let server = Server::start_with(&["--echo"], &[("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "1000")]);
    let check = |frames: &[Vec<u8>], expected: &[Said]| {
        let mut client = Client::connect(server.address, "/echo");
        client.write(&frames.concat());
        client.write(&frame(CLOSE, b""));
        assert_eq!(said(&mut client), expected);
    };
    let content = [7; 1000];
    let whole = [binary(&content), Said::CloseWithoutCode];
    check(&[frame(BINARY, &content)], &whole);
    check(&[frame(BINARY, &[7; 1001])[..8].to_vec()], &[TOO_BIG]);
    let begin = frame(BINARY_BEGIN, &content[..600]);
    check(&[begin.clone(), frame(END, &content[..400])], &whole);
    check(&[begin.clone(), frame(END, &[7; 401])[..8].to_vec()], &[TOO_BIG]);
    check(&[begin, frame(CONTINUE, &[7; 400]), frame(CONTINUE, b""), frame(END, b"x")], &[TOO_BIG]);
    let two = [frame(BINARY, &content), frame(BINARY, &content)];
    check(&two, &[binary(&content), binary(&content), Said::CloseWithoutCode]);
}

/// Each of them is larger than what may be queued, but the peer reads, so nobody is slow.
#[test]
fn messages_above_the_bound_on_the_outbox_are_echoed_one_after_the_other() {
    let settings = [
        ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "1048576"),
        ("UPROAR_LIMITS__OUTBOX_BYTES_MAX", "65536"),
    ];
    let server = Server::start_with(&["--echo"], &settings);
    for (bytes, messages) in [(1 << 20, 10), (60_000, 200), (20_000, 200)] {
        let content = move |number: usize| vec![number as u8; bytes];
        let mut client = Client::connect_narrow(server.address, "/echo");
        let mut writer = client.stream.try_clone().expect("a second handle");
        let writing = std::thread::spawn(move || {
            for number in 0..messages {
                let message = frame(BINARY, &content(number));
                writer.write_all(&message).expect("the server reads");
            }
            writer.write_all(&frame(CLOSE, b"")).expect("the server reads");
        });
        let mut heard = said(&mut client);
        assert_eq!(heard.pop(), Some(Said::CloseWithoutCode));
        let expected: Vec<_> = (0..messages).map(|number| binary(&content(number))).collect();
        assert!(heard == expected, "{} messages", heard.len());
        writing.join().expect("everything is written");
    }
}
