//! What a chat session asks for, and what each request leads to.

use crate::gate::access::Access;
use crate::gate::permissions::Right;
use crate::gate::verify::Purpose;
use crate::log::{Direction, Draft, Origin};
use crate::protocol::Message;
use crate::protocol::chat::{
    Address, ClientId, Code, Incoming, Rejection, Request, SEQ_MAX, parse, reply,
};
use crate::rooms::conversation::{View, inbox};
use crate::shard::chat::answers::text;
use crate::shard::chat::session::{Reference, Want};
use crate::shard::session::flag;
use crate::shard::state::State;

/// Requests of one session that wait for the log to be read; with more it is not read itself.
pub(crate) const WANTS_MAX: usize = 32;

impl State {
    /// Acts on a message of a chat session.
    pub(crate) fn chat_message(&mut self, slot: u32, message: Message<'_>) {
        let rate = self.judge_rate(slot, message.payload().len());
        let Message::Text(text) = message else {
            let (code, message) = (Code::BadJson, "chat messages are text".into());
            self.reject(slot, &Rejection { code, message, reference: None, client_id: None });
            return;
        };
        let parsed = parse(text);
        if let Err(retry_after_ms) = rate {
            let (reference, client_id) = match &parsed {
                Ok(incoming) => (incoming.reference, incoming.client_id()),
                Err(rejection) => (rejection.reference.as_deref(), rejection.client_id),
            };
            self.refuse_rate(slot, reference, client_id, retry_after_ms);
            return;
        }
        match parsed {
            Ok(incoming) => {
                let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
                chat.flood.good();
                self.act_on(slot, incoming);
            }
            Err(rejection) => self.reject(slot, &rejection),
        }
    }

    fn act_on(&mut self, slot: u32, incoming: Incoming<'_>) {
        let Incoming { request, reference } = incoming;
        let reference: Reference = reference.map(Into::into);
        let Some(chat) = &self.sessions[slot as usize].chat else { return };
        let Some(access) = chat.welcome().cloned() else {
            match request {
                Request::Hello { token: Some(token), .. } => {
                    self.show_token(slot, &token, Purpose::Hello, reference);
                }
                Request::Hello { guest, name, .. } => {
                    self.take_hello(slot, guest.as_deref(), name.as_deref(), reference);
                }
                Request::Ping => self.answer_ping(slot, &reference),
                Request::Pong => {}
                _ => self.refuse(slot, Code::HelloRequired, &reference),
            }
            return;
        };
        match request {
            Request::Hello { .. } => self.refuse(slot, Code::AlreadyWelcome, &reference),
            Request::Join { address, after, history } => {
                if let Some(view) = self.enterable(slot, &access, &address, &reference) {
                    let after = after.map(|after| (after.epoch.into(), after.seq));
                    self.chat_join(slot, &view, after, history, reference);
                }
            }
            Request::Leave { address } => {
                if let Some((room, _)) = self.member_of(slot, &access, &address, &reference) {
                    self.chat_leave(slot, room, &reference);
                }
            }
            Request::Send { address, client_id, body } => {
                self.take_send(slot, &access, &address, (client_id, body), reference);
            }
            Request::Signal { address, body } => {
                self.take_signal(slot, &access, &address, body, &reference);
            }
            Request::History { address, direction, limit } => {
                self.take_history(slot, &access, &address, (direction, limit), reference);
            }
            Request::Members { room } => self.answer_members(slot, &room, &reference),
            Request::Rooms { .. } if !access.has_direct() => {
                self.answer_rooms(slot, &[], false, &reference);
            }
            Request::Rooms { after, limit } => {
                self.want(slot, Want::Rooms { after: after.map(Into::into), limit, reference });
            }
            Request::Refresh { token } => {
                self.show_token(slot, &token, Purpose::Refresh, reference);
            }
            Request::Ping => self.answer_ping(slot, &reference),
            Request::Pong => {}
        }
    }

    /// How the session sees the conversation that it names, if it may join it.
    fn enterable(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        reference: &Reference,
    ) -> Option<View> {
        let view = self.view(slot, access, address, reference)?;
        if !self.rights_for(slot, view.name()).has(Right::Join) {
            self.refuse(slot, Code::Forbidden, reference);
            return None;
        }
        Some(view)
    }

    /// How the session sees the conversation that it names, if it may have such a one at all.
    fn view(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        reference: &Reference,
    ) -> Option<View> {
        match address {
            Address::Room(room) => Some(View::room(room)),
            Address::With(_) if !access.has_direct() => {
                self.refuse(slot, Code::Forbidden, reference);
                None
            }
            Address::With(other) => Some(View::direct(&access.identity.user, other)),
        }
    }

