//! The other end of a session: what it does as the model has it, and what it heard.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;

use crate::protocol::{SessionId, frame};

/// The other end of a session.
pub(super) struct Peer {
    pub(super) stream: UnixStream,
    pub(super) received: Vec<u8>,
    pub(super) id: SessionId,
    pub(super) slot: u32,
    /// As the model has it.
    pub(super) rooms: BTreeSet<usize>,
    pub(super) end: Option<End>,
    pub(super) privates: u32,
    pub(super) heard: Heard,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By its handler: what was sent to it before still goes out.
    Closed,
    /// Without a goodbye.
    Lost,
}

/// What arrived at a peer.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) messages: Vec<usize>,
    pub(super) privates: Vec<u32>,
    pub(super) close: Option<u16>,
    pub(super) is_over: bool,
}

impl Heard {
    /// Takes the whole frames off the front of what was received.
    pub(super) fn take(&mut self, received: &mut Vec<u8>) {
        let mut bytes = &received[..];
        while let Some((opcode, payload, rest)) = parse(bytes) {
            match opcode {
                8 => self.close = payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
                _ if payload.starts_with(b"private:") => {
                    self.privates.push(id_of(&payload[8..]) as u32);
                }
                _ => self.messages.push(id_of(payload)),
            }
            bytes = rest;
        }
        let rest = bytes.len();
        received.drain(..received.len() - rest);
    }
}

/// The number that a message begins with; the rest of it must be whole.
pub(super) fn id_of(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("text");
    let (id, filler) = text.split_once(':').expect("a number and a filler");
    assert!(filler.bytes().all(|byte| byte == b'x'), "another's bytes in {id}");
    id.parse().expect("a number")
}

/// The first frame: opcode, payload, and what is behind it.
pub(super) fn parse(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let length = frame::frame_len(bytes);
    if bytes.len() < 4 && (bytes.len() < 2 || bytes[1] >= 126) || bytes.len() < length {
        return None;
    }
    let head = if bytes[1] < 126 {
        2
    } else if bytes[1] == 126 {
        4
    } else {
        10
    };
    let (frame, rest) = bytes.split_at(length);
    Some((frame[0] & 0x0f, &frame[head..], rest))
}
