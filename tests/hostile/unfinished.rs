//! Handshakes without an end: dripped, endless, begun and left alone, or not begun at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::arena::{Arena, refused};
use crate::support::client::request;
use crate::support::pause;
use crate::support::server::Server;

/// Seconds, for a handshake.
const TIMEOUT: [(&str, &str); 1] = [("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1")];

/// As long as the timeout, and some more; what is sent until then comes in time for nothing.
const LONG_ENOUGH: Duration = Duration::from_millis(1500);

fn connect(server: &Server, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(server.address).expect("the server accepts")).collect()
}

/// What comes of a connection until its end, however that comes.
fn rest(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout can be set");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(answer).expect("an answer is text")
}

/// Has many send a piece each, again and again, until the time for a handshake is over.
fn drip(streams: &mut [TcpStream], piece: impl Fn(usize) -> Vec<u8>) {
    let begin = Instant::now();
    for number in 0.. {
        if begin.elapsed() > LONG_ENOUGH {
            break;
        }
        for stream in &mut *streams {
            // The server may have closed it by now.
            let _ = stream.write_all(&piece(number));
        }
        pause(Duration::from_millis(20));
    }
}

#[test]
fn handshakes_that_do_not_end() {
    const PEERS: usize = 100;
    let mut arena = Arena::new(&TIMEOUT);
    let late = |streams: &mut Vec<TcpStream>| {
        for stream in streams {
            let answer = rest(stream);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        }
    };
    arena.case("dripped, a byte at a time", &[refused("timeout", PEERS)], |server| {
        let mut streams = connect(server, PEERS);
        let request = request("/").into_bytes();
        drip(&mut streams, |number| vec![request[number % 60]]);
        late(&mut streams);
        streams
    });
    arena.case("one field after another", &[refused("timeout", PEERS)], |server| {
        let mut streams = connect(server, PEERS);
        drip(&mut streams, |number| match number {
            0 => b"GET / HTTP/1.1\r\n".to_vec(),
            1..90 => format!("X-{number}: y\r\n").into_bytes(),
            _ => Vec::new(),
        });
        late(&mut streams);
        streams
    });
    arena.case("begun and left alone", &[refused("timeout", PEERS)], |server| {
        let mut streams = connect(server, PEERS);
        let request = request("/");
        for (number, stream) in streams.iter_mut().enumerate() {
            let part = 1 + number % (request.len() - 1);
            stream.write_all(&request.as_bytes()[..part]).expect("the server reads");
        }
        late(&mut streams);
        streams
    });
    arena.case("nothing but line breaks", &[refused("timeout", PEERS)], |server| {
        let mut streams = connect(server, PEERS);
        drip(&mut streams, |_| b"\r\n".to_vec());
        late(&mut streams);
        streams
    });
    arena.case("not a word", &[refused("silent", 500)], |server| {
        let mut streams = connect(server, 500);
        assert!(streams.iter_mut().all(|stream| rest(stream).is_empty()), "nothing was asked");
        streams
    });
    arena.case("gone before the end", &[refused("lost", 500)], |server| {
        let request = request("/");
        for (number, mut stream) in connect(server, 500).into_iter().enumerate() {
            let part = number % request.len();
            stream.write_all(&request.as_bytes()[..part]).expect("the server reads");
        }
    });
}

#[test]
fn endless_headers_at_full_speed() {
    let mut arena = Arena::new(&TIMEOUT);
    arena.case("20 that never stop sending fields", &[refused("header_too_large", 20)], |server| {
        let send = |_| {
            let mut stream = TcpStream::connect(server.address).expect("the server accepts");
            std::thread::spawn(move || {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\n");
                // Until the server has had enough.
                while stream.write_all(&b"X: y\r\n".repeat(1000)).is_ok() {}
            })
        };
        let threads: Vec<_> = (0..20).map(send).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
}
