//! One room: who is in it, what each is still owed, and the faults.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::{Behaviour, Counts};

/// Events that one turn takes.
const TURN: usize = 256;

/// Bytes owed to members beyond which the room reads no further messages.
const OWED_MAX: usize = 64 << 20;

/// What the sessions tell their room.
pub(super) enum Event {
    Joined(u64, OwnedWriteHalf),
    Said(u64, OpCode, Bytes),
    /// The session sent a Close.
    Closed(u64),
    /// The session's connection is gone.
    Lost(u64),
}

pub(super) struct Room {
    behaviour: Behaviour,
    counts: Arc<Counts>,
    members: Vec<Member>,
    /// Messages so far.
    said: u64,
}

struct Member {
    id: u64,
    /// `None` once it was cut.
    stream: Option<OwnedWriteHalf>,
    /// What the socket has not taken yet.
    owed: Vec<u8>,
    /// A frame that is held back until after the next one.
    held: Vec<u8>,
}

/// One message of a turn, as a frame.
struct Said {
    from: u64,
    opcode: OpCode,
    payload: Bytes,
    frame: std::ops::Range<usize>,
    number: u64,
}

impl Room {
    pub(super) fn new(behaviour: Behaviour, counts: Arc<Counts>) -> Self {
        Self { behaviour, counts, members: Vec::new(), said: 0 }
    }

    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut turn = Vec::with_capacity(TURN);
        loop {
            let owed: usize = self.members.iter().map(|member| member.owed.len()).sum();
            if owed > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if events.recv_many(&mut turn, TURN).await == 0 {
                return;
            }
            while turn.len() < TURN
                && owed < OWED_MAX
                && let Ok(event) = events.try_recv()
            {
                turn.push(event);
            }
            self.take(&mut turn);
            for member in &mut self.members {
                member.flush(&self.counts);
            }
            // A room that always has something to do must let others at the thread.
            tokio::task::yield_now().await;
        }
    }

    fn take(&mut self, turn: &mut Vec<Event>) {
        let (mut frames, mut said) = (Vec::new(), Vec::new());
        for event in turn.drain(..) {
            match event {
                Event::Said(from, opcode, payload) => {
                    let start = frames.len();
                    self.frame(opcode, &payload, &mut frames);
                    let frame = start..frames.len();
                    said.push(Said { from, opcode, payload, frame, number: self.said });
                    self.said += 1;
                }
                other => {
                    // Who joins or leaves in the middle of a turn sees what was said before or after.
                    self.relay(&frames, &said);
                    (frames, said) = (Vec::new(), Vec::new());
                    self.come_or_go(other);
                }
            }
        }
        self.relay(&frames, &said);
    }

    fn come_or_go(&mut self, event: Event) {
        match event {
            Event::Joined(id, stream) => {
                let mut owed = Vec::new();
                write(&mut owed, true, OpCode::Ping, b"there?");
                self.members.push(Member { id, stream: Some(stream), owed, held: Vec::new() });
            }
            Event::Closed(id) => {
                if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
                    write(&mut member.owed, true, OpCode::Close, &1000_u16.to_be_bytes());
                    member.flush(&self.counts);
                }
                self.members.retain(|member| member.id != id);
            }
            Event::Lost(id) => self.members.retain(|member| member.id != id),
            Event::Said(..) => {}
        }
    }

    fn frame(&self, opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
        if self.behaviour != Behaviour::Fragment {
            return write(out, true, opcode, payload);
        }
        let third = payload.len() / 3;
        write(out, false, opcode, &payload[..third]);
        write(out, false, OpCode::Continuation, &payload[third..2 * third]);
        write(out, true, OpCode::Ping, b"there?");
        write(out, true, OpCode::Continuation, &payload[2 * third..]);
    }

    fn relay(&mut self, frames: &[u8], said: &[Said]) {
        if self.behaviour.hits_messages() {
            // Message by message, as speed does not matter here.
            return said.iter().for_each(|said| self.relay_one(said, &frames[said.frame.clone()]));
        }
        for member in &mut self.members {
            let own = said.iter().filter(|said| said.from == member.id).count();
            if own == 0 {
                member.owed.extend_from_slice(frames);
            } else {
                let others = said.iter().filter(|said| said.from != member.id);
                others.for_each(|said| member.owed.extend_from_slice(&frames[said.frame.clone()]));
            }
            let count = (said.len() - own) as u64;
            self.counts.deliveries.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn relay_one(&mut self, said: &Said, frame: &[u8]) {
        // The 6th and the 16th.
        let hit = [5, 15].contains(&said.number);
        let mut victim = hit.then_some(()).into_iter();
        for member in &mut self.members {
            if member.id == said.from {
                if hit && self.behaviour == Behaviour::Echo {
                    member.owed.extend_from_slice(frame);
                }
            } else if victim.next().is_some() {
                member.take_faulty(self.behaviour, said, frame);
            } else {
                member.owed.extend_from_slice(frame);
                member.owed.append(&mut member.held);
            }
        }
    }
}

impl Member {
    fn take_faulty(&mut self, behaviour: Behaviour, said: &Said, frame: &[u8]) {
        match behaviour {
            Behaviour::Lose => {}
            Behaviour::Duplicate => self.owed.extend_from_slice(&[frame, frame].concat()),
            Behaviour::Reorder => self.held.extend_from_slice(frame),
            Behaviour::Inject => {
                self.owed.extend_from_slice(frame);
                write(&mut self.owed, true, OpCode::Text, br#"{"type":"joined"}"#);
            }
            Behaviour::Corrupt => {
                self.owed.extend_from_slice(frame);
                if let Some(last) = self.owed.last_mut() {
                    *last ^= 1;
                }
            }
            Behaviour::WrongKind => {
                let other = if said.opcode == OpCode::Text { OpCode::Binary } else { OpCode::Text };
                write(&mut self.owed, true, other, &said.payload);
            }
            Behaviour::CloseMember => {
                write(&mut self.owed, true, OpCode::Close, &1013_u16.to_be_bytes());
            }
            Behaviour::CutMember => self.stream = None,
            _ => self.owed.extend_from_slice(frame),
        }
    }

    fn flush(&mut self, counts: &Counts) {
        let Some(stream) = &self.stream else { return self.owed.clear() };
        let mut written = 0;
        while written < self.owed.len() {
            // A connection that is gone shows in the session that reads it.
            let Ok(count) = stream.try_write(&self.owed[written..]) else { break };
            counts.writes.fetch_add(1, Ordering::Relaxed);
            written += count;
        }
        self.owed.drain(..written);
    }
}

fn write(out: &mut Vec<u8>, last: bool, opcode: OpCode, payload: &[u8]) {
    let mut frame = Frame::new(last, opcode, None, Payload::Borrowed(payload));
    let mut head = [0; 16];
    let length = frame.fmt_head(&mut head);
    out.extend_from_slice(&head[..length]);
    out.extend_from_slice(payload);
}
