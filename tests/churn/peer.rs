//! One connection of the crowd: says anything, right or wrong, and holds what it hears to what was promised.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::support::client::{Client, Frame, frame, parse};

pub(crate) const ROOMS: usize = 5;

/// What a peer owes the server at most before it gives up being read again.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    static CHECKED: Cell<u64> = const { Cell::new(0) };
}

/// How many spoken messages all peers together have heard and checked.
pub(crate) fn checked() -> u64 {
    CHECKED.get()
}

/// A sender's message: who says it, the how manieth it is, and as many more bytes, which follow from both.
pub(crate) fn spoken(room: usize, sender: usize, number: u64, length: usize) -> String {
    let mut text = format!("say {room} {sender} {number} {length} ");
    let start = sender + number as usize;
    text.extend((start..start + length).map(|at| char::from(b'a' + (at % 26) as u8)));
    text
}

#[derive(Default)]
struct Room {
    /// The number of the next message of each sender that was heard since the peer joined.
    next: HashMap<usize, u64>,
}

pub(crate) struct Peer {
    stream: TcpStream,
    unsent: Vec<u8>,
    received: Vec<u8>,
    /// Does not read.
    pub(crate) is_deaf: bool,
    is_gone: bool,
    /// Joined before anybody spoke.
    hears_all: bool,
    /// The rooms it is in, as far as it was told.
    rooms: HashMap<usize, Room>,
}

impl Peer {
    /// One that joins and leaves as it likes, and keeps little of what it does not read.
    pub(crate) fn rowdy(address: SocketAddr) -> Self {
        Self::of(Client::connect_narrow(address, "/").stream, false)
    }

    /// One that is in a room from beginning to end.
    pub(crate) fn steady(address: SocketAddr, room: usize) -> Self {
        let mut peer = Self::of(Client::connect(address, "/").stream, true);
        assert!(peer.say(&format!("join {room}")));
        peer
    }

    fn of(stream: TcpStream, hears_all: bool) -> Self {
        stream.set_nonblocking(true).expect("it can be made so");
        let (unsent, received, rooms) = (Vec::new(), Vec::new(), HashMap::new());
        Self { stream, unsent, received, is_deaf: false, is_gone: false, hears_all, rooms }
    }

    /// A connection that says a part of a request and is gone.
    pub(crate) fn raw(address: SocketAddr, part: &[u8]) {
        Client::raw(address).write(part);
    }

    /// Sends a text message.
    pub(crate) fn say(&mut self, text: &str) -> bool {
        self.write(&frame(0x81, text.as_bytes()))
    }

    /// Sends bytes as they are, as far as the server takes them; the rest goes ahead of the next ones. False when they
    /// are too many or the connection is over.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.unsent.extend_from_slice(bytes);
        self.is_gone |= self.unsent.len() > UNSENT_BYTES_MAX;
        while !self.unsent.is_empty() && !self.is_gone {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_gone = true,
            }
        }
        !self.is_gone
    }

    /// Is no more: by the end of its side, by a close over what is unread, or by a reset.
    pub(crate) fn vanish(&mut self, how: usize) {
        match how {
            0 => drop(self.stream.shutdown(Shutdown::Write)),
            1 => self.is_gone = true,
            _ => {
                let reset = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                reset.expect("a linger can be set");
                self.is_gone = true;
            }
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub(crate) fn is_in_a_room(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// How many messages of a sender one that hears all has heard in its room.
    pub(crate) fn heard(&self, room: usize, sender: usize) -> u64 {
        self.rooms.get(&room).and_then(|room| room.next.get(&sender)).copied().unwrap_or_default()
    }

    /// Takes everything that is there, and checks it. False when the connection is over.
    pub(crate) fn listen(&mut self) -> bool {
        self.write(&[]);
        let mut buffer = [0; 65536];
        while !self.is_gone {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_gone = true,
                Ok(bytes) => {
                    self.received.extend_from_slice(&buffer[..bytes]);
                    self.take_frames();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_gone = true,
            }
        }
        false
    }

    fn take_frames(&mut self) {
        let mut taken = 0;
        while let Some((frame, length)) = parse(&self.received[taken..]) {
            taken += length;
            if frame.opcode() == 1 {
                self.hear(&frame);
            }
        }
        self.received.drain(..taken);
    }

    fn hear(&mut self, frame: &Frame) {
        let text = frame.text();
        let mut words = text.splitn(4, ' ');
        let (what, room) = (words.next(), words.next());
        let room = room.and_then(|room| room.parse().ok()).expect("a room");
        match what {
            Some("join") => drop(self.rooms.entry(room).or_default()),
            Some("leave") => drop(self.rooms.remove(&room)),
            Some("say") => self.hear_spoken(room, text, words.next()),
            _ => panic!("nobody says {text}"),
        }
    }

    fn hear_spoken(&mut self, room: usize, text: &str, sender: Option<&str>) {
        let heard_in = self.rooms.get_mut(&room);
        let heard_in =
            heard_in.unwrap_or_else(|| panic!("not in room {room}, and hears {text:.60}"));
        // Noise, of those who promise nothing.
        let Some(sender) = sender.and_then(|sender| sender.parse::<usize>().ok()) else { return };
        let mut words = text.split(' ').skip(3);
        let number = words.next().and_then(|number| number.parse().ok()).expect("a number");
        let length = words.next().and_then(|length| length.parse().ok()).expect("a length");
        assert_eq!(text, spoken(room, sender, number, length), "as it was said");
        let first = if self.hears_all { 0 } else { number };
        let next = heard_in.next.entry(sender).or_insert(first);
        assert_eq!(
            number, *next,
            "sender {sender} in room {room}: nothing lost, doubled or out of order"
        );
        *next += 1;
        CHECKED.set(CHECKED.get() + 1);
    }
}
