//! Pages: which messages a query gets, how many of them, and what is said about the rest. The same for all engines.

use crate::log::engine::Standing;
use crate::log::{Direction, Epoch, Message, Millis, Page, Query, Seq};
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

/// The page that answers a query; `None` for one that does not ask for messages. Who resumes or catches up is given
/// nothing that is older than `since`.
pub(crate) fn page<S: Shelf>(
    query: &Query,
    epoch: &Epoch,
    shelf: &S,
    since: Millis,
) -> Result<Option<Page>, S::Error> {
    let standing = shelf.standing();
    let builder = |view, limit| Builder::new(view, limit, standing, epoch);
    let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX).min(PAGE_MESSAGES_MAX);
    let page = match query {
        Query::Open { view, after: Some((of, after)), .. }
            if **of == **epoch && standing.knows(*after) =>
        {
            let mut page = builder(view, 0).resumed(shelf, *after, since)?;
            page.more = page.reached < page.seq;
            page
        }
        Query::Open { view, history, .. } => {
            builder(view, limit(*history)).backward(shelf, Seq::MAX)?
        }
        Query::After { view, after } => {
            let start = builder(view, PAGE_MESSAGES_MAX).resumed(shelf, *after, since)?;
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
    fn resumed<S: Shelf>(self, shelf: &S, after: Seq, since: Millis) -> Result<Page, S::Error> {
        let there = self.standing.gap(after).unwrap_or(after);
        let reached = skip(shelf, there, since)?;
        let gap = (reached > after).then_some((after, reached));
        Ok(Page { gap, reached, seq: self.page.seq.max(reached), ..self.page })
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

/// The position of the last message after `from` that is older than `since`; `from` if there is none. The later a
/// message the later its time, so that it is found by halving.
fn skip<S: Shelf>(shelf: &S, from: Seq, since: Millis) -> Result<Seq, S::Error> {
    let first_if_old = |after| {
        let mut found = None;
        shelf.after(after, 1, &mut |message| {
            found = Some(message.seq).filter(|_| message.time < since);
            false
        })?;
        Ok(found)
    };
    // All up to the one position are old, and none is after the other.
    let (mut old, mut end) = (from, shelf.standing().last.max(from));
    if since == 0 || first_if_old(from)?.is_none() {
        return Ok(from);
    }
    while old < end {
        let middle = old + (end - old) / 2;
        match first_if_old(middle)? {
            Some(seq) => old = seq,
            None => end = middle,
        }
    }
    Ok(old)
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
