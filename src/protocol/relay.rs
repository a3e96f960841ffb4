//! The relay, the protocol of the plain tutorial client: each message goes verbatim to every other session of the
//! room. Nothing is stored; one sender's messages arrive in the order in which it sent them.

use crate::protocol::{Close, CloseReason, Context, Handler, Message, Request, SessionId};

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
        if !session.join(request.room.as_deref().unwrap_or(LOBBY)) {
            session.close(Close::new(NO_ROOM, "no room for another member, or another room"));
            return;
        }
        self.announce("join", session);
    }

    fn message(&self, session: &mut Context<'_>, message: Message<'_>) {
        session.broadcast(message);
    }

    fn close(&self, session: &mut Context<'_>, _reason: &CloseReason) {
        self.announce("leave", session);
    }
}
