//! The relay's promise: each message reaches every other session of the room, verbatim, in its sender's order.

mod support;

use support::client::{Client, Frame, frame};
use support::server::Server;

#[test]
fn text_stays_text_and_binary_stays_binary_and_nobody_hears_themselves() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(server.address, "/")).collect();
    clients[0].send("grüße");
    clients[0].write(&frame(0x82, &[0, 159, 146, 150]));
    clients[1].send("answer");
    for client in &mut clients[2..] {
        let mut seen: Vec<Frame> = (0..3).map(|_| client.next()).collect();
        let answer =
            seen.iter().position(|frame| frame.payload == b"answer").expect("from the second");
        seen.remove(answer);
        assert_eq!(seen[0], Frame { head: 0x81, payload: "grüße".into() });
        assert_eq!(seen[1], Frame { head: 0x82, payload: vec![0, 159, 146, 150] });
    }
    assert_eq!(clients[0].next().payload, b"answer", "not what it sent itself");
}

#[test]
fn rooms_are_apart_and_names_are_decoded() {
    let server = Server::start(&[]);
    let mut here = Client::connect(server.address, "/relay/caf%C3%A9");
    let mut same = Client::connect(server.address, "/relay/café");
    let mut other = Client::connect(server.address, "/relay/other");
    let mut lobby = Client::connect(server.address, "/");
    other.send("not for here");
    lobby.send("nor this");
    here.send("hello");
    assert_eq!(same.next().payload, b"hello");
}

#[test]
fn joins_and_leaves_are_announced_where_that_is_switched_on() {
    let server = Server::start_with(&[], &[("UPROAR_RELAY__ANNOUNCE", "json")]);
    let mut first = Client::connect(server.address, "/");
    let second = Client::connect(server.address, "/");
    let joined: serde_json::Value = serde_json::from_str(first.next().text()).expect("JSON");
    drop(second);
    let left: serde_json::Value = serde_json::from_str(first.next().text()).expect("JSON");
    assert_eq!((&joined["type"], &left["type"]), (&"join".into(), &"leave".into()));
    assert!(joined["session"].is_string());
    assert_eq!(joined["session"], left["session"]);
}

#[test]
fn rooms_vanish_with_their_last_member() {
    let server = Server::start(&["--shards", "2"]);
    let clients: Vec<_> =
        (0..50).map(|room| Client::connect(server.address, &format!("/relay/{room}"))).collect();
    server.wait_for_metric("uproar_rooms", &[], |rooms| rooms == 50.0);
    drop(clients);
    server.wait_for_metric("uproar_rooms", &[], |rooms| rooms == 0.0);
    server.wait_for_metric("uproar_memberships", &[], |memberships| memberships == 0.0);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
}