    /// The room that the session names, if it is a member.
    fn member_of(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        reference: &Reference,
    ) -> Option<(u32, View)> {
        let view = self.view(slot, access, address, reference)?;
        let room = self.joined_room(slot, view.name());
        if room.is_none() {
            self.refuse(slot, Code::NotJoined, reference);
        }
        room.map(|room| (room, view))
    }

    /// The conversation that the session names, if it may do that there, and its room on this shard if there is one: a
    /// room is for its members; whoever writes to another user has not to join anything.
    fn open_to(
        &mut self,
        slot: u32,
        access: &Access,
        (right, address): (Right, &Address<'_>),
        reference: &Reference,
    ) -> Option<(Option<u32>, View)> {
        if let Address::Room(_) = address {
            let (room, view) = self.member_of(slot, access, address, reference)?;
            if !self.rights_in(slot, room).has(right) {
                self.refuse(slot, Code::Forbidden, reference);
                return None;
            }
            return Some((Some(room), view));
        }
        let view = self.view(slot, access, address, reference)?;
        Some((self.rooms.find(self.sessions[slot as usize].route, view.name()), view))
    }

    /// Whether the user may say something now.
    fn may_speak(&mut self, slot: u32, reference: &Reference) -> bool {
        let Some(end) = self.muted_until(slot) else { return true };
        let wait = (end != u64::MAX).then(|| end.saturating_sub((self.clock)()));
        let error = reply::Error {
            reference: reference.as_deref(),
            retry_after_ms: wait,
            ..reply::Error::from(Code::Muted)
        };
        self.send_error(slot, &error);
        false
    }

    /// At most as many messages as one answer may have.
    pub(crate) fn history_limit(&self, messages: u32) -> u32 {
        let max = self.chat.as_ref().map_or(0, |shared| shared.limits.history_messages_max);
        messages.min(u32::try_from(max).unwrap_or(u32::MAX))
    }

    /// Hands a message to the log.
    fn take_send(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        (client_id, body): (ClientId, &str),
        reference: Reference,
    ) {
        let send = (Right::Send, address);
        let Some((room, view)) = self.open_to(slot, access, send, &reference) else { return };
        if !self.may_speak(slot, &reference) {
            return;
        }
        let session = self.id(slot);
        self.submit_draft(
            slot,
            room,
            Draft {
                conversation: view.conversation(),
                author: access.identity.clone(),
                client_id,
                body: body.into(),
                origin: Origin { session, view, reference },
                ruling: None,
            },
        );
    }

    /// Passes on what is not stored. Where it would have to wait it is let go instead.
    fn take_signal(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        body: &str,
        reference: &Reference,
    ) {
        let right = (Right::Signal, address);
        let Some((room, view)) = self.open_to(slot, access, right, reference) else { return };
        if !self.may_speak(slot, reference) {
            return;
        }
        let identity = &access.identity;
        match (address, room) {
            (Address::Room(_), Some(room)) => {
                let signal = reply::Signal { view: &view, from: identity, body };
                self.signal(room, slot, &text(|out| signal.write(out)));
            }
            (Address::Room(_), None) => {}
            (Address::With(other), _) => {
                let view = View::direct(other, &identity.user);
                let signal = reply::Signal { view: &view, from: identity, body };
                self.signal_to_user(slot, &inbox(other), &text(|out| signal.write(out)));
            }
        }
    }

    fn take_history(
        &mut self,
        slot: u32,
        access: &Access,
        address: &Address<'_>,
        (direction, limit): (Option<Direction>, u32),
        reference: Reference,
    ) {
        let history = (Right::History, address);
        if let Some((_, view)) = self.open_to(slot, access, history, &reference) {
            let limit = self.history_limit(limit);
            let direction = direction.unwrap_or(Direction::Before(SEQ_MAX + 1));
            self.want(slot, Want::History { view, direction, limit, reference });
        }
    }

    /// Has the log read for a session; one that asks faster than can be read is not listened to for the while.
    pub(crate) fn want(&mut self, slot: u32, want: Want) {
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        chat.wants.push_back(want);
        if chat.wants.len() >= WANTS_MAX {
            self.pause(slot, flag::PAUSED_BY_READS);
        }
        self.want_read(slot);
    }

    /// Answers a request that was none.
    fn reject(&mut self, slot: u32, rejection: &Rejection) {
        self.send_error(slot, &reply::Error::from(rejection));
    }
}
