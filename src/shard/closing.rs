//! The end of a session: out of its rooms, a Close frame with the right code, and a TCP close that lets the peer read
//! it (RFC 6455, section 7.1.1).
//!
//! The write side is shut down behind the Close and what the peer still sends is read and thrown away until it hangs
//! up too: closing at once over unread data would make the kernel send a reset, which can overtake the Close.

use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;

use crate::gate::access::Access;
use crate::protocol::{Close, CloseReason, Context, Message, frame};
use crate::shard::TICK;
use crate::shard::actions::Desk;
use crate::shard::counters::Drop;
use crate::shard::outbox::Tag;
use crate::shard::service::Service;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Ends every session that was doomed, those too that are doomed by the ends of others.
    pub(crate) fn reap(&mut self) {
        while let Some((slot, reason)) = self.doomed.pop() {
            if self.sessions.get(slot as usize).is_some_and(|session| session.has(flag::DOOMED)) {
                self.end(slot, &reason);
            }
        }
    }

    /// The peer says no more. It may still listen: what a closing session has begun to say is finished.
    pub(crate) fn hang_up(&mut self, slot: u32) {
        let session = &mut self.sessions[slot as usize];
        session.set(flag::HUNG_UP);
        if !session.has(flag::CLOSING) || session.has(flag::SHUT) {
            self.lose(slot);
        }
    }

    /// The peer is gone: ends the session if it has not ended yet, and frees it.
    pub(crate) fn lose(&mut self, slot: u32) {
        if self.sessions[slot as usize].has(flag::CLOSING) {
            self.remove(slot);
        } else {
            self.doom(slot, CloseReason::Lost);
        }
    }

    fn end(&mut self, slot: u32, reason: &CloseReason) {
        if reason.is_orderly() {
            self.queue_all_rooms(slot);
        } else {
            if reason.is_expulsion() {
                let is_removed = matches!(reason, CloseReason::Removed(_));
                self.discard(slot, |tag| is_removed || tag != Tag::Private);
            }
            // The answers to what the peer said before it broke a rule or took its leave. What the kernel does not
            // take now is not waited for.
            self.flush_outbox(slot);
        }
        self.tell_handler(slot, reason);
        let access = self.access(slot).filter(|_| self.peers.contains_key(&slot)).cloned();
        self.leave_all(slot);
        self.accesses.remove(&slot);
        let bye = self.bye(slot, reason);
        self.sessions[slot as usize].chat = None;
        let session = &mut self.sessions[slot as usize];
        if session.has(flag::PAUSED) {
            self.counters.paused -= 1;
        }
        session.clear(flag::PAUSED | flag::DOOMED | flag::MANY_ROOMS);
        session.set(flag::CLOSING);
        let route = session.route;
        let patience = match reason.is_orderly() {
            true => self.bounds.heartbeat_timeout_ticks,
            false => self.bounds.close_timeout_ticks,
        };
        let extra = session.extra();
        extra.deadline = self.tick + patience;
        extra.partial = None;
        extra.unread = Vec::new();
        self.counters.routes[usize::from(route)].sessions -= 1;
        self.counters.closed[reason.index()] += 1;
        self.log_end(slot, reason, access.as_deref());
        match reason.close() {
            Some(close) => self.say_goodbye(slot, reason, &close, bye),
            None if matches!(reason, CloseReason::Tls(_)) => {
                // The alert is on its way.
                self.discard(slot, |_| true);
                self.mark_ready(slot);
                self.flush_outbox(slot);
            }
            None => self.remove(slot),
        }
    }

    fn log_end(&mut self, slot: u32, reason: &CloseReason, access: Option<&Access>) {
        let Some(peer) = self.peers.remove(&slot) else { return };
        let session = &self.sessions[slot as usize];
        tracing::debug!(
            session = %self.id(slot),
            %peer,
            user = access.map(|access| &*access.identity.user),
            reason = reason.label(),
            cause = reason.cause(),
            open_secs = f64::from(self.tick - session.opened) * TICK.as_secs_f64(),
            messages = session.messages,
            unsent_bytes = session.extra.as_ref().map_or(0, |extra| extra.outbox.bytes()),
            "session closed"
        );
    }

    fn tell_handler(&mut self, slot: u32, reason: &CloseReason) {
        let route = usize::from(self.sessions[slot as usize].route);
        let (id, routes) = (self.id(slot), Rc::clone(&self.routes));
        let Service::Handler(handler) = &routes[route] else { return };
        let mut desk = Desk { state: self, slot };
        let mut context = Context::new(id, &mut desk);
        if reason.is_violation() {
            handler.error(&mut context, reason);
        }
        handler.close(&mut context, reason);
    }

    fn say_goodbye(&mut self, slot: u32, reason: &CloseReason, close: &Close, bye: Option<String>) {
        let mut bytes = Vec::new();
        if let Some(bye) = bye {
            frame::encode(Message::Text(&bye), &mut bytes);
        }
        let is_answer_without_code = matches!(reason, CloseReason::Peer(None));
        frame::encode_close((!is_answer_without_code).then_some(close), &mut bytes);
        self.counters.control_out += 1;
        if reason.is_orderly() {
            self.queue(slot, |outbox| outbox.push_last(&bytes));
        } else {
            self.discard(slot, |_| true);
            self.queue(slot, |outbox| outbox.push_control(&bytes));
        }
        self.mark_ready(slot);
    }

    /// Lets go of what is queued, was not started, and is one of those.
    fn discard(&mut self, slot: u32, which: impl Fn(Tag) -> bool) {
        if self.sessions[slot as usize].extra.is_none() {
            return;
        }
        let frames =
            self.let_go(slot, |outbox| outbox.purge(|tag| tag != Tag::Control && which(tag)));
        self.counters.dropped[Drop::Closed as usize] += frames;
    }

    /// The Close is written: nothing more goes out, and the peer's end is awaited.
    pub(crate) fn shut(&mut self, slot: u32) {
        let session = &self.sessions[slot as usize];
        if session.has(flag::SHUT) || session.has(flag::TLS) && !self.end_channel(slot) {
            return;
        }
        let session = &mut self.sessions[slot as usize];
        session.set(flag::SHUT);
        session.extra().deadline = self.tick + self.bounds.close_timeout_ticks;
        if session.stream.shutdown(std::net::Shutdown::Write).is_err() {
            self.remove(slot);
        } else if session.has(flag::HUNG_UP) {
            // Its end was told already and is not told again.
            self.mark_ready(slot);
        }
    }

    /// Gives up on a closing session whose time is over. What the peer did not take is not kept for it.
    pub(crate) fn abort(&mut self, slot: u32) {
        let session = &self.sessions[slot as usize];
        if !session.has(flag::SHUT) {
            // With no time to linger the kernel frees its buffers at once, with a reset.
            let _ = SockRef::from(&session.stream).set_linger(Some(Duration::ZERO));
        }
        self.remove(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.discard(slot, |_| true);
        let session = self.sessions.remove(slot as usize);
        self.seats.take(slot);
        if session.has(flag::TLS) {
            self.remove_channel(slot);
        }
        if let Some(extra) = &session.extra {
            self.counters.outbox_bytes -= extra.outbox.bytes();
        }
        self.release_place();
    }

    /// Takes a session off the node's and the shard's count.
    pub(crate) fn release_place(&self) {
        self.connections.release();
        self.hub.placement.release(self.shard);
    }
}
