//! What comes in through the mailbox: connections to adopt, other shards' batches, requests of handles, the stop.

use std::rc::Rc;
use std::sync::Arc;

use hyper::header;
use mio::Interest;
use mio::net::TcpStream;

use crate::gate::addresses::Excess;
use crate::gate::origin;
use crate::gate::users::UserPlace;
use crate::http::Refusal;
use crate::hub::mailbox::{Control, Request};
use crate::protocol::{CloseReason, Context};
use crate::rooms::presence::Note;
use crate::shard::actions::Desk;
use crate::shard::service::Service;
use crate::shard::session::{Session, flag};
use crate::shard::state::State;
use crate::shard::{Adopt, Shard, token};
use crate::tls::Channel;

/// How much of each queue one turn takes.
pub(super) const CONTROL_PER_TURN: usize = 128;
pub(super) const BATCHES_PER_TURN: usize = 64;
pub(super) const DELIVERIES_PER_TURN: usize = 64;
pub(super) const REQUESTS_PER_TURN: usize = 256;
/// How many parts and notes batches may have, before whichever comes last: one costs as much as a message that is read.
pub(super) const PARTS_PER_TURN: usize = 16 * 1024;
/// And how many bytes of frames, before whatever comes last.
const BATCH_BYTES_PER_TURN: usize = 1024 * 1024;
const REQUEST_BYTES_PER_TURN: usize = 1024 * 1024;

impl Shard {
    /// Takes what there is, within the turn's bounds.
    pub(super) fn take_mail(&mut self) {
        self.take_control();
        self.take_batches();
        self.take_deliveries();
        self.take_found();
        self.take_requests();
    }

    /// Whether there is mail that the next turn would take.
    pub(super) fn has_mail(&self) -> bool {
        !self.mailbox.control.is_empty()
            || (self.takes_batches() && !self.mailbox.batches.is_empty())
            || (self.takes_batches() && !self.mailbox.deliveries.is_empty())
            || !self.mailbox.found.is_empty()
            || (self.takes_requests() && !self.mailbox.requests.is_empty())
    }

    /// While a room has more than it should although its publishers are held up, batches wait in the mailbox; when
    /// that is full their senders wait, and at last whoever publishes.
    fn takes_batches(&self) -> bool {
        self.state.full == 0
    }

    /// While another shard takes nothing, what would have to be handed on to it is not accepted.
    fn takes_requests(&self) -> bool {
        !self.state.outgoing.is_blocked() && self.state.full == 0
    }

    fn take_control(&mut self) {
        for _ in 0..CONTROL_PER_TURN {
            match self.mailbox.control.try_recv() {
                Ok(Control::Adopt(adopt)) => self.adopt(*adopt),
                Ok(Control::Order(order)) => self.state.take_order(order),
                Ok(Control::Verified(verified)) => self.state.take_verified(*verified),
                Ok(Control::Stop) => self.begin_stop(),
                Err(_) => break,
            }
        }
    }

    fn take_batches(&mut self) {
        let (mut taken, mut bytes, mut parts) = (0, 0, 0);
        while taken < BATCHES_PER_TURN
            && bytes < BATCH_BYTES_PER_TURN
            && parts < PARTS_PER_TURN
            && self.takes_batches()
        {
            let Ok(mut batch) = self.mailbox.batches.try_recv() else { break };
            taken += 1;
            bytes += batch.bytes.len();
            parts += batch.parts.len() + batch.notes.iter().map(Note::cost).sum::<usize>();
            self.state.counters.batches_in += 1;
            let hop = self.state.now.saturating_duration_since(batch.sent_at);
            self.state.counters.hop.record(hop);
            let mut start = 0;
            for part in &batch.parts {
                let bytes = &batch.bytes[start..part.end];
                self.state.deliver(part, bytes, batch.read_at);
                start = part.end;
            }
            batch.notes.drain(..).for_each(|note| self.state.take_note(note));
            self.state.outgoing.recycle(batch);
        }
        if taken > 0 {
            for shard in self.mailbox.take_waiting() {
                self.state.hub.ports[shard].wake();
            }
        }
    }

    /// Takes what the log stored.
    fn take_deliveries(&mut self) {
        let (mut taken, mut bytes) = (0, 0);
        while taken < DELIVERIES_PER_TURN && bytes < BATCH_BYTES_PER_TURN && self.takes_batches() {
            let Ok(delivery) = self.mailbox.deliveries.try_recv() else { break };
            taken += 1;
            bytes += delivery.bytes.len();
            self.state.take_delivery(delivery);
        }
        if taken > 0
            && let Some(chat) = &self.state.chat
        {
            chat.log.wake();
        }
    }

    /// Takes what was read from the log: no more than was asked for.
    fn take_found(&mut self) {
        while let Ok(found) = self.mailbox.found.try_recv() {
            self.state.take_found(found);
        }
    }

