//! Taking out what nobody is to see any more: one transaction, of few rows, that also stores the events which say so.
//!
//! The neighbours of what goes are linked to each other, so that nobody takes its place for a hole, and its keys are
//! kept, so that nobody can bring it back by sending it again.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::retention::{self, STEP_BYTES_MAX};
use super::{Options, integer, number, statements};
use crate::log::kind::Kind;
use crate::log::removal::{self, EVENT_SEQS_MAX, Errand, Removal, Removed};
use crate::log::{Message, Millis, Seq};
use crate::rooms::conversation::Conversation;

/// The positions of one block of the index by author.
const BLOCK: u64 = 4096;

/// Blocks that a step looks into.
const STEP_BLOCKS: u64 = 1024;

/// By which terms a step works.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) options: Options,
    pub(super) now: Millis,
    /// Messages that may go.
    pub(super) budget: usize,
}

/// Makes one step. `given` is the highest position that was ever tried, as for batches.
pub(super) fn step(
    connection: &Connection,
    errand: &mut Errand,
    terms: Terms,
    given: &mut Seq,
) -> rusqlite::Result<Removed> {
    let behavior = TransactionBehavior::Immediate;
    let transaction = Transaction::new_unchecked(connection, behavior)?;
    let mut step = Step::begin(connection, terms, *given)?;
    let result = step.go(errand);
    *given = (*given).max(step.last_seq);
    let is_over = result?;
    step.finish()?;
    let Step { removed, events, .. } = step;
    transaction.commit()?;
    Ok(Removed { removed, events, is_over })
}

/// A step on its way.
struct Step<'a> {
    connection: &'a Connection,
    terms: Terms,
    /// Never before what was said already.
    time: Millis,
    last_seq: Seq,
    left: usize,
    bytes: u64,
    removed: usize,
    events: Vec<(Conversation, Message)>,
}

/// What changes of a conversation's row.
struct Change {
    last_seq: Seq,
    /// How many messages are left,
    messages: u64,
    /// and what of the positions before them is gone.
    removed_to: Seq,
}

impl<'a> Step<'a> {
    fn begin(connection: &'a Connection, terms: Terms, given: Seq) -> rusqlite::Result<Self> {
        let (last_seq, last_time) = connection
            .prepare_cached(statements::LOG)?
            .query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
        Ok(Self {
            connection,
            terms,
            time: terms.now.max(last_time),
            last_seq: last_seq.max(given),
            left: terms.budget,
            bytes: 0,
            removed: 0,
            events: Vec::new(),
        })
    }

    /// Whether nothing is left to be done.
    fn go(&mut self, errand: &mut Errand) -> rusqlite::Result<bool> {
        let Errand { removal, to, place, .. } = errand;
        match removal {
            Removal::Redact { conversation, seqs } => self.redact(conversation, seqs),
            Removal::Clear { conversation } => self.clear(conversation, to),
            Removal::Erase { user } => self.erase(user, to, place),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.left == 0 || self.bytes >= STEP_BYTES_MAX
    }

    fn redact(&mut self, of: &Conversation, seqs: &mut Vec<Seq>) -> rusqlite::Result<bool> {
        let Some((id, _)) = self.find(of)? else { return Ok(true) };
        let (mut goes, mut done) = (Vec::new(), 0);
        for seq in seqs.iter() {
            if self.is_exhausted() {
                break;
            }
            let mut said = self.connection.prepare_cached(statements::SAID)?;
            let mut rows = said.query(params![integer(*seq), id])?;
            if let Some(row) = rows.next()? {
                self.keep(id, row)?;
                goes.push(*seq);
            }
            done += 1;
        }
        seqs.drain(..done);
        self.take_out(id, &goes)?;
        Ok(seqs.is_empty())
    }

    /// Looks through the blocks of positions one after another: most of them have nothing of that user.
    fn erase(
        &mut self,
        user: &str,
        to: &mut Option<Seq>,
        place: &mut Seq,
    ) -> rusqlite::Result<bool> {
        let to = *to.get_or_insert(self.last_seq);
        let first: Option<i64> = self
            .connection
            .prepare_cached(statements::FIRST_MESSAGE)?
            .query_row([], |row| row.get(0))?;
        let Some(first) = first.and_then(|first| Seq::try_from(first).ok()) else {
            return Ok(true);
        };
        let (mut block, last) = ((*place).max(first / BLOCK), to / BLOCK);
        let end = last.saturating_add(1).min(block + STEP_BLOCKS);
        let mut goes: BTreeMap<i64, Vec<Seq>> = BTreeMap::new();
        let mut said = self.connection.prepare_cached(statements::SAID_BY)?;
        'blocks: while block < end {
            let limit = integer(self.left as u64 + 1);
            let mut rows = said.query(params![integer(block), user, integer(to), limit])?;
            while let Some(row) = rows.next()? {
                if self.is_exhausted() {
                    break 'blocks;
                }
                let id = row.get(6)?;
                self.keep(id, row)?;
                goes.entry(id).or_default().push(number(row, 0)?);
            }
            block += 1;
        }
        *place = block;
        for (id, seqs) in goes {
            self.take_out(id, &seqs)?;
        }
        Ok(block > last)
    }

