//! The latest messages of one conversation, in memory: all that there are after some position.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::log::engine::Standing;
use crate::log::page::{PAGE_MESSAGES_MAX, Shelf, Take};
use crate::log::{Direction, Message, Millis, Query, Seq};

/// The most messages that are kept of one conversation: two pages.
const MESSAGES_MAX: usize = 2 * PAGE_MESSAGES_MAX;

/// What a conversation takes besides its messages, in bytes, its places in the tables included.
const ENTRY_BYTES: usize = 512;

/// The latest messages.
pub(super) struct Recent {
    standing: Standing,
    /// There are no others after this position.
    from: Seq,
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

/// As much of them as a query needs.
pub(super) struct Slice {
    standing: Standing,
    from: Seq,
    messages: Vec<Arc<Message>>,
}

/// What was asked for is older than what is in memory.
#[derive(Debug)]
pub(super) struct Beyond;

impl Recent {
    /// Those messages, in order, and no others after `from`.
    pub(super) fn new(standing: Standing, from: Seq, messages: VecDeque<Arc<Message>>) -> Self {
        let bytes = ENTRY_BYTES + messages.iter().map(|message| bytes(message)).sum::<usize>();
        Self { standing, from, messages, bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message, if it is not there yet.
    pub(super) fn push(&mut self, message: Arc<Message>) {
        if message.seq > self.standing.last {
            self.standing.last = message.seq;
            self.bytes += bytes(&message);
            self.messages.push_back(message);
        }
    }

    /// Leaves out what retention has removed.
    pub(super) fn remove_to(&mut self, position: Seq) {
        self.standing.removed_to = self.standing.removed_to.max(position);
        while self.messages.front().is_some_and(|message| message.seq <= position) {
            self.pop();
        }
    }

    /// Leaves out the oldest until the rest takes no more than that.
    pub(super) fn shorten(&mut self, bytes_max: usize) {
        while self.messages.len() > MESSAGES_MAX
            || (self.bytes > bytes_max && !self.messages.is_empty())
        {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= bytes(&message);
            self.from = message.seq;
        }
    }

    /// As much as a query needs; all of it if messages before `since` are to be skipped, for those are looked for.
    pub(super) fn slice(&self, query: &Query, since: Millis) -> Slice {
        let end = self.messages.len();
        let place = |seq| self.messages.partition_point(|message| message.seq <= seq);
        let some = |count: u32| (count as usize).min(PAGE_MESSAGES_MAX) + 1;
        let page = PAGE_MESSAGES_MAX + 1;
        let (start, end) = match query {
            _ if since > 0 => (0, end),
            Query::Open { history, .. } => (end.saturating_sub(some(*history)), end),
            Query::After { after, .. }
            | Query::History { direction: Direction::After(after), .. } => {
                let start = place(*after);
                (start, end.min(start + page))
            }
            Query::History { direction: Direction::Before(before), limit, .. } => {
                let end = place(before.saturating_sub(1));
                (end.saturating_sub(some(*limit)), end)
            }
            Query::Conversations { .. } => (0, 0),
        };
        let from = start.checked_sub(1).map_or(self.from, |before| self.messages[before].seq);
        let messages = self.messages.range(start..end).cloned().collect();
        Slice { standing: self.standing, from, messages }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Slice {
        let messages = self.messages.iter().cloned().collect();
        Slice { standing: self.standing, from: self.from, messages }
    }
}

impl Slice {
    /// Whether nothing is kept that is older than these.
    fn is_all(&self) -> bool {
        self.from <= self.standing.removed_to
    }
}

impl Shelf for Slice {
    type Error = Beyond;

    fn standing(&self) -> Standing {
        self.standing
    }

    fn after(&self, after: Seq, limit: usize, take: Take<'_>) -> Result<(), Beyond> {
        if after < self.from && !self.is_all() {
            return Err(Beyond);
        }
        let start = self.messages.partition_point(|message| message.seq <= after);
        let _ = self.messages[start..].iter().take(limit).all(|message| take(message));
        Ok(())
    }

    fn before(&self, before: Seq, limit: usize, take: Take<'_>) -> Result<(), Beyond> {
        let end = self.messages.partition_point(|message| message.seq < before);
        let mut taken = 0;
        for message in self.messages[..end].iter().rev().take(limit) {
            taken += 1;
            if !take(message) {
                return Ok(());
            }
        }
        if taken == limit || self.is_all() { Ok(()) } else { Err(Beyond) }
    }
}

fn bytes(message: &Message) -> usize {
    size_of::<Message>() + message.body.len() + message.user.len() + message.name.len() + 64
}
