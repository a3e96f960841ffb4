//! One open connection: what was read of an unfinished frame or message, what is still to be written.
//!
//! Whoever owns it does the polling; nothing here blocks. Pings are answered and a Close is returned here; messages go
//! to the owner.

use std::io::{ErrorKind, Read, Write};

use fastwebsockets::{CloseCode, Frame, OpCode, Payload};
use mio::net::TcpStream;

use super::decode::{ServerFrame, Violation, next_frame};
use super::wire::Wire;

/// Bytes that may wait to be written. Beyond it a ping is left unanswered, as the server is not reading anyway;
/// whoever sends messages looks at [`Connection::has_room`] first.
const OUTBOX_BYTES_MAX: usize = 4 << 20;

/// A WebSocket connection after its handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    /// The beginning of a frame whose rest has not arrived.
    partial: Vec<u8>,
    /// The beginning of a message whose last fragment has not arrived.
    fragments: Option<Box<Fragments>>,
    outbox: Vec<u8>,
    /// Bytes of the outbox that were written.
    written: usize,
    /// Whether a Close was sent.
    closing: bool,
}

#[derive(Debug)]
struct Fragments {
    opcode: OpCode,
    payload: Vec<u8>,
}

/// What one read came to.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// So many bytes of the buffer are to be decoded; `more` if the socket may hold further ones.
    Bytes { length: usize, more: bool },
    /// Nothing for now.
    Nothing,
    /// Nothing ever again.
    End(Ending),
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server's Close frame; `None` where it gave no code.
    Closed(Option<u16>),
    /// The server's end was closed without a Close frame.
    EndOfStream,
    /// A read or a write failed.
    Failed(ErrorKind),
    /// The server broke the protocol.
    Violation(Violation),
    /// The server did not answer a Close frame in time.
    Unanswered,
}

impl Ending {
    /// The reason, as a report counts it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Closed(Some(code)) => format!("closed with {code}"),
            Self::Closed(None) => "closed without a code".to_owned(),
            Self::EndOfStream => "end of stream without a Close".to_owned(),
            Self::Failed(kind) => kind.to_string(),
            Self::Violation(violation) => violation.label().to_owned(),
            Self::Unanswered => "Close not answered in time".to_owned(),
        }
    }
}

impl Connection {
    /// A connection over that wire; `early` came right behind the response to the handshake.
    pub(crate) const fn new(wire: Wire, early: Vec<u8>) -> Self {
        Self {
            wire,
            partial: early,
            fragments: None,
            outbox: Vec::new(),
            written: 0,
            closing: false,
        }
    }

    /// The socket, for the poller.
    pub(crate) const fn stream(&mut self) -> &mut TcpStream {
        self.wire.socket()
    }

    /// Whether another message may be queued.
    pub(crate) const fn has_room(&self) -> bool {
        self.outbox.len() - self.written < OUTBOX_BYTES_MAX
    }

    /// Queues a frame, masked with a fresh key; the payload is masked in place.
    pub(crate) fn queue(&mut self, opcode: OpCode, payload: &mut [u8]) {
        let mut frame = Frame::new(true, opcode, None, Payload::BorrowedMut(payload));
        frame.mask();
        let mut head = [0; 16];
        let length = frame.fmt_head(&mut head);
        self.outbox.extend_from_slice(&head[..length]);
        self.outbox.extend_from_slice(&frame.payload);
    }