    /// Remembers the key of a message that goes, and counts that it does.
    fn keep(&mut self, conversation: i64, message: &Row<'_>) -> rusqlite::Result<()> {
        let Terms { options, now, .. } = self.terms;
        retention::keep_key(self.connection, (options.window, now), conversation, message)?;
        self.bytes += number(message, 4)?;
        self.left -= 1;
        Ok(())
    }

    /// Removes messages from between others, in order, and says so.
    fn take_out(&mut self, id: i64, seqs: &[Seq]) -> rusqlite::Result<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        let mut remove = self.connection.prepare_cached(statements::REMOVE_MESSAGE)?;
        let mut relink = self.connection.prepare_cached(statements::RELINK)?;
        for seq in seqs {
            let prev = remove.query_row([integer(*seq)], |row| number(row, 0))?;
            relink.execute(params![id, integer(*seq), integer(prev)])?;
        }
        self.removed += seqs.len();
        let (conversation, mut change) = self.row(id)?;
        change.messages = change.messages.saturating_sub(seqs.len() as u64);
        for some in seqs.chunks(EVENT_SEQS_MAX) {
            self.tell(id, &conversation, &mut change, removal::redacted(some))?;
        }
        self.set(id, &change)
    }

    fn clear(&mut self, of: &Conversation, to: &mut Option<Seq>) -> rusqlite::Result<bool> {
        let Some((id, last)) = self.find(of)? else { return Ok(true) };
        let has_begun = to.is_some();
        let to = *to.get_or_insert(last);
        let (mut removed, mut removed_to, mut is_over) = (0, 0, true);
        let mut first = self.connection.prepare_cached(statements::FIRST)?;
        let mut rows = first.query(params![id, integer(self.left as u64 + 1)])?;
        while let Some(message) = rows.next()? {
            let seq = number(message, 0)?;
            if seq > to || self.is_exhausted() {
                is_over = seq > to;
                break;
            }
            self.keep(id, message)?;
            (removed, removed_to) = (removed + 1, seq);
        }
        drop(rows);
        if removed == 0 && !has_begun {
            return Ok(is_over);
        }
        let bounds = params![id, integer(removed_to)];
        self.connection.prepare_cached(statements::REMOVE_MESSAGES)?.execute(bounds)?;
        self.removed += removed;
        let (conversation, mut change) = self.row(id)?;
        change.messages = change.messages.saturating_sub(removed as u64);
        change.removed_to = change.removed_to.max(removed_to);
        if is_over {
            self.tell(id, &conversation, &mut change, removal::cleared(to))?;
        }
        self.set(id, &change)?;
        Ok(is_over)
    }

    /// The row of a conversation and its last position, if there is one.
    fn find(&self, conversation: &Conversation) -> rusqlite::Result<Option<(i64, Seq)>> {
        let mut find = self.connection.prepare_cached(statements::CONVERSATION)?;
        let key = conversation.key().as_bytes();
        find.query_row([key], |row| Ok((row.get(0)?, number(row, 1)?))).optional()
    }

    fn row(&self, id: i64) -> rusqlite::Result<(Conversation, Change)> {
        let mut row = self.connection.prepare_cached(statements::CONVERSATION_OF)?;
        row.query_row([id], |row| {
            let conversation = retention::conversation(row, 0)?;
            let (last_seq, removed_to) = (number(row, 1)?, number(row, 2)?);
            Ok((conversation, Change { last_seq, messages: number(row, 3)?, removed_to }))
        })
    }

    /// Stores an event behind what is left.
    fn tell(
        &mut self,
        id: i64,
        conversation: &Conversation,
        change: &mut Change,
        what: (Kind, Box<str>),
    ) -> rusqlite::Result<()> {
        let last: Option<i64> = self
            .connection
            .prepare_cached(statements::LAST_OF)?
            .query_row([id], |row| row.get(0))?;
        let last = last.and_then(|last| Seq::try_from(last).ok());
        let (seq, prev) =
            (self.last_seq + self.terms.options.seq_step, last.unwrap_or(change.removed_to));
        let event = removal::event(what, (seq, prev, self.time));
        self.connection.prepare_cached(statements::ADD_MESSAGE)?.execute(params![
            integer(seq),
            id,
            integer(prev),
            integer(event.time),
            event.client_id.to_bytes(),
            &*event.user,
            &*event.name,
            &*event.body,
            event.kind.number(),
        ])?;
        self.last_seq = seq;
        (change.last_seq, change.messages) = (seq, change.messages + 1);
        self.events.push((conversation.clone(), event));
        Ok(())
    }

    fn set(&self, id: i64, change: &Change) -> rusqlite::Result<()> {
        let mut first = self.connection.prepare_cached(statements::FIRST)?;
        let oldest = first.query_row([id, 1], |row| number(row, 1)).optional()?.unwrap_or(0);
        let &Change { last_seq, messages, removed_to } = change;
        let (messages, oldest) = (integer(messages), integer(oldest));
        self.connection.prepare_cached(statements::TRIM_CONVERSATION)?.execute(params![
            id,
            integer(removed_to),
            messages,
            oldest
        ])?;
        self.connection.prepare_cached(statements::SET_CONVERSATION)?.execute(params![
            id,
            integer(last_seq),
            messages,
            oldest
        ])?;
        Ok(())
    }

    fn finish(&self) -> rusqlite::Result<()> {
        if !self.events.is_empty() {
            self.connection
                .prepare_cached(statements::SET_LOG)?
                .execute(params![integer(self.last_seq), integer(self.time)])?;
        }
        Ok(())
    }
}
