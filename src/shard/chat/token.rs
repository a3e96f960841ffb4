//! Tokens that a session shows: at `hello`, to be welcomed, and at `refresh`, to stay. Somebody else verifies them, while
//! the session is not listened to.

use std::sync::Arc;

use crate::gate::access::Access;
use crate::gate::addresses::Excess;
use crate::gate::permissions::Right;
use crate::gate::standing::Measure;
use crate::gate::verify::{Purpose, Question, Shown, Unverified, Verdict, Verified};
use crate::http::Refusal;
use crate::protocol::chat::{Code, reply};
use crate::protocol::{Close, CloseReason};
use crate::rooms::conversation::{View, inbox};
use crate::shard::chat::session::Reference;
use crate::shard::chat::stored::RETRY_AFTER_MS;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Has a token verified.
    pub(crate) fn show_token(
        &mut self,
        slot: u32,
        token: &str,
        purpose: Purpose,
        reference: Reference,
    ) {
        let Some(ask) = self.chat.as_ref().and_then(|shared| shared.ask.clone()) else {
            self.refuse(slot, Code::Unsupported, &reference);
            return;
        };
        self.pause(slot, flag::PAUSED_BY_TOKEN);
        let question = Question { session: self.id(slot), purpose, reference };
        ask(Shown { token: token.to_owned(), question });
    }

    /// Takes what became of a token.
    pub(crate) fn take_verified(&mut self, verified: Verified) {
        let Verified { question, verdict } = verified;
        let Some(slot) = self.slot(question.session) else { return };
        if self.sessions[slot as usize].has(flag::DOOMED) {
            return;
        }
        match question.purpose {
            Purpose::Hello => self.welcome_verified(slot, verdict, question.reference),
            Purpose::Refresh => self.refresh_verified(slot, verdict, &question.reference),
        }
        self.resume(slot, flag::PAUSED_BY_TOKEN);
    }

    fn welcome_verified(&mut self, slot: u32, verdict: Verdict, reference: Reference) {
        match verdict {
            Ok(access) if self.seat_user(slot, &access.identity.user).is_err() => {
                Refusal::Excess(Excess::UserConnections).count();
                let close = Close::new(4429_u16, "this user has too many connections");
                self.doom(slot, CloseReason::Handler(close));
            }
            Ok(access) => {
                self.set_access(slot, access);
                self.welcome(slot, reference);
            }
            Err(Unverified::Bad) => {
                self.seats.note_failure(slot);
                self.turn_away(slot, Code::BadToken, &reference);
            }
            Err(Unverified::Unavailable) => self.refuse_for_now(slot, &reference),
        }
    }

    /// Welcomes a session of which it is known who it is, unless that user may not come in.
    pub(crate) fn welcome(&mut self, slot: u32, reference: Reference) {
        let Some(access) = self.access(slot).cloned() else { return };
        match self.keeps_out(&access) {
            Some(Measure::Ban) => return self.turn_away(slot, Code::Forbidden, &reference),
            Some(_) => return self.turn_away(slot, Code::BadToken, &reference),
            None => {}
        }
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        chat.is_welcome = true;
        self.greet(slot, &access, reference);
    }

    /// Says why a session is not welcome, and ends it.
    pub(crate) fn turn_away(&mut self, slot: u32, code: Code, reference: &Reference) {
        let error = reply::Error { reference: reference.as_deref(), ..reply::Error::from(code) };
        self.tell_error(slot, &error);
        let reason = match code {
            Code::Forbidden => CloseReason::Forbidden("this user may not come in"),
            Code::TokenRequired => CloseReason::Unauthenticated("no token"),
            _ => CloseReason::Unauthenticated("bad token"),
        };
        self.doom(slot, reason);
    }

    fn refuse_for_now(&mut self, slot: u32, reference: &Reference) {
        let error = reply::Error {
            reference: reference.as_deref(),
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..reply::Error::from(Code::Unavailable)
        };
        self.send_error(slot, &error);
    }

    /// Has a session go on with another token of the same user.
    fn refresh_verified(&mut self, slot: u32, verdict: Verdict, reference: &Reference) {
        let Some(before) = self.access(slot).cloned() else { return };
        let access = match verdict {
            Ok(access) => access,
            Err(Unverified::Bad) => {
                self.seats.note_failure(slot);
                return self.refuse(slot, Code::BadToken, reference);
            }
            Err(Unverified::Unavailable) => return self.refuse_for_now(slot, reference),
        };
        if access.identity.user != before.identity.user || self.keeps_out(&access).is_some() {
            return self.refuse(slot, Code::Forbidden, reference);
        }
        // Its name is what others were told that it is.
        let access = Access { identity: before.identity.clone(), ..Access::clone(&access) };
        let expires_at = access.expires_at;
        self.set_access(slot, Arc::new(access));
        let reference = reference.as_deref();
        self.reply(slot, |out| reply::Refreshed { expires_at, reference }.write(out));
        self.apply_permissions(slot);
    }

    /// Has what a session may do now hold in its rooms: it leaves those that it may be in no more, and is told nothing
    /// any more that it may not know.
    fn apply_permissions(&mut self, slot: u32) {
        let Some(access) = self.access(slot).cloned() else { return };
        let has_direct = access.has_direct();
        let rooms: Vec<u32> =
            self.sessions[slot as usize].memberships().map(|member| member.room).collect();
        self.sessions[slot as usize].clear(flag::NO_PRESENCE);
        for room in rooms {
            match self.rooms.get(room).chat.as_ref().map(|chat| chat.view.clone()) {
                Some(view) if view.ends().is_none() => self.apply_in_room(slot, room, &view),
                Some(_) if !has_direct => self.chat_leave(slot, room, &None),
                // The inbox.
                None if !has_direct => self.leave(slot, room),
                _ => {}
            }
        }
        let inbox = inbox(&access.identity.user);
        if has_direct && self.joined_room(slot, &inbox).is_none() {
            self.join_beyond(slot, &inbox);
        }
    }

    fn apply_in_room(&mut self, slot: u32, room: u32, view: &View) {
        let (before, now) = (self.rights_in(slot, room), self.rights_for(slot, view.name()));
        if !now.has(Right::Join) {
            self.chat_leave(slot, room, &None);
            return;
        }
        let session = &mut self.sessions[slot as usize];
        if let Some(member) = session.memberships_mut().find(|member| member.room == room) {
            member.rights = now;
        }
        if !now.has(Right::Members) {
            session.set(flag::NO_PRESENCE);
        }
        if before.has(Right::Members) && !now.has(Right::Members) {
            // What is queued says who came and went. The messages among it are read again.
            self.queue_again(slot, room);
        }
        if before.has(Right::History) && !now.has(Right::History) {
            self.end_catching_up(slot, room);
        }
    }

    fn keeps_out(&self, access: &Access) -> Option<Measure> {
        self.hub.standings.keeps_out(&access.identity.user, (self.clock)())
    }
}
