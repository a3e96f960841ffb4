//! The yardstick: the least that a process on this kernel can do to pass messages on, and nothing else.
//!
//! One thread, one epoll, no heartbeat, no limits, no metrics, no queue: a peer that reads slowly is waited for. What a
//! real server costs beyond this is its own; what this costs is the kernel's.

use std::collections::HashMap;
use std::io::{self, IoSlice, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use slab::Slab;

use super::frame::{Frame, next_frame, server_head};
use super::handshake;

/// How a yardstick writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One `send` for each message and each member.
    Send,
    /// Reads all that is there, then one `send` for each member, with everything end to end.
    Turn,
}

const LISTENER: u64 = u64::MAX;
const READ_BYTES: usize = 64 * 1024;
const EVENTS: usize = 1024;
const BACKLOG: i32 = 4096;
/// Pieces of one `sendmsg` (`IOV_MAX`).
const PIECES_MAX: usize = 1024;

struct Connection {
    socket: OwnedFd,
    /// None until the handshake is done.
    room: Option<usize>,
    /// The beginning of a frame or request whose end has not come.
    rest: Vec<u8>,
    /// It sent something in this turn, which it must not hear.
    spoke: bool,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// What the turn brought: frames end to end, and whose they are.
    frames: Vec<u8>,
    senders: Vec<(usize, std::ops::Range<usize>)>,
}

/// A server on a port of the kernel's choice, until it is killed.
pub(crate) struct Bare {
    mode: Mode,
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Slab<Connection>,
    rooms: Vec<Room>,
    names: HashMap<String, usize>,
    dirty: Vec<usize>,
}

