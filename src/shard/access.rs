//! What a session was let in with: who it speaks for, what it may do in its rooms, and the end of that.
//!
//! A chat session has it among what it has anyway; of the others only those that showed who they are, in a map of the
//! shard's. Rights are looked up when a session joins and when its permissions change, not when it speaks.

use std::sync::Arc;

use crate::gate::access::Access;
use crate::gate::permissions::{Right, Rights};
use crate::gate::standing::Measure;
use crate::http::Refusal;
use crate::log::Millis;
use crate::protocol::chat::Code;
use crate::protocol::chat::reply;
use crate::protocol::{CloseReason, Request};
use crate::rooms::conversation::is_of_users;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Finds out who asks to be let in, and why they may not be.
    pub(crate) fn admit(&self, request: &mut Request) -> Option<Refusal> {
        if let Some(found) = self.authorize.as_ref().and_then(|authorize| authorize(request)) {
            request.access = Some(found);
        }
        let user = &request.access.as_ref()?.identity.user;
        match self.hub.standings.keeps_out(user, (self.clock)())? {
            Measure::Revocation => Some(Refusal::Revoked),
            Measure::Ban | Measure::Mute => Some(Refusal::Banned),
        }
    }

    /// Notes what a session was let in with.
    pub(crate) fn set_access(&mut self, slot: u32, access: Arc<Access>) {
        let session = &mut self.sessions[slot as usize];
        session.clear(flag::EXPIRES | flag::WARNED);
        if access.expires_at.is_some() {
            session.set(flag::EXPIRES);
        }
        match &mut session.chat {
            Some(chat) => chat.access = Some(access),
            None => drop(self.accesses.insert(slot, access)),
        }
    }

    /// What a session was let in with; `None` where nothing was asked for.
    pub(crate) fn access(&self, slot: u32) -> Option<&Arc<Access>> {
        match &self.sessions[slot as usize].chat {
            Some(chat) => chat.access.as_ref(),
            None if self.accesses.is_empty() => None,
            None => self.accesses.get(&slot),
        }
    }

    /// What a session may do in a room of that name, be it a member or not.
    pub(crate) fn rights_for(&self, slot: u32, name: &str) -> Rights {
        match self.access(slot) {
            // What concerns single users is looked at by who lets them in there.
            Some(access) if !is_of_users(name) => access.permissions.of_room(name),
            _ => Rights::ALL,
        }
    }

    /// What a session may do in a room that it is in; nothing where it is not.
    pub(crate) fn rights_in(&self, slot: u32, room: u32) -> Rights {
        let mut memberships = self.sessions[slot as usize].memberships();
        let found = memberships.find(|member| member.room == room);
        found.map_or(Rights::NONE, |member| member.rights)
    }

    /// Whether a session may do that wherever it is.
    pub(crate) fn may_everywhere(&self, slot: u32, right: Right) -> bool {
        self.sessions[slot as usize].memberships().all(|member| member.rights.has(right))
    }

    /// Whether it is hidden from a session who comes to a room and who goes.
    pub(crate) fn hides_presence(&self, slot: u32, room: u32) -> bool {
        self.sessions[slot as usize].has(flag::NO_PRESENCE)
            && !self.rights_in(slot, room).has(Right::Members)
    }

    /// Whether a session's user may say nothing, and until when at the most: `u64::MAX` is for good.
    pub(crate) fn muted_until(&self, slot: u32) -> Option<Millis> {
        if self.mutes.is_empty() {
            return None;
        }
        let user = &self.access(slot)?.identity.user;
        self.mutes.get(user).copied().filter(|end| *end > (self.clock)())
    }

    /// Warns a session whose time is nearly over, and ends one whose time it is.
    pub(crate) fn check_expiry(&mut self, slot: u32) {
        if !self.sessions[slot as usize].has(flag::EXPIRES) {
            return;
        }
        let Some(end) = self.access(slot).and_then(|access| access.expires_at) else { return };
        let now = (self.clock)();
        if now >= end {
            self.doom(slot, CloseReason::Unauthenticated("the token has expired"));
        } else if now + self.bounds.expiry_warning_ms >= end {
            self.warn(slot);
        }
    }

    fn warn(&mut self, slot: u32) {
        let session = &mut self.sessions[slot as usize];
        let is_welcome = session.chat.as_ref().is_some_and(|chat| chat.is_welcome);
        if is_welcome && !session.has(flag::WARNED) {
            session.set(flag::WARNED);
            self.tell_error(slot, &reply::Error::from(Code::TokenExpired));
        }
    }
}