    /// Queues a Close of 1000, once.
    pub(crate) fn queue_close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.queue(OpCode::Close, &mut u16::from(CloseCode::Normal).to_be_bytes());
        }
    }

    /// Writes what is queued as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<(), Ending> {
        while self.written < self.outbox.len() {
            match self.wire.write(&self.outbox[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Ending::Failed(error.kind())),
            }
        }
        self.outbox.clear();
        self.written = 0;
        match self.wire.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                Err(Ending::Failed(error.kind()))
            }
            _ => Ok(()),
        }
    }

    /// Reads once into the shared `buffer`, behind what is left of the read before.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Chunk {
        let held = self.partial.len();
        buffer[..held].copy_from_slice(&self.partial);
        loop {
            return match self.wire.read(&mut buffer[held..]) {
                Ok(0) => Chunk::End(Ending::EndOfStream),
                Ok(count) => {
                    Chunk::Bytes { length: held + count, more: held + count == buffer.len() }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Chunk::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Chunk::End(Ending::Failed(error.kind())),
            };
        }
    }

    /// Hands each complete message in `bytes` to `hear`, keeps the rest for the next read.
    #[inline]
    pub(crate) fn take_messages(
        &mut self,
        bytes: &[u8],
        limit: usize,
        mut hear: impl FnMut(OpCode, &[u8]),
    ) -> Result<(), Ending> {
        let mut rest = bytes;
        while let Some(frame) = next_frame(rest, limit).map_err(Ending::Violation)? {
            rest = &rest[frame.length..];
            let whole = frame.last && matches!(frame.opcode, OpCode::Text | OpCode::Binary);
            if whole && self.fragments.is_none() {
                hear(frame.opcode, frame.payload);
            } else {
                self.take_uncommon(&frame, limit, &mut hear)?;
            }
        }
        self.keep(rest);
        Ok(())
    }

    /// Decodes what came behind the handshake's response, before the first read.
    pub(crate) fn take_early(
        &mut self,
        limit: usize,
        hear: impl FnMut(OpCode, &[u8]),
    ) -> Result<(), Ending> {
        let early = std::mem::take(&mut self.partial);
        self.take_messages(&early, limit, hear)
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            // An idle connection holds no buffer.
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    #[cold]
    fn take_uncommon(
        &mut self,
        frame: &ServerFrame<'_>,
        limit: usize,
        hear: &mut impl FnMut(OpCode, &[u8]),
    ) -> Result<(), Ending> {
        match frame.opcode {
            OpCode::Ping => {
                if self.has_room() {
                    self.queue(OpCode::Pong, &mut frame.payload.to_owned());
                }
                Ok(())
            }
            OpCode::Pong => Ok(()),
            OpCode::Close => {
                self.queue_close();
                let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                Err(Ending::Closed(code))
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                self.take_fragment(frame, limit, hear).map_err(Ending::Violation)
            }
        }
    }

    fn take_fragment(
        &mut self,
        frame: &ServerFrame<'_>,
        limit: usize,
        hear: &mut impl FnMut(OpCode, &[u8]),
    ) -> Result<(), Violation> {
        let continues = frame.opcode == OpCode::Continuation;
        let mut fragments = match self.fragments.take() {
            Some(fragments) if continues => fragments,
            None if !continues => Box::new(Fragments { opcode: frame.opcode, payload: Vec::new() }),
            _ => return Err(Violation::Sequence),
        };
        fragments.payload.extend_from_slice(frame.payload);
        if fragments.payload.len() > limit {
            return Err(Violation::TooBig);
        }
        if frame.last {
            hear(fragments.opcode, &fragments.payload);
        } else {
            self.fragments = Some(fragments);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream as StdStream};

    use super::*;

    type Message = (OpCode, Vec<u8>);

    /// A connection and the server's end of it.
    fn pair() -> (Connection, StdStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let (server, _) = listener.accept().unwrap();
        let wire = Wire::new(TcpStream::from_std(client), None);
        (Connection::new(wire, Vec::new()), server)
    }

    /// What the connection hears of `bytes`, given to it `step` bytes at a time.
    fn heard(bytes: &[u8], step: usize) -> (Vec<Message>, Result<(), Ending>) {
        let (mut connection, _server) = pair();
        let mut heard = Vec::new();
        for chunk in bytes.chunks(step) {
            let mut all = connection.partial.clone();
            all.extend_from_slice(chunk);
            let taken = connection.take_messages(&all, 1000, |opcode, payload| {
                heard.push((opcode, payload.to_owned()));
            });
            if taken.is_err() {
                return (heard, taken);
            }
        }
        (heard, Ok(()))
    }

    #[test]
    fn messages_are_the_same_however_the_bytes_are_cut() {
        // "ab" whole, then "cd" in three fragments with a ping between, then binary.
        let bytes = b"\x81\x02ab\x01\x01c\x89\x01p\x00\x00\x80\x01d\x82\x01\xff";
        let expected = vec![
            (OpCode::Text, b"ab".to_vec()),
            (OpCode::Text, b"cd".to_vec()),
            (OpCode::Binary, vec![0xff]),
        ];
        for step in 1..=bytes.len() {
            assert_eq!(heard(bytes, step), (expected.clone(), Ok(())), "{step} bytes at a time");
        }
    }

    #[test]
    fn fragments_out_of_sequence_end_the_connection() {
        for bytes in [&b"\x80\x00"[..], b"\x01\x00\x81\x00", b"\x01\x00\x02\x00"] {
            let (heard, taken) = heard(bytes, bytes.len());
            assert_eq!((heard, taken), (vec![], Err(Ending::Violation(Violation::Sequence))));
        }
        let mut long = b"\x01\x7e\x03\xe8".to_vec();
        long.extend_from_slice(&[b'x'; 1000]);
        long.extend_from_slice(b"\x80\x01x");
        assert_eq!(heard(&long, long.len()).1, Err(Ending::Violation(Violation::TooBig)));
    }

    #[test]
    fn a_ping_is_answered_and_a_close_returned_with_masks() {
        let (mut connection, mut server) = pair();
        let taken = connection.take_messages(b"\x89\x02hi\x88\x02\x03\xf5", 1000, |_, _| {});
        assert_eq!(taken, Err(Ending::Closed(Some(1013))));
        connection.queue_close();
        connection.flush().unwrap();
        let mut answer = [0; 16];
        server.read_exact(&mut answer).unwrap();
        for (frame, opcode, payload) in [
            (&mut answer[..8].to_vec(), 0x8a, b"hi"),
            (&mut answer[8..].to_vec(), 0x88, b"\x03\xe8"),
        ] {
            assert_eq!(frame[..2], [opcode, 0x82]);
            let mask = *frame[2..].first_chunk().unwrap();
            fastwebsockets::unmask(&mut frame[6..], mask);
            assert_eq!(&frame[6..], payload);
        }
        drop(connection);
        assert_eq!(
            server.read(&mut answer).unwrap(),
            0,
            "one Close, however often it is asked for"
        );
    }
}
