//! Connections that are cut off in the middle: of a request, of an answer, of a frame, of a message, of a delivery.

use crate::arena::{Arena, closed};
use crate::support::client::{Client, frame, request};
use crate::support::storm;

const PEERS: usize = 200;

/// Cuts the connection off, with a reset in place of an end.
fn reset(client: Client) {
    storm::reset([client.stream]);
}

#[test]
fn resets_anywhere() {
    let mut arena = Arena::new(&[]);
    let message = frame(0x81, &[b'x'; 1000]);
    let (begin, end) = (frame(0x01, b"a beginning"), frame(0x80, b"an end"));
    for (what, sent) in [
        ("before the first byte", vec![]),
        ("within a head", message[..3].to_vec()),
        ("within a frame", message[..500].to_vec()),
        ("between fragments", begin.clone()),
        ("within a fragment", [&begin[..], &end[..8]].concat()),
        ("within a close", frame(0x88, b"\x03\xe8bye")[..9].to_vec()),
    ] {
        arena.case(what, &[closed("lost", PEERS)], |server| {
            for _ in 0..PEERS {
                let mut client = Client::connect(server.address, "/echo");
                client.write(&sent);
                reset(client);
            }
        });
    }
    arena.case("with an answer on its way", &[closed("lost", PEERS)], |server| {
        for _ in 0..PEERS {
            let mut client = Client::connect(server.address, "/echo");
            client.write(&frame(0x82, &[0; 60_000]));
            reset(client);
        }
    });
    // Whether it is a session by then is up to chance, and so is the reason.
    arena.case("behind the request", &[], |server| {
        for _ in 0..PEERS {
            let mut client = Client::raw(server.address);
            client.write(request("/relay/cut").as_bytes());
            reset(client);
        }
    });
}

#[test]
fn members_that_are_cut_off_while_a_room_speaks() {
    let mut arena = Arena::new(&[]);
    arena.case("members of a busy room", &[closed("lost", PEERS)], |server| {
        let mut speaker = Client::connect(server.address, "/relay/busy");
        let members: Vec<_> =
            (0..PEERS).map(|_| Client::connect(server.address, "/relay/busy")).collect();
        let mut steady = Client::connect(server.address, "/relay/busy");
        for (number, member) in members.into_iter().enumerate() {
            speaker.send(&format!("{number} {}", "x".repeat(5000)));
            reset(member);
        }
        for number in 0..PEERS {
            let heard = steady.next();
            let (first, _) = heard.text().split_once(' ').expect("a number");
            assert_eq!(first, number.to_string(), "who stays hears everything");
        }
        for client in [&mut speaker, &mut steady] {
            client.write(&crate::support::client::close_frame(1000));
            while client.next().opcode() != 8 {}
        }
    });
}
