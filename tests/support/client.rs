//! A WebSocket client of raw bytes: it can say anything, right or wrong, and sees exactly what comes back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// A frame as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: FIN, RSV and opcode.
    pub head: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn opcode(&self) -> u8 {
        self.head & 0x0f
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("text is UTF-8")
    }

    /// The code of a Close frame; 1005 where it has none.
    pub fn close_code(&self) -> u16 {
        assert_eq!(self.opcode(), 8, "{self:?}");
        self.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
    }
}

/// One connection, after its handshake.
pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
    /// How much of it was looked at already.
    taken: usize,
    /// Everything that the server sent, the head included, and everything sent to it behind the request.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl Client {
    /// Connects and upgrades on `path`.
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        Self::over(TcpStream::connect(address).expect("the server accepts"), path)
    }

    /// The same with so small a receive buffer that what it does not read soon stays with the server.
    pub fn connect_narrow(address: SocketAddr, path: &str) -> Self {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a buffer's size can be set");
        socket.connect(&address.into()).expect("the server accepts");
        Self::over(socket.into(), path)
    }

    /// Connects and says nothing yet.
    pub fn raw(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Takes over a socket as it is, upgraded already or yet to be.
    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { stream, received: Vec::new(), taken: 0, bytes_read: 0, bytes_written: 0 }
    }

    /// Upgrades a connection on `path`.
    pub fn over(stream: TcpStream, path: &str) -> Self {
        let mut client = Self::of(stream);
        client.write(request(path).as_bytes());
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.bytes_written = 0;
        client
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes bytes");
        self.bytes_written += bytes.len() as u64;
    }

    /// Sends a whole text message.
    pub fn send(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes()));
    }

    /// The answer to the handshake, up to the empty line.
    pub fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.received.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            assert!(self.fill().expect("the server answers") > 0, "closed within the head");
        }
    }

    /// So many bytes of what comes.
    pub fn read_bytes(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.fill().expect("the server answers") > 0, "closed within the body");
        }
        self.received.drain(..length).collect()
    }

    /// The next frame; `None` once the server has closed its side.
    pub fn read(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, length)) = parse(&self.received[self.taken..]) {
                self.taken += length;
                return Ok(Some(frame));
            }
            self.received.drain(..std::mem::take(&mut self.taken));
            if self.fill()? == 0 {
                assert!(self.received.is_empty(), "closed within a frame: {:?}", self.received);
                return Ok(None);
            }
        }
    }

    /// The next frame, which must be there.
    pub fn next(&mut self) -> Frame {
        self.read().expect("no reset").expect("a frame, not the end")
    }

    /// Every frame up to the end of the stream, which must be a proper one.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read().expect("no reset")).collect()
    }

    /// Bytes received and not yet looked at, after reading at most once more.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 65536];
        let bytes = receive(&self.stream, &mut buffer)?;
        self.received.extend_from_slice(&buffer[..bytes]);
        self.bytes_read += bytes as u64;
        Ok(bytes)
    }
}

/// One read. A socket with a timeout says that it was interrupted when the process is stopped and goes on.
pub fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// A handshake's request.
pub fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A masked frame with that first byte.
pub fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![head];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A whole Close frame with that code.
pub fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// The frame that `bytes` begin with, if all of it is there, and its length on the wire.
pub fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let [head, length, ..] = *bytes else { return None };
    assert_eq!(length & 0x80, 0, "a server does not mask");
    let (start, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    Some((Frame { head, payload }, start + length))
}
