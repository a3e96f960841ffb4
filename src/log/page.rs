//! Pages: which messages a query gets, how many of them, and what is said about the rest. The same for all engines.

use crate::log::engine::Standing;
use crate::log::{Direction, Epoch, Message, Page, Query, Seq};
use crate::protocol::chat::message_text;
use crate::rooms::conversation::View;

/// The text that a page may hold, in bytes; a single message may exceed it.
pub(crate) const PAGE_BYTES_MAX: usize = 128 * 1024;

/// The messages that a page may hold.
pub(crate) const PAGE_MESSAGES_MAX: usize = 512;

/// The messages of one conversation at one moment, wherever they are kept.
pub(crate) trait Shelf {
    type Error;

    /// Where the conversation's log stands.
    fn standing(&self) -> Standing;

    /// Hands over the messages after a position, earliest first, until `take` has enough, and `limit` at most.
    fn after(&self, after: Seq, limit: usize, take: Take<'_>) -> Result<(), Self::Error>;

    /// Hands over the messages before a position, latest first, until `take` has enough, and `limit` at most.
    fn before(&self, before: Seq, limit: usize, take: Take<'_>) -> Result<(), Self::Error>;
}

/// Takes messages as long as it says true.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&Message) -> bool;

/// The page that answers a query; `None` for one that does not ask for messages.
pub(crate) fn page<S: Shelf>(
    query: &Query,
    epoch: &Epoch,
    shelf: &S,
) -> Result<Option<Page>, S::Error> {
    let standing = shelf.standing();
    let builder = |view, limit| Builder::new(view, limit, standing, epoch);
    let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX).min(PAGE_MESSAGES_MAX);
    let page = match query {
        Query::Open { view, after: Some((of, after)), .. }
            if **of == **epoch && standing.knows(*after) =>
        {
            let mut page = builder(view, 0).resumed(*after);
            page.more = page.reached < page.seq;
            page
        }
        Query::Open { view, history, .. } => {
            builder(view, limit(*history)).backward(shelf, Seq::MAX)?
        }
        Query::After { view, after } => {
            let start = builder(view, PAGE_MESSAGES_MAX).resumed(*after);
            let page = builder(view, PAGE_MESSAGES_MAX).forward(shelf, start.reached)?;
            Page { gap: start.gap, seq: start.seq, ..page }
        }
        Query::History { view, direction: Direction::Before(before), limit: count } => {
            builder(view, limit(*count)).backward(shelf, *before)?
        }
        Query::History { view, direction: Direction::After(after), limit: count } => {
            builder(view, limit(*count)).forward(shelf, *after)?
        }
        Query::Conversations { .. } => return Ok(None),
    };
    Ok(Some(page))
}

/// A page that grows.
struct Builder<'a> {
    view: &'a View,
    limit: usize,
    standing: Standing,
    page: Page,
}

impl<'a> Builder<'a> {
    fn new(view: &'a View, limit: usize, standing: Standing, epoch: &Epoch) -> Self {
        let page = Page {
            epoch: epoch.clone(),
            seq: standing.last,
            reached: standing.last,
            bytes: Vec::new(),
            ends: Vec::new(),
            more: false,
            gap: None,
        };
        Self { view, limit, standing, page }
    }

    /// An empty page for somebody who has everything up to a position.
    fn resumed(self, after: Seq) -> Page {
        let gap = self.standing.gap(after).map(|to| (after, to));
        let reached = gap.map_or(after, |(_, to)| to);
        Page { gap, reached, seq: self.page.seq.max(reached), ..self.page }
    }

    /// Takes a message if there is room for it, and remembers if there is none.
    fn push(&mut self, message: &Message) -> bool {
        let Page { bytes, ends, more, .. } = &mut self.page;
        let before = bytes.len();
        if ends.len() < self.limit {
            message_text(message, self.view, bytes);
        }
        *more = ends.len() == self.limit || (before > 0 && bytes.len() > PAGE_BYTES_MAX);
        if *more {
            bytes.truncate(before);
        } else {
            ends.push((message.seq, bytes.len()));
        }
        !*more
    }

    fn forward<S: Shelf>(mut self, shelf: &S, after: Seq) -> Result<Page, S::Error> {
        shelf.after(after, self.limit + 1, &mut |message| self.push(message))?;
        self.page.reached = self.page.ends.last().map_or(after, |(seq, _)| *seq);
        Ok(self.page)
    }

    fn backward<S: Shelf>(mut self, shelf: &S, before: Seq) -> Result<Page, S::Error> {
        shelf.before(before, self.limit + 1, &mut |message| self.push(message))?;
        self.page.turn();
        Ok(self.page)
    }
}

impl Page {
    /// Puts first what is last.
    fn turn(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let starts: Vec<_> =
            std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end)).collect();
        let mut ends = Vec::with_capacity(self.ends.len());
        for ((seq, end), start) in self.ends.iter().zip(starts).rev() {
            bytes.extend_from_slice(&self.bytes[start..*end]);
            ends.push((*seq, bytes.len()));
        }
        (self.bytes, self.ends) = (bytes, ends);
    }
}
