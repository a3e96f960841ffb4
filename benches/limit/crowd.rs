//! Many connections on one thread: the lean client of the workloads that the load generator has no scenario for. It
//! checks every byte that it is sent ([`exchange`](super::exchange)), but not what servers do to odd clients.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

use super::frame::short_text;
use super::handshake;

/// Handshakes under way at a time.
const UNDER_WAY_MAX: usize = 128;

/// How long a server may be silent while something of it is awaited.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 1024;

/// Descriptors that are not of connections.
const RESERVE: usize = 256;

/// How many connections a process of this user may have.
pub(crate) fn connections_max() -> usize {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    usize::try_from(hard).unwrap_or(usize::MAX).saturating_sub(RESERVE)
}

/// Raises the limit on open files as far as it goes, for this process and those that it starts.
pub(crate) fn raise_descriptors() -> Result<()> {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })
        .context("cannot raise the limit on open files")
}

/// The connections to one server, numbered as they were opened. They end by a reset, so that none of them stays behind
/// in TIME_WAIT to slow down the next run's connects.
pub(crate) struct Crowd {
    epoll: OwnedFd,
    address: SocketAddr,
    members: Vec<Option<Member>>,
    buffer: Vec<u8>,
}

struct Member {
    stream: TcpStream,
    /// What came of the handshake.
    heard: Vec<u8>,
    /// The server's first message.
    greeting: Option<String>,
}

/// Whether a server says something by itself to a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// Nothing.
    Silent,
    /// One short text message.
    Greeting,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, address, members: Vec::new(), buffer: vec![0; READ_BYTES] })
    }

    /// Opens one connection for each path, as fast as they go; how long that took.
    pub(crate) fn open(
        &mut self,
        paths: impl IntoIterator<Item = String>,
        welcome: Welcome,
    ) -> Result<Duration> {
        let began = Instant::now();
        let mut paths = paths.into_iter();
        let mut under_way = 0;
        loop {
            while under_way < UNDER_WAY_MAX
                && let Some(path) = paths.next()
            {
                self.knock(&path)?;
                under_way += 1;
            }
            if under_way == 0 {
                return Ok(began.elapsed());
            }
            self.receive(|_, member, bytes| {
                member.heard.extend_from_slice(bytes);
                if member.is_welcome(welcome)? {
                    under_way -= 1;
                }
                Ok(())
            })?;
        }
    }

    /// What the server told that member when it came.
    pub(crate) fn greeting(&self, member: usize) -> &str {
        let member = self.members[member].as_ref();
        member.and_then(|member| member.greeting.as_deref()).unwrap_or_default()
    }

    /// The number of connections that were ever opened.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Ends that connection.
    pub(crate) fn close(&mut self, member: usize) {
        self.members[member] = None;
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, member: usize, mut bytes: &[u8]) -> Result<()> {
        let member = self.members[member].as_mut().context("it was closed")?;
        while !bytes.is_empty() {
            match member.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut waiting = [PollFd::new(&member.stream, PollFlags::OUT)];
                    if poll(&mut waiting, Some(&PATIENCE))? == 0 {
                        bail!("the server does not read");
                    }
                }
                Err(error) => return Err(error).context("the server ended a connection"),
            }
        }
        Ok(())
    }

    fn knock(&mut self, path: &str) -> Result<()> {
        let mut stream = TcpStream::connect(self.address).context("the server does not accept")?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.set_nodelay(true)?;
        stream.write_all(handshake::request(path).as_bytes())?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(self.members.len() as u64);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
        self.members.push(Some(Member { stream, heard: Vec::new(), greeting: None }));
        Ok(())
    }

    /// Waits until something was sent to members, and hands it on with their numbers.
    pub(crate) fn hear(&mut self, mut on: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        self.receive(|index, _, bytes| on(index, bytes))
    }

    fn receive(
        &mut self,
        mut on: impl FnMut(usize, &mut Member, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE)) {
            Ok(0) => bail!("the server is silent: something that it should have sent was lost"),
            Err(Errno::INTR) => return Ok(()),
            waited => waited.context("epoll_wait")?,
        };
        for event in &events {
            let index = event.data.u64() as usize;
            let Some(member) = self.members[index].as_mut() else { continue };
            match recv(&member.stream, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, 0)) => bail!("the server ended a connection"),
                Ok((_, bytes)) => on(index, member, &self.buffer[..bytes])?,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error).context("the server ended a connection"),
            }
        }
        Ok(())
    }
}

impl Member {
    /// Whether the handshake is done and the greeting, where there is one, has come.
    fn is_welcome(&mut self, welcome: Welcome) -> Result<bool> {
        let Some(head) = handshake::accepted(&self.heard)? else { return Ok(false) };
        let rest = &self.heard[head..];
        match welcome {
            Welcome::Silent if rest.is_empty() => {}
            Welcome::Silent => bail!("something follows the answer: {rest:?}"),
            Welcome::Greeting => match short_text(rest) {
                None => return Ok(false),
                greeting => self.greeting = greeting.map(str::to_owned),
            },
        }
        self.heard = Vec::new();
        Ok(true)
    }
}
