//! Requests at the door, from any address of this machine, and what they are answered.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::server::Server;

/// The metric under which refusals are counted.
pub const REFUSED: &str = "uproar_connections_refused_total";

/// An address of this machine that is not the one every client has.
pub fn source(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// Connects from that address.
pub fn connect_from(source: IpAddr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of this machine");
    socket.connect(&server.into()).expect("the server accepts");
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// A handshake on `path` with these further lines.
pub fn handshake(path: &str, lines: &[&str]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    if !lines.iter().any(|line| line.starts_with("Host:")) {
        request += "Host: localhost\r\n";
    }
    for line in lines {
        request += &format!("{line}\r\n");
    }
    request
        + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

/// Sends a request and reads the head of the answer; the connection stays as it is.
pub fn ask(mut stream: &TcpStream, request: impl AsRef<[u8]>) -> String {
    // What is refused before it is read may be refused before it is written.
    let _ = stream.write_all(request.as_ref());
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head of text")
}

/// The status of an answer; 0 where there is none.
pub fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Refusals so far for that reason.
pub fn refused(server: &Server, reason: &str) -> f64 {
    server.metric(REFUSED, &[&format!("reason=\"{reason}\"")])
}
