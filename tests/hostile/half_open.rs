//! Peers that are gone without a word: what is sent to them is swallowed, and nothing comes back, neither an answer nor
//! an end. In network namespaces of the test's own.

use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::arena::{Arena, Counted, closed, refused};
use crate::far::{Far, NOBODY, is_inside, run, run_far, run_inside};
use crate::support::client::{Client, frame, request};
use crate::support::server::Server;
use crate::support::wait_for;

/// An address of this end that packets can be kept from.
const OTHER: &str = "10.77.0.3";

const PEERS: usize = 50;

/// From now on what the server sends to the other address is lost.
fn cut_off() {
    run_far(&format!("ip neigh replace {OTHER} lladdr {NOBODY} nud permanent dev far"));
}

/// It arrives again.
fn let_in() {
    run_far(&format!("ip neigh del {OTHER} dev far"));
}

/// Waits until so many more of a metric were counted than before.
fn until_counted<T>(
    server: &Server,
    counted: Counted,
    times: usize,
    attack: impl FnOnce() -> T,
) -> T {
    let before = counted.now(server);
    let held = attack();
    wait_for("they are given up", || (counted.now(server) >= before + times).then_some(()));
    held
}

/// Connects from the address that will be gone.
fn connect(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from: SocketAddr = format!("{OTHER}:0").parse().expect("an address");
    socket.bind(&from.into()).expect("the address is there");
    socket.connect(&server.address.into()).expect("the server accepts");
    socket.into()
}

fn session(server: &Server, path: &str) -> Client {
    Client::over(connect(server), path)
}

#[test]
fn peers_that_are_gone_without_a_word() {
    if !is_inside() {
        run_inside("half_open::peers_that_are_gone_without_a_word");
        return;
    }
    let far = Far::new();
    run("ip", &format!("addr add {OTHER}/24 dev near"));
    let server = Server::spawn(far.server(&[
        ("UPROAR_LIMITS__HEARTBEAT_SECS", "2"),
        ("UPROAR_LIMITS__HEARTBEAT_TIMEOUT_SECS", "4"),
        ("UPROAR_LIMITS__MESSAGE_TIMEOUT_SECS", "2"),
        ("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "2"),
        ("UPROAR_LIMITS__CLOSE_TIMEOUT_SECS", "1"),
    ]));
    let mut arena = Arena::around(server);
    arena.case("idle", &[closed("heartbeat_timeout", PEERS)], |server| {
        let sessions = until_counted(server, closed("", 0), PEERS, || {
            let sessions: Vec<_> = (0..PEERS).map(|_| session(server, "/relay/gone")).collect();
            cut_off();
            sessions
        });
        let_in();
        sessions
    });
    arena.case("within a message", &[closed("message_timeout", PEERS)], |server| {
        let sessions = until_counted(server, closed("", 0), PEERS, || {
            let begin = |_| {
                let mut client = session(server, "/relay/gone");
                client.write(&frame(0x81, b"half of a message")[..10]);
                client
            };
            let sessions: Vec<_> = (0..PEERS).map(begin).collect();
            cut_off();
            sessions
        });
        let_in();
        sessions
    });
    arena.case("within the handshake", &[refused("timeout", PEERS)], |server| {
        let streams = until_counted(server, refused("", 0), PEERS, || {
            let begin = |_| {
                let mut client = Client::of(connect(server));
                client.write(&request("/").as_bytes()[..40]);
                client
            };
            let streams: Vec<_> = (0..PEERS).map(begin).collect();
            cut_off();
            streams
        });
        let_in();
        streams
    });
    while_their_room_speaks(&mut arena);
}

/// Their share of what the room says waits for them, up to the bound, and goes when they do.
fn while_their_room_speaks(arena: &mut Arena) {
    arena.case("while their room speaks", &[], |server| {
        let sessions = until_counted(server, closed("", 0), PEERS + 1, || {
            let sessions: Vec<_> = (0..PEERS).map(|_| session(server, "/relay/gone")).collect();
            cut_off();
            let mut speaker = Client::connect(server.address, "/relay/gone");
            for _ in 0..100 {
                speaker.write(&frame(0x82, &[0; 60_000]));
            }
            sessions
        });
        server.wait_for_metric("uproar_outbox_bytes", &[], |bytes| bytes == 0.0);
        let_in();
        sessions
    });
}