    fn take_requests(&mut self) {
        let mut bytes = 0;
        for _ in 0..REQUESTS_PER_TURN {
            if bytes >= REQUEST_BYTES_PER_TURN || !self.takes_requests() {
                break;
            }
            let Ok(request) = self.mailbox.requests.try_recv() else { break };
            match request {
                Request::Send { session, frame } => {
                    bytes += frame.len();
                    if let Some(slot) = self.state.slot(session) {
                        self.state.counters.deliveries += 1;
                        self.state.queue(slot, |outbox| outbox.push_private(&frame));
                    }
                }
                Request::Publish { route, room, except, frame } => {
                    bytes += frame.len();
                    self.state.publish_frame(route as u16, &room, except, &frame);
                }
                Request::Close { session, close } => {
                    if let Some(slot) = self.state.slot(session) {
                        self.state.doom(slot, CloseReason::Handler(close));
                    }
                }
                Request::Members { route, room, told } => {
                    // Whoever asked may have gone.
                    let _ = told.send(self.state.members_of(route as u16, &room));
                }
            }
        }
    }

    /// Makes a session of an upgraded connection.
    fn adopt(&mut self, adopt: Adopt) {
        let Adopt { stream, channel, response, leftover, route, mut request, place } = adopt;
        let mut stream = TcpStream::from_std(stream);
        if let Some(refusal) = self.state.admit(&mut request) {
            return self.turn_away(&stream, channel, refusal);
        }
        let user = match self.user_place(&request) {
            Ok(user) => user,
            Err(excess) => return self.turn_away(&stream, channel, Refusal::Excess(excess)),
        };
        let entry = self.state.sessions.vacant_entry();
        let slot = entry.key() as u32;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, token(slot), interest) {
            tracing::warn!(%error, "a connection cannot be watched and is turned away");
            return self.turn_away(&stream, channel, Refusal::ShardBusy);
        }
        let tick = self.state.tick;
        self.state.generation = self.state.generation.wrapping_add(1);
        entry.insert(Session::new(stream, self.state.generation, route as u16, tick));
        if let Some(place) = place {
            self.state.seats.put(slot, place);
        }
        if let Some(user) = user {
            self.state.seats.place(slot).set_user(user);
        }
        if let Some(channel) = channel {
            self.state.add_channel(slot, channel);
        }
        let counters = &mut self.state.counters.routes[route];
        counters.sessions += 1;
        counters.opened += 1;
        self.open(slot, route, &request);
        self.answer(slot, &response);
        if !leftover.is_empty() {
            self.state.sessions[slot as usize].extra().unread = leftover.to_vec();
            self.state.mark_ready(slot);
        }
        if self.stopping.is_some() {
            self.state.doom(slot, CloseReason::Shutdown);
        }
    }

    /// A place among the sessions of the user who asks, if it is known who that is.
    fn user_place(&self, request: &crate::protocol::Request) -> Result<Option<UserPlace>, Excess> {
        let identity = request.access.as_ref().map(|access| &access.identity);
        let user = identity.filter(|identity| !identity.is_guest).map(|identity| &identity.user);
        user.map(|user| self.state.hub.users.enter(user)).transpose()
    }

    /// Answers a handshake with a refusal instead.
    fn turn_away(&self, stream: &TcpStream, channel: Option<Box<Channel>>, refusal: Refusal) {
        refusal.count();
        if let Some(mut answer) = refusal.bytes() {
            if let Some(mut channel) = channel {
                answer = channel.last_words(&answer);
            }
            // A few hundred bytes fit an empty socket buffer, or the peer is gone.
            let _ = State::write_once(stream, &answer);
        }
        self.state.release_place();
    }

    fn open(&mut self, slot: u32, route: usize, request: &crate::protocol::Request) {
        let (id, routes) = (self.state.id(slot), Rc::clone(&self.state.routes));
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.state.peers.insert(slot, request.address);
            tracing::debug!(
                session = %id,
                peer = %request.address,
                path = request.uri.path(),
                origin = request.headers.get(header::ORIGIN).and_then(origin::told),
                user = request.access.as_ref().map(|access| &*access.identity.user),
                "session opened"
            );
        }
        match &routes[route] {
            Service::Handler(handler) => {
                if let Some(access) = &request.access {
                    self.state.set_access(slot, Arc::clone(access));
                }
                let mut desk = Desk { state: &mut self.state, slot };
                handler.open(&mut Context::new(id, &mut desk), request);
            }
            Service::Chat => self.state.chat_open(slot, request),
        }
    }

    /// Writes the handshake's answer, ahead of anything that the session was sent already and only now that it is in
    /// its rooms: whoever has seen it misses nothing.
    fn answer(&mut self, slot: u32, response: &[u8]) {
        if self.state.sessions[slot as usize].has(flag::TLS) {
            if !self.state.write_sealed(slot, response) {
                self.state.doom(slot, CloseReason::Lost);
            }
            return;
        }
        self.state.counters.writes += 1;
        let session = &mut self.state.sessions[slot as usize];
        match State::write_once(&session.stream, response) {
            // An empty socket buffer takes a few hundred bytes, or the connection is gone.
            Ok(written) if written == response.len() => {
                self.state.counters.bytes_out += written as u64;
            }
            _ => {
                session.clear(flag::BLOCKED);
                self.state.doom(slot, CloseReason::Lost);
            }
        }
    }
}
