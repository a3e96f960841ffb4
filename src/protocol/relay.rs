//! The relay, the protocol of the plain tutorial client: each message goes verbatim to every other session of the
//! room. Nothing is stored; one sender's messages arrive in the order in which it sent them.

use std::sync::Arc;

use crate::gate::access::Access;
use crate::gate::permissions::Right;
use crate::protocol::{
    Close, CloseReason, Context, FORBIDDEN, Handler, Message, Permit, Request, SessionId,
};

/// The room of a path that names none.
pub(crate) const LOBBY: &str = "lobby";

/// The close code for whoever does not get into its room: too many.
const NO_ROOM: u16 = 4429;

/// The handler of `/` and `/relay/{room}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relay {
    /// Whether a room is told who joins and leaves, as `{"type":"join","session":"…"}` or `"leave"`.
    pub announces: bool,
}

impl Relay {
    fn announce(self, what: &str, session: &mut Context<'_>) {
        if self.announces {
            let notice = notice(what, session.id());
            session.broadcast(notice.as_str());
        }
    }
}

fn notice(what: &str, session: SessionId) -> String {
    format!(r#"{{"type":"{what}","session":"{session}"}}"#)
}

impl Handler for Relay {
    fn open(&self, session: &mut Context<'_>, request: &Request) {
        let room = request.room.as_deref().unwrap_or(LOBBY);
        let may_join = |access: &Arc<Access>| access.permissions.of_room(room).has(Right::Join);
        if session.join(room) {
            self.announce("join", session);
        } else if request.access.as_ref().is_none_or(may_join) {
            session.close(Close::new(NO_ROOM, "no room for another member, or another room"));
        } else {
            session.close(Close::new(FORBIDDEN, "this user may not be in this room"));
        }
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        match session.permits(Right::Send) {
            Permit::Granted => session.broadcast(message),
            Permit::Muted => {}
            Permit::Denied => {
                session.close(Close::new(FORBIDDEN, "this user may not send to this room"));
            }
        }
    }

    fn close(&self, session: &mut Context<'_>, _reason: &CloseReason) {
        self.announce("leave", session);
    }
}
