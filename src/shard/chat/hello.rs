//! The beginning of a chat session: who it is, and what it is told first.

use std::sync::Arc;

use crate::gate::access::Access;
use crate::hub::directory::Watch;
use crate::log::Seq;
use crate::log::writer::system_time;
use crate::protocol::chat::{Code, reply};
use crate::protocol::{CloseReason, Request};
use crate::rooms::conversation::{inbox, online};
use crate::shard::chat::session::{ChatSession, Reference, Want};
use crate::shard::state::State;

impl State {
    /// Makes a chat session of a session that opened.
    pub(crate) fn chat_open(&mut self, slot: u32, request: &Request) {
        let chat = ChatSession { pinged: self.tick, ..ChatSession::default() };
        self.sessions[slot as usize].chat = Some(Box::new(chat));
        if let Some(access) = &request.access {
            self.set_access(slot, Arc::clone(access));
        }
        let session = &self.sessions[slot as usize];
        // The kernel holds no more than that of what was not sent; what is behind is read from the log instead.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&session.stream).set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX);
    }

    /// Welcomes a session: as who it was found to be at the handshake, else as the guest that it was or a new one.
    pub(crate) fn take_hello(
        &mut self,
        slot: u32,
        guest: Option<&str>,
        name: Option<&str>,
        reference: Reference,
    ) {
        if self.access(slot).is_some() {
            return self.welcome(slot, reference);
        }
        let Some(shared) = &self.chat else { return };
        if !shared.is_open {
            return self.turn_away(slot, Code::TokenRequired, &reference);
        }
        let Some((identity, token)) = shared.guests.admit(guest, name) else {
            return self.refuse(slot, Code::BadToken, &reference);
        };
        if self.hub.standings.keeps_out(&identity.user, (self.clock)()).is_some() {
            return self.turn_away(slot, Code::Forbidden, &reference);
        }
        self.set_access(slot, Arc::new(Access::full(identity)));
        if let Some(chat) = &mut self.sessions[slot as usize].chat {
            chat.is_welcome = true;
        }
        self.answer_hello(slot, Some(&token), &[], &reference);
    }

    /// Welcomes a session as who it was found to be.
    pub(crate) fn greet(&mut self, slot: u32, access: &Access, reference: Reference) {
        let wants_users = || self.hub.directory.watcher().is_some_and(Watch::wants_users);
        if !access.identity.is_guest && wants_users() {
            self.join_beyond(slot, &online(&access.identity.user));
        }
        if access.has_direct() {
            // Before its conversations are read: what is said from now on reaches it here.
            self.join_beyond(slot, &inbox(&access.identity.user));
            self.want(slot, Want::Welcome { reference });
        } else {
            self.answer_hello(slot, None, &[], &reference);
        }
    }

    /// Answers `hello`.
    pub(crate) fn answer_hello(
        &mut self,
        slot: u32,
        guest: Option<&str>,
        conversations: &[(Arc<str>, Seq)],
        reference: &Reference,
    ) {
        let (Some(shared), Some(chat)) = (&self.chat, &self.sessions[slot as usize].chat) else {
            return;
        };
        let Some(access) = chat.welcome().cloned() else { return };
        let welcome = reply::Welcome {
            session: self.id(slot),
            identity: &access.identity,
            guest,
            heartbeat_secs: shared.heartbeat_secs,
            limits: shared.limits,
            time: system_time(),
            conversations,
            reference: reference.as_deref(),
        };
        self.reply(slot, |out| welcome.write(out));
    }

    /// Ends a session that has not said who it is in time.
    pub(crate) fn check_hello(&mut self, slot: u32) {
        let session = &self.sessions[slot as usize];
        let (Some(shared), Some(chat)) = (&self.chat, &session.chat) else { return };
        if !chat.is_welcome && self.tick - session.opened > shared.hello_ticks {
            self.doom(slot, CloseReason::Unauthenticated("no hello"));
        }
    }
}

/// How much a session's socket may hold that was not sent yet.
#[cfg(target_os = "linux")]
const NOT_SENT_BYTES_MAX: u32 = 128 * 1024;
