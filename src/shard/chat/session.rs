//! A chat session beyond what every session has: who it speaks for, what it waits for, where it catches up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::gate::access::Access;
use crate::log::{Direction, Page, Seq};
use crate::protocol::chat::Flood;
use crate::rooms::conversation::View;

/// The `ref` of a request, as JSON text.
pub(crate) type Reference = Option<Box<str>>;

/// What a chat session has for as long as it lives.
#[derive(Default)]
pub(crate) struct ChatSession {
    /// Who it speaks for: as the handshake found, else nobody until it said hello.
    pub(crate) access: Option<Arc<Access>>,
    /// It has said hello.
    pub(crate) is_welcome: bool,
    /// Its rooms in which it does not simply get what everyone gets.
    pub(crate) cursors: Vec<Cursor>,
    /// What it asked for that the log has to be read for, one after the other.
    pub(crate) wants: VecDeque<Want>,
    /// The ticket of the read that goes on for it; 0 for none.
    pub(crate) ticket: u64,
    /// It stands in the list of those to be read for.
    pub(crate) is_listed: bool,
    /// It has read so much that it is not read for before.
    pub(crate) read_due: Option<Instant>,
    /// Messages of its that wait for the application's answer.
    pub(crate) asked: u16,
    pub(crate) flood: Flood,
    /// The tick of the last ping that it was sent in a message.
    pub(crate) pinged: u32,
}

/// Something that the log is read for.
pub(crate) enum Want {
    /// The first page of a room that the session has joined.
    Open { room: u32, after: Option<(Box<str>, Seq)>, history: u32 },
    /// What comes next in a room that it catches up with.
    Next { room: u32 },
    /// A page to scroll through.
    History { view: View, direction: Direction, limit: u32, reference: Reference },
    /// Its conversations.
    Rooms { after: Option<Box<str>>, limit: u32, reference: Reference },
    /// Its first conversations, for the answer to `hello`.
    Welcome { reference: Reference },
}

/// A session's place in the log of one of its rooms, until it has caught up with what everyone gets.
pub(crate) struct Cursor {
    /// The room's position on the shard.
    pub(crate) room: u32,
    /// The last position that the session was given.
    pub(crate) after: Seq,
    pub(crate) stage: Stage,
    /// The presence that the session knows of; 0 for none.
    pub(crate) rev: u64,
    /// Of the join that is to be answered.
    pub(crate) reference: Reference,
}

/// How far a cursor is.
pub(crate) enum Stage {
    /// Its first page is to be asked for.
    Opening,
    /// Its first page is asked for. One that was asked for before it joined anew finds it not so.
    Asked,
    /// Its first page is there; who is in the room is not known yet.
    Opened(Box<Opened>),
    /// There is more to be read, once the session has taken what it has.
    Behind,
    /// A page is asked for.
    Reading,
    /// It goes on with what everyone gets, but for what it has already.
    Live,
}

/// What a session that joins is answered.
pub(crate) struct Opened {
    pub(crate) page: Page,
    /// It goes on from where it was, rather than with the latest messages.
    pub(crate) is_resumed: bool,
}

impl Cursor {
    pub(crate) fn new(room: u32, after: Seq, stage: Stage) -> Self {
        Self { room, after, stage, rev: 0, reference: None }
    }

    /// Whether it was not said yet that the session has joined.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening | Stage::Asked | Stage::Opened(_))
    }
}

impl ChatSession {
    /// Who it speaks for, once it said hello.
    pub(crate) fn welcome(&self) -> Option<&Arc<Access>> {
        self.access.as_ref().filter(|_| self.is_welcome)
    }

    /// Its place in a room, if it does not simply get what everyone gets there.
    pub(crate) fn cursor(&mut self, room: u32) -> Option<&mut Cursor> {
        self.cursors.iter_mut().find(|cursor| cursor.room == room)
    }

    /// What it asked for first. An idle session holds no room for more.
    pub(crate) fn next_want(&mut self) -> Option<Want> {
        let want = self.wants.pop_front();
        if self.wants.is_empty() {
            self.wants = VecDeque::new();
        }
        want
    }

    /// A room that it has to be read for, but for those that somebody has asked to be read.
    pub(crate) fn behind(&self) -> Option<u32> {
        let mut cursors = self.cursors.iter();
        cursors.find(|cursor| matches!(cursor.stage, Stage::Behind)).map(|cursor| cursor.room)
    }

    /// Has the others read for before that room again: one that is never done does not keep them waiting.
    pub(crate) fn put_last(&mut self, room: u32) {
        if let Some(at) = self.cursors.iter().position(|cursor| cursor.room == room) {
            self.cursors[at..].rotate_left(1);
        }
    }
}
