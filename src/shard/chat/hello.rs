//! The beginning of a chat session: who it is, and what it is told first.

use std::sync::Arc;

use crate::gate::access::Access;
use crate::log::Seq;
use crate::log::writer::system_time;
use crate::protocol::chat::{Code, reply};
use crate::protocol::{Close, CloseReason, Request};
use crate::rooms::conversation::inbox;
use crate::shard::chat::session::{ChatSession, Reference, Want};
use crate::shard::state::State;

impl State {
    /// Makes a chat session of a session that opened.
    pub(crate) fn chat_open(&mut self, slot: u32, request: &Request) {
        let Some(shared) = &self.chat else { return };
        let authenticated =
            shared.authenticate.as_ref().and_then(|authenticate| authenticate(request));
        if let Some(identity) = &authenticated
            && self.seat_user(slot, &identity.user).is_err()
        {
            self.doom(slot, CloseReason::Handler(Close::new(4429_u16, "too many connections")));
        }
        let access =
            authenticated.map(Access::full).map(Arc::new).or_else(|| request.access.clone());
        let chat = ChatSession { access, pinged: self.tick, ..ChatSession::default() };
        let session = &mut self.sessions[slot as usize];
        session.chat = Some(Box::new(chat));
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
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        if let Some(access) = &chat.access {
            // Before its conversations are read: what is said from now on reaches it here.
            let inbox = inbox(&access.identity.user);
            chat.is_welcome = true;
            self.join_beyond(slot, &inbox);
            self.want(slot, Want::Welcome { reference });
            return;
        }
        let admitted = self.chat.as_ref().and_then(|shared| shared.guests.admit(guest, name));
        let Some((identity, token)) = admitted else {
            self.refuse(slot, Code::BadToken, &reference);
            return;
        };
        if let Some(chat) = &mut self.sessions[slot as usize].chat {
            chat.access = Some(Arc::new(Access::full(identity)));
            chat.is_welcome = true;
        }
        self.answer_hello(slot, Some(&token), &[], &reference);
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
            self.doom(slot, CloseReason::Handler(Close::new(4401_u16, "no hello")));
        }
    }
}

/// How much a session's socket may hold that was not sent yet.
#[cfg(target_os = "linux")]
const NOT_SENT_BYTES_MAX: u32 = 128 * 1024;
