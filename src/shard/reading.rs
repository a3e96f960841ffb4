//! From a readable socket to the handler: one `recv` a session and turn, decoded in place.
//!
//! A session has a share of the turn ([`budget`](crate::shard::budget)). What it brought beyond that is kept, and it
//! goes to the back of the list of those to be read.

use std::io::{self, Read};
use std::rc::Rc;

use crate::protocol::frame::{Event, Partial, decode};
use crate::protocol::{CloseReason, Context};
use crate::shard::actions::Desk;
use crate::shard::budget::STEPS_PER_SESSION;
use crate::shard::service::Service;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Reads once from a session and acts on what came. Gives the bytes it worked on, for the turn's
    /// budget.
    pub(crate) fn read(&mut self, slot: u32, buffer: &mut [u8]) -> usize {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return 0 };
        session.clear(flag::READY);
        if session.has(flag::PAUSED) && !session.has(flag::CLOSING) {
            return 0;
        }
        let mut unread = session.take_unread();
        if !unread.is_empty() {
            let consumed = self.decode(slot, &mut unread);
            unread.drain(..consumed);
            self.settle(slot, unread, true);
            return consumed;
        }
        if session.has(flag::TLS) && !session.has(flag::CLOSING) {
            return self.read_sealed(slot, buffer);
        }
        self.counters.reads += 1;
        match session.stream.read(buffer) {
            Ok(0) => {
                self.hang_up(slot);
                0
            }
            Ok(bytes) => {
                self.counters.bytes_in += bytes as u64;
                session.heard = self.tick;
                session.clear(flag::PINGED);
                // A short read means drained, unless the end of the stream is still to be read.
                let more = bytes == buffer.len() || session.has(flag::HUNG_UP);
                if session.has(flag::CLOSING) {
                    self.read_on(slot, more);
                } else {
                    let consumed = self.decode(slot, &mut buffer[..bytes]);
                    self.settle(slot, buffer[consumed..bytes].to_vec(), more);
                }
                bytes
            }
            Err(error) => {
                self.read_failed(slot, &error);
                0
            }
        }
    }

    /// Acts on a read that brought nothing.
    pub(crate) fn read_failed(&mut self, slot: u32, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => {}
            io::ErrorKind::Interrupted => self.mark_ready(slot),
            _ => {
                self.note_failure(slot, error);
                self.lose(slot);
            }
        }
    }

    fn read_on(&mut self, slot: u32, more: bool) {
        if more {
            self.mark_ready(slot);
        }
    }

    /// Decodes and handles `input`, up to its end, to the end of the session's share of the turn, or to where the
    /// session is paused or over; how many bytes that was.
    pub(crate) fn decode(&mut self, slot: u32, input: &mut [u8]) -> usize {
        let session = &mut self.sessions[slot as usize];
        let mut partial = session.extra.as_mut().and_then(|extra| extra.partial.take());
        let mut at = 0;
        let message_bytes_max = self.bounds.message_bytes_max;
        let steps_max = self.steps + STEPS_PER_SESSION;
        loop {
            // Those of the message before, which is only now to be dropped.
            self.steps += frames_of(&mut partial);
            match decode(&mut partial, &mut input[at..], message_bytes_max) {
                Ok(decoded) => {
                    at += decoded.consumed;
                    let Some(event) = decoded.event else { break };
                    self.handle_event(slot, event);
                }
                Err(violation) => self.doom(slot, violation.into()),
            }
            if self.sessions[slot as usize].has(flag::PAUSED | flag::DOOMED)
                || self.steps >= steps_max
            {
                break;
            }
        }
        self.steps += frames_of(&mut partial);
        self.keep(slot, partial);
        at
    }

    /// Keeps what an incomplete message leaves for the next turn.
    fn keep(&mut self, slot: u32, partial: Option<Box<Partial>>) {
        let tick = self.tick;
        let Some(mut partial) = partial.filter(|partial| partial.is_message_started()) else {
            return;
        };
        partial.started_tick.get_or_insert(tick);
        self.sessions[slot as usize].extra().partial = Some(partial);
    }

    /// Has the session read again if there is `more`, or bytes that it brought beyond its share of this turn.
    pub(crate) fn settle(&mut self, slot: u32, unread: Vec<u8>, more: bool) {
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::DOOMED) {
            return;
        }
        let more = more || !unread.is_empty();
        if !unread.is_empty() {
            session.extra().unread = unread;
        }
        if !session.has(flag::PAUSED) {
            session.release();
            self.read_on(slot, more);
        }
    }

    fn handle_event(&mut self, slot: u32, event: Event<'_>) {
        self.steps += 1;
        match event {
            Event::Message(message) => {
                self.counters.messages_in += 1;
                let session = &mut self.sessions[slot as usize];
                session.messages = session.messages.wrapping_add(1);
                let route = usize::from(session.route);
                let bytes = message.payload().len();
                let (id, routes) = (self.id(slot), Rc::clone(&self.routes));
                match &routes[route] {
                    Service::Handler(handler) => {
                        let mut desk = Desk { state: self, slot };
                        handler.message(&mut Context::new(id, &mut desk), message);
                        self.charge(slot, bytes);
                    }
                    Service::Chat => self.chat_message(slot, message),
                }
            }
            Event::Ping(payload) => {
                self.counters.control_in += 1;
                let bytes = payload.len();
                self.pong(slot, payload);
                self.charge(slot, bytes);
            }
            Event::Pong(payload) => {
                self.counters.control_in += 1;
                self.charge(slot, payload.len());
            }
            Event::Close(close) => {
                self.counters.control_in += 1;
                self.doom(slot, CloseReason::Peer(close));
            }
        }
    }
}

/// The frames that went into a message that came in pieces.
fn frames_of(partial: &mut Option<Box<Partial>>) -> u64 {
    partial.as_mut().map_or(0, |partial| u64::from(partial.take_frames()))
}
