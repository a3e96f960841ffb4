//! Storing a batch: one transaction, one row for each message, one for each conversation that has new ones.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::{Options, integer, number, statements};
use crate::log::engine::Outcome;
use crate::log::kind::Kind;
use crate::log::{Draft, Millis, Refused, Seq};
use crate::rooms::conversation::Conversation;

/// Stores all of it or nothing. `given` is the highest position that was ever tried, and keeps those of failed batches
/// from being given again: nobody can say for sure what a disk has made of them.
pub(super) fn store(
    connection: &Connection,
    drafts: &[Draft],
    now: Millis,
    options: Options,
    given: &mut Seq,
) -> rusqlite::Result<Vec<Outcome>> {
    let behavior = TransactionBehavior::Immediate;
    let transaction = Transaction::new_unchecked(connection, behavior)?;
    let mut batch = Batch::begin(connection, now, options, *given)?;
    let outcomes: rusqlite::Result<Vec<_>> = drafts.iter().map(|draft| batch.take(draft)).collect();
    *given = (*given).max(batch.last_seq);
    let outcomes = outcomes?;
    batch.finish()?;
    transaction.commit()?;
    Ok(outcomes)
}

/// What a transaction has to remember.
struct Batch<'a> {
    connection: &'a Connection,
    options: Options,
    now: Millis,
    /// The same, but never before what was said already.
    time: Millis,
    last_seq: Seq,
    floor: Seq,
    is_changed: bool,
    conversations: HashMap<Conversation, Row>,
}

/// A conversation's row.
#[derive(Clone, Copy)]
struct Row {
    id: i64,
    last_seq: Seq,
    messages: u64,
    oldest: Millis,
    is_changed: bool,
}

