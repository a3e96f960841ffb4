//! A chat session that never waits, so that one thread can have hundreds of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::client::{Client, frame, parse};

/// One connection on `/chat`, upgraded, that has said nothing yet.
pub struct Session {
    stream: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    is_lost: bool,
}

impl Session {
    pub fn connect(address: SocketAddr) -> Self {
        // The server does not speak first, so nothing can have come behind the answer.
        let stream = Client::connect(address, "/chat").stream;
        stream.set_nonblocking(true).expect("a socket need not wait");
        stream.set_nodelay(true).expect("a delay can be forbidden");
        Self { stream, received: Vec::new(), unsent: Vec::new(), is_lost: false }
    }

    /// Sends a message, as soon as the server takes it.
    pub fn send(&mut self, message: &Value) {
        self.unsent.extend(frame(0x81, message.to_string().as_bytes()));
        self.write();
    }

    fn write(&mut self) {
        while !self.unsent.is_empty() && !self.is_lost {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.is_lost = true,
            }
        }
    }

    /// The text messages that have come, but for pings. What is lost within a frame is lost.
    pub fn read(&mut self) -> Vec<Value> {
        self.write();
        let mut buffer = [0; 65536];
        // A write may have failed before everything was read that had come.
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break self.is_lost = true,
                Ok(bytes) => self.received.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => break self.is_lost = true,
            }
        }
        let (mut messages, mut taken) = (Vec::new(), 0);
        while let Some((received, length)) = parse(&self.received[taken..]) {
            taken += length;
            match received.opcode() {
                1 => messages.push(serde_json::from_slice(&received.payload).expect("JSON")),
                9 => {
                    self.unsent.extend(frame(0x8a, &received.payload));
                    self.write();
                }
                opcode => panic!("a frame that nobody expects: {opcode}"),
            }
        }
        self.received.drain(..taken);
        messages.retain(|message: &Value| message["type"] != "ping");
        messages
    }

    /// The server has gone; there is nothing more to be read.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }
}

/// Waits until there is something to do for one of them, for a while. False if there is nothing.
pub fn wait<'a>(sessions: impl IntoIterator<Item = &'a Session>, at_most: Duration) -> bool {
    let wanted = |session: &Session| {
        let writable = if session.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        PollFlags::IN | writable
    };
    let open = sessions.into_iter().filter(|session| !session.is_lost);
    let mut descriptors: Vec<_> =
        open.map(|session| PollFd::new(&session.stream, wanted(session))).collect();
    let timeout = Timespec::try_from(at_most).expect("not long");
    // Being interrupted is as good as waiting in vain.
    poll(&mut descriptors, Some(&timeout)).is_ok_and(|ready| ready > 0)
}
