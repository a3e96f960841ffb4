//! Connections by the thousand, each of them a socket and nothing else.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

use super::PATIENCE;
use super::client::{receive, request};

/// Handshakes in flight: some work for every thread of the server, and far from filling a door.
const BATCH: usize = 128;

/// Raises this process's limit on open files and fails if it holds no more than `connections` of them: the server's
/// own limit is the same.
pub fn need_descriptors(connections: usize) {
    const RESERVE: usize = 400;
    let needed = (connections + RESERVE) as u64;
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    setrlimit(Resource::Nofile, raised).expect("the soft limit can be raised to the hard one");
    assert!(
        before.maximum.is_none_or(|maximum| maximum >= needed),
        "this machine lacks descriptors: {connections} connections need a hard limit of {needed} open files \
         (ulimit -Hn), and it is {:?}",
        before.maximum
    );
}

/// Connects and upgrades so many on `path`.
pub fn open(address: SocketAddr, path: &str, connections: usize) -> Vec<TcpStream> {
    let request = request(path);
    let mut open = Vec::with_capacity(connections);
    while open.len() < connections {
        let first = open.len();
        for _ in 0..BATCH.min(connections - first) {
            let stream = TcpStream::connect(address).expect("the server accepts");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            open.push(stream);
        }
        for mut stream in &open[first..] {
            stream.write_all(request.as_bytes()).expect("the server reads");
        }
        open[first..].iter().for_each(await_101);
    }
    open
}

/// Reads the handshake's answer and nothing behind it.
fn await_101(stream: &TcpStream) {
    let (mut head, mut length) = ([0; 512], 0);
    while !head[..length].ends_with(b"\r\n\r\n") {
        let more = &mut head[length..][..1 + usize::from(length == 0) * 64];
        let bytes = receive(stream, more).expect("the server answers");
        assert!(bytes > 0, "closed within the head");
        length += bytes;
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head[..length]));
}

/// Resets every one of them: a close would keep its port from being used again for a minute.
pub fn reset(streams: impl IntoIterator<Item = TcpStream>) {
    for stream in streams {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a linger can be set");
    }
}