impl<'a> Batch<'a> {
    fn begin(
        connection: &'a Connection,
        now: Millis,
        options: Options,
        given: Seq,
    ) -> rusqlite::Result<Self> {
        let (last_seq, last_time, floor) = connection
            .prepare_cached(statements::LOG)?
            .query_row([], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
        Ok(Self {
            connection,
            options,
            now,
            time: now.max(last_time),
            last_seq: last_seq.max(given),
            floor,
            is_changed: false,
            conversations: HashMap::new(),
        })
    }

    fn take(&mut self, draft: &Draft) -> rusqlite::Result<Outcome> {
        let row = self.conversation(&draft.conversation)?;
        if let Some(row) = row
            && let Some(known) = self.known(draft, row.id)?
        {
            return Ok(known);
        }
        if !self.options.window.admits(draft.client_id, self.now) {
            return Ok(Outcome::Refused(Refused::Expired));
        }
        if let Some(refused) = draft.refused() {
            return Ok(Outcome::Refused(refused));
        }
        let row = match row {
            Some(row) => row,
            None => self.add_conversation(&draft.conversation)?,
        };
        self.add_message(draft, row)
    }

    /// The conversation's row as this batch has left it, if there is one.
    fn conversation(&mut self, conversation: &Conversation) -> rusqlite::Result<Option<Row>> {
        if let Some(row) = self.conversations.get(conversation) {
            return Ok(Some(*row));
        }
        let row = self
            .connection
            .prepare_cached(statements::CONVERSATION)?
            .query_row([conversation.key().as_bytes()], |row| {
                let (id, last_seq) = (row.get(0)?, number(row, 1)?);
                let (messages, oldest) = (number(row, 4)?, number(row, 5)?);
                Ok(Row { id, last_seq, messages, oldest, is_changed: false })
            })
            .optional()?;
        if let Some(row) = row {
            self.conversations.insert(conversation.clone(), row);
        }
        Ok(row)
    }

    fn add_conversation(&mut self, conversation: &Conversation) -> rusqlite::Result<Row> {
        let id = add_conversation(self.connection, conversation, self.floor)?;
        let row = Row { id, last_seq: 0, messages: 0, oldest: 0, is_changed: true };
        self.conversations.insert(conversation.clone(), row);
        Ok(row)
    }

    /// What there is under the draft's key.
    fn known(&self, draft: &Draft, conversation: i64) -> rusqlite::Result<Option<Outcome>> {
        let (id, user) = (draft.client_id.to_bytes(), &*draft.author.user);
        // First those that were kept: of a message that was replaced the key stands for what was sent.
        let is_same = |hash: &[u8]| *hash == *Sha256::digest(draft.body.as_bytes());
        let mut kept = self.connection.prepare_cached(statements::BY_KEPT_KEY)?;
        let mut known = kept
            .query_row(params![id, user, conversation], |row| {
                Ok((number(row, 0)?, number(row, 1)?, is_same(row.get_ref(2)?.as_blob()?)))
            })
            .optional()?;
        if known.is_none() {
            known = self
                .connection
                .prepare_cached(statements::BY_KEY)?
                .query_row(params![id, user, conversation, &*draft.body], |row| {
                    Ok((number(row, 0)?, number(row, 1)?, row.get(2)?))
                })
                .optional()?;
        }
        Ok(known.map(|(seq, time, is_same)| {
            let (window, key) = (self.options.window, (draft.client_id, self.now));
            window.known((seq, time), is_same, key)
        }))
    }

    fn add_message(&mut self, draft: &Draft, row: Row) -> rusqlite::Result<Outcome> {
        let (seq, prev, time) = (self.last_seq + self.options.seq_step, row.last_seq, self.time);
        self.connection.prepare_cached(statements::ADD_MESSAGE)?.execute(params![
            integer(seq),
            row.id,
            integer(prev),
            integer(time),
            draft.client_id.to_bytes(),
            &*draft.author.user,
            &*draft.author.name,
            draft.stored_body(),
            Kind::Text.number(),
        ])?;
        if draft.replacement().is_some() {
            self.keep_key(draft, row.id, (seq, time))?;
        }
        let oldest = if row.messages == 0 { time } else { row.oldest };
        let messages = row.messages + 1;
        let row = Row { last_seq: seq, messages, oldest, is_changed: true, ..row };
        self.conversations.insert(draft.conversation.clone(), row);
        (self.last_seq, self.is_changed) = (seq, true);
        Ok(Outcome::Stored { seq, prev, time })
    }

    /// Remembers what the sender of a message that was replaced knows it by.
    fn keep_key(
        &self,
        draft: &Draft,
        conversation: i64,
        (seq, time): (Seq, Millis),
    ) -> rusqlite::Result<()> {
        let until = self.options.window.end(time, draft.client_id);
        let hash: [u8; 32] = Sha256::digest(draft.body.as_bytes()).into();
        self.connection.prepare_cached(statements::ADD_KEY)?.execute(params![
            draft.client_id.to_bytes(),
            &*draft.author.user,
            conversation,
            integer(seq),
            integer(time),
            hash,
            integer(until),
        ])?;
        Ok(())
    }

    fn finish(&self) -> rusqlite::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let mut set = self.connection.prepare_cached(statements::SET_CONVERSATION)?;
        for row in self.conversations.values().filter(|row| row.is_changed) {
            let (last, messages) = (integer(row.last_seq), integer(row.messages));
            set.execute(params![row.id, last, messages, integer(row.oldest)])?;
        }
        self.connection
            .prepare_cached(statements::SET_LOG)?
            .execute(params![integer(self.last_seq), integer(self.time)])?;
        Ok(())
    }
}

/// Gives a conversation a row without messages; the row's number.
pub(super) fn add_conversation(
    connection: &Connection,
    conversation: &Conversation,
    floor: Seq,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(statements::ADD_CONVERSATION)?
        .execute(params![conversation.key().as_bytes(), integer(floor)])?;
    let id = connection.last_insert_rowid();
    if let Some((one, other)) = conversation.ends() {
        let mut add = connection.prepare_cached(statements::ADD_DIRECT)?;
        add.execute(params![one, other, id])?;
        if one != other {
            add.execute(params![other, one, id])?;
        }
    }
    Ok(id)
}
