//! What concerns one conversation: being in it, what was said in it, what of that is missing.

use super::super::json::Object;
use super::super::{ClientId, Identity};
use super::people::Roster;
use crate::log::{Ack, Page, Seq};
use crate::rooms::conversation::View;

/// The answer to `join`.
pub(crate) struct Joined<'a> {
    pub(crate) view: &'a View,
    /// What was found for it: epoch, last position, gap, and the messages unless they go separately.
    pub(crate) page: &'a Page,
    pub(crate) messages: Messages,
    /// `None` where presence is off, and in direct conversations.
    pub(crate) members: Option<Roster<'a>>,
    pub(crate) reference: Option<&'a str>,
}

/// Where the messages for somebody who joins go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Into `joined`: history, for who was not there before.
    Here,
    /// Behind it, as `message` after `message`: for who goes on where it stopped.
    Behind,
}

impl Joined<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let page = self.page;
        let object = Object::message(out, "joined")
            .view(self.view)
            .field("epoch", &*page.epoch)
            .field("seq", page.seq);
        let object = match self.members {
            None => object,
            Some(roster) => object.object("members", |object| roster.fields(object).end()),
        };
        let object = match self.messages {
            Messages::Here => object.raw_list("messages", texts(page)).field("more", page.more),
            Messages::Behind => object.raw_list("messages", []).field("more", false),
        };
        let object = match page.gap {
            None => object,
            Some((from, to)) => object.object("gap", |gap| bounds(gap, from, to).end()),
        };
        object.reference(self.reference).end();
    }
}

/// The answer to `history`.
pub(crate) struct History<'a> {
    pub(crate) view: &'a View,
    pub(crate) page: &'a Page,
    pub(crate) reference: Option<&'a str>,
}

impl History<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "history")
            .view(self.view)
            .field("epoch", &*self.page.epoch)
            .raw_list("messages", texts(self.page))
            .field("more", self.page.more)
            .reference(self.reference)
            .end();
    }
}

/// The messages of a page, each as its JSON text.
fn texts(page: &Page) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    page.ends.iter().map(move |&(_, end)| {
        let text = page.bytes.get(start..end).unwrap_or_default();
        start = end;
        text
    })
}

/// The answer to a `send` that is in the log.
pub(crate) struct Acknowledged<'a> {
    pub(crate) client_id: ClientId,
    pub(crate) ack: Ack,
    pub(crate) view: &'a View,
    pub(crate) reference: Option<&'a str>,
}

impl Acknowledged<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "ack")
            .field("client_id", self.client_id)
            .field("seq", self.ack.seq)
            .field("time", self.ack.time)
            .field("stored", self.ack.stored)
            .view(self.view)
            .reference(self.reference)
            .end();
    }
}

/// The answer to `leave`: nothing of the conversation comes behind it.
pub(crate) struct Left<'a> {
    pub(crate) view: &'a View,
    pub(crate) reference: Option<&'a str>,
}

impl Left<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "left").view(self.view).reference(self.reference).end();
    }
}

/// What somebody tells those who are there now.
pub(crate) struct Signal<'a> {
    pub(crate) view: &'a View,
    pub(crate) from: &'a Identity,
    /// Valid JSON text.
    pub(crate) body: &'a str,
}

impl Signal<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        Object::message(out, "signal").view(self.view).from(self.from).raw("body", self.body).end();
    }
}

/// Messages that a reader should have had and that are gone.
pub(crate) struct Gap<'a> {
    pub(crate) view: &'a View,
    /// They come after this position,
    pub(crate) from: Seq,
    /// up to this one.
    pub(crate) to: Seq,
}

impl Gap<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        bounds(Object::message(out, "gap").view(self.view), self.from, self.to).end();
    }
}

fn bounds(object: Object<'_>, from: Seq, to: Seq) -> Object<'_> {
    object.field("from", from).field("to", to)
}
