//! What goes out to one session: queueing within its bound, writing, and what a write can come to.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::rc::Rc;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::protocol::{CloseReason, Message, frame};
use crate::shard::outbox::{Outbox, Tag};
use crate::shard::session::flag;
use crate::shard::state::State;

/// A session is not read while this much is queued for it alone: who asks for answers must read them.
const PRIVATE_BYTES_PAUSE: usize = 64 * 1024;

/// Scratch memory above this size is given back.
const SCRATCH_BYTES_MAX: usize = 1024 * 1024;

/// How everything is sent. Rust programs ignore SIGPIPE, which is what macOS, without such a flag, leaves it to.
#[cfg(target_os = "linux")]
const FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const FLAGS: SendFlags = SendFlags::empty();

impl State {
    /// Queues a message for the session alone.
    pub(crate) fn send(&mut self, slot: u32, message: Message<'_>) {
        self.counters.deliveries += 1;
        self.with_frame(slot, |frame| frame::encode(message, frame), Outbox::push_private);
    }

    /// Queues the answer to a ping, ahead of messages.
    pub(crate) fn pong(&mut self, slot: u32, payload: &[u8]) {
        self.counters.control_out += 1;
        self.with_frame(slot, |frame| frame::encode_pong(payload, frame), Outbox::push_control);
    }

    /// Queues a ping, ahead of messages.
    pub(crate) fn ping(&mut self, slot: u32) {
        self.counters.control_out += 1;
        self.with_frame(slot, |frame| frame::encode_ping(&[], frame), Outbox::push_control);
    }

    fn with_frame(
        &mut self,
        slot: u32,
        encode: impl FnOnce(&mut Vec<u8>),
        push: impl FnOnce(&mut Outbox, &[u8]),
    ) {
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        encode(&mut frame);
        self.queue(slot, |outbox| push(outbox, &frame));
        if frame.capacity() <= SCRATCH_BYTES_MAX {
            self.scratch = frame;
        }
    }

    /// Queues a range of a room's broadcast, `frame` being where its first frame begins.
    pub(crate) fn queue_shared(
        &mut self,
        slot: u32,
        bytes: &Rc<Vec<u8>>,
        range: Range<usize>,
        frame: usize,
        room: u32,
    ) {
        let is_logged = self.rooms.get(room).chat.is_some();
        let tag = if is_logged { Tag::Logged(room) } else { Tag::Droppable(room) };
        self.queue(slot, |outbox| outbox.push_shared(bytes, range, frame, tag));
    }

    /// Queues something, has it flushed, and holds the session to its bounds.
    pub(crate) fn queue(&mut self, slot: u32, push: impl FnOnce(&mut Outbox)) {
        let session = &mut self.sessions[slot as usize];
        let is_chat = session.chat.is_some();
        let outbox = &mut session.extra().outbox;
        let before = outbox.bytes();
        push(outbox);
        let (after, private) = (outbox.bytes(), outbox.private_bytes());
        // What a chat's rooms have for it can be read again: then only the rest counts.
        let held = if is_chat { private } else { outbox.held_bytes() };
        session.set(flag::QUEUED);
        let (blocked, closing) = (session.has(flag::BLOCKED), session.has(flag::CLOSING));
        self.counters.outbox_bytes += after - before;
        if !blocked {
            self.mark_touched(slot);
        }
        // One message more is always taken behind what does not even pause a session, however large: nobody who is
        // answered message by message is a slow reader.
        if before > PRIVATE_BYTES_PAUSE && held > self.bounds.outbox_bytes_max {
            self.doom(slot, CloseReason::SlowReader);
        }
        if private > PRIVATE_BYTES_PAUSE && !closing {
            self.pause(slot, flag::PAUSED_BY_OUTBOX);
        }
    }

    /// Lets something go of what is queued; what `purge` says of it.
    pub(crate) fn let_go<R>(&mut self, slot: u32, purge: impl FnOnce(&mut Outbox) -> R) -> R {
        let outbox = &mut self.sessions[slot as usize].extra().outbox;
        let before = outbox.bytes();
        let gone = purge(outbox);
        self.counters.outbox_bytes -= before - outbox.bytes();
        gone
    }

    /// Writes what is queued, as far as the kernel takes it.
    pub(crate) fn flush_outbox(&mut self, slot: u32) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        if session.has(flag::BLOCKED) {
            return;
        }
        if session.has(flag::TLS) {
            self.flush_sealed(slot);
            return;
        }
        while let Some(extra) = session.extra.as_mut().filter(|extra| !extra.outbox.is_empty()) {
            self.counters.writes += 1;
            match extra.outbox.write(&mut session.stream) {
                Ok(written) => {
                    self.counters.outbox_bytes -= written.bytes;
                    self.counters.bytes_out += written.bytes as u64;
                    session.written = session.written.wrapping_add(written.bytes as u32);
                    if written.is_short {
                        session.set(flag::BLOCKED);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    session.set(flag::BLOCKED);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.note_failure(slot, &error);
                    self.lose(slot);
                    return;
                }
            }
        }
        self.after_flush(slot);
    }

    /// What follows from what a flush left.
    pub(crate) fn after_flush(&mut self, slot: u32) {
        let has_pending = self.sessions[slot as usize].has(flag::TLS) && self.has_pending(slot);
        let session = &mut self.sessions[slot as usize];
        let (bytes, private) = session
            .extra
            .as_ref()
            .map_or((0, 0), |extra| (extra.outbox.bytes(), extra.outbox.private_bytes()));
        if bytes == 0 {
            session.clear(flag::QUEUED);
            if session.has(flag::CLOSING) {
                if has_pending {
                    return;
                }
                self.shut(slot);
                return;
            }
            session.release();
        }
        if private <= PRIVATE_BYTES_PAUSE / 2 {
            self.resume(slot, flag::PAUSED_BY_OUTBOX);
        }
        // A chat's session that took what it had may be read for again.
        self.want_read(slot);
    }

    /// One write past the outbox, the kernel's "full" being no error: how much it took. A plain system call: libc's
    /// `send` is a point of cancellation, which costs a program with threads two atomic operations each time.
    #[inline]
    pub(crate) fn write_once(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        taken(|| send(stream, bytes, FLAGS))
    }

    /// The same for several pieces.
    pub(crate) fn write_slices(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        taken(|| sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), FLAGS))
    }
}

#[inline]
fn taken(mut write: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            other => return Ok(other?),
        }
    }
}