impl Bare {
    /// Listens, and says where on standard output.
    pub(crate) fn bind(mode: Mode) -> Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        let mut output = io::stdout();
        writeln!(output, "{}", listener.local_addr()?)?;
        output.flush()?;
        let (connections, rooms) = (Slab::new(), Vec::new());
        Ok(Self {
            mode,
            epoll,
            listener,
            connections,
            rooms,
            names: HashMap::new(),
            dirty: Vec::new(),
        })
    }

    /// Serves until it is killed.
    pub(crate) fn run(mut self) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(Errno::INTR) => continue,
                waited => waited.context("epoll_wait")?,
            };
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    key => self.read(key as usize, &mut buffer)?,
                }
            }
            self.flush()?;
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                accepted => accepted.context("accept")?.0,
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            let data = epoll::EventData::new_u64(entry.key() as u64);
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
            entry.insert(Connection {
                socket: stream.into(),
                room: None,
                rest: Vec::new(),
                spoke: false,
            });
        }
    }

    fn read(&mut self, key: usize, buffer: &mut [u8]) -> Result<()> {
        let connection = &mut self.connections[key];
        let bytes = match recv(&connection.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, bytes)) if bytes > 0 => bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // The end of the stream, or a reset.
            _ => return self.close(key),
        };
        let Some(room) = connection.room else { return self.shake_hands(key, &buffer[..bytes]) };
        if connection.rest.is_empty() {
            let used = self.handle(key, room, &mut buffer[..bytes])?;
            if let Some(connection) = self.connections.get_mut(key) {
                connection.rest.extend_from_slice(&buffer[used..bytes]);
            }
        } else {
            connection.rest.extend_from_slice(&buffer[..bytes]);
            let mut input = std::mem::take(&mut connection.rest);
            let used = self.handle(key, room, &mut input)?;
            if let Some(connection) = self.connections.get_mut(key).filter(|_| used < input.len()) {
                input.drain(..used);
                connection.rest = input;
            }
        }
        Ok(())
    }

    fn shake_hands(&mut self, key: usize, bytes: &[u8]) -> Result<()> {
        let connection = &mut self.connections[key];
        connection.rest.extend_from_slice(bytes);
        let Some(request) = handshake::parse(&connection.rest) else { return Ok(()) };
        connection.rest = Vec::new();
        let index = *self.names.entry(request.path).or_insert_with(|| {
            self.rooms.push(Room::default());
            self.rooms.len() - 1
        });
        connection.room = Some(index);
        self.rooms[index].members.push(key);
        write_one(&connection.socket, handshake::answer(&request.key).as_bytes())
    }

    /// Takes the whole frames at the start of `input`; how many bytes they were.
    fn handle(&mut self, key: usize, room: usize, input: &mut [u8]) -> Result<usize> {
        let mut at = 0;
        while let Some((frame, len)) = next_frame(&mut input[at..]) {
            at += len;
            match frame {
                Frame::Message { opcode, payload } => self.publish(key, room, opcode, payload)?,
                Frame::Close => {
                    self.close(key)?;
                    break;
                }
                Frame::Other => {}
            }
        }
        Ok(at)
    }

    fn publish(&mut self, key: usize, index: usize, opcode: u8, payload: &[u8]) -> Result<()> {
        let room = &mut self.rooms[index];
        if room.frames.is_empty() {
            self.dirty.push(index);
        }
        let start = room.frames.len();
        server_head(opcode, payload.len(), &mut room.frames);
        room.frames.extend_from_slice(payload);
        let end = room.frames.len();
        match room.senders.last_mut() {
            Some((last, range)) if *last == key && range.end == start => range.end = end,
            _ => room.senders.push((key, start..end)),
        }
        self.connections[key].spoke = true;
        if self.mode == Mode::Send { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        while let Some(index) = self.dirty.pop() {
            let room = &mut self.rooms[index];
            for key in &room.members {
                let Some(connection) = self.connections.get_mut(*key) else { continue };
                if std::mem::take(&mut connection.spoke) {
                    write_around(connection, &room.frames, *key, &room.senders)?;
                } else {
                    write_one(&connection.socket, &room.frames)?;
                }
            }
            room.frames.clear();
            room.senders.clear();
        }
        Ok(())
    }

    fn close(&mut self, key: usize) -> Result<()> {
        // What it sent before goes to the others first.
        self.flush()?;
        let connection = self.connections.remove(key);
        if let Some(room) = connection.room {
            let members = &mut self.rooms[room].members;
            if let Some(position) = members.iter().position(|member| *member == key) {
                members.swap_remove(position);
            }
        }
        Ok(())
    }
}

/// Everything but the frames of the member itself.
fn write_around(
    connection: &Connection,
    frames: &[u8],
    key: usize,
    senders: &[(usize, std::ops::Range<usize>)],
) -> Result<()> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (_, own) in senders.iter().filter(|(sender, _)| *sender == key) {
        pieces.push(&frames[at..own.start]);
        at = own.end;
    }
    pieces.push(&frames[at..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces.chunks(PIECES_MAX).try_for_each(|pieces| write_all(&connection.socket, pieces))
}

/// Writes all of it in one call if the kernel takes it.
#[inline]
fn write_one(socket: &OwnedFd, bytes: &[u8]) -> Result<()> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(written) if written == bytes.len() => Ok(()),
        other => write_all(socket, &[&bytes[other.unwrap_or(0)..]]),
    }
}

/// Writes all of it, waiting for a peer that does not read. One that is gone is found out by its next read.
#[cold]
fn write_all(socket: &OwnedFd, pieces: &[&[u8]]) -> Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let mut control = SendAncillaryBuffer::default();
        match sendmsg(socket, rest, &mut control, SendFlags::NOSIGNAL) {
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(Errno::AGAIN) => wait_until_writable(socket)?,
            Err(Errno::PIPE | Errno::CONNRESET) => break,
            Err(error) => return Err(error).context("sendmsg"),
        }
    }
    Ok(())
}

fn wait_until_writable(socket: &OwnedFd) -> Result<()> {
    poll(&mut [PollFd::new(socket, PollFlags::OUT)], None).context("poll")?;
    Ok(())
}
