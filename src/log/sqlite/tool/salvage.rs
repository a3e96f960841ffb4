//! Reading all messages in order, past what is damaged.
//!
//! A statement ends at the first page that it cannot read. Then another one begins behind the next position, and the
//! next, until one finds something: nothing is left out that can be read.

use rusqlite::{Connection, Row, params};

use crate::log::sqlite::{integer, number, read, statements};
use crate::log::{Message, Seq};
use crate::protocol::chat::SEQ_MAX;

/// After so many positions in a row at which nothing was found, the steps get twice as long: where all is lost, that is
/// to be known in minutes.
const STEPS_BEFORE_LONGER: u64 = 1 << 20;

/// Takes what there is.
pub(super) trait Sink {
    type Stop;

    /// A message, and the row of its conversation.
    fn message(&mut self, conversation: i64, message: &Message) -> Result<(), Self::Stop>;

    /// From this position to that one there may have been messages.
    fn lost(&mut self, from: Seq, to: Seq, why: &str);
}

/// All messages, or those of one conversation.
pub(super) fn each<S: Sink>(
    connection: &Connection,
    conversation: Option<i64>,
    sink: &mut S,
) -> Result<(), S::Stop> {
    let mut walk =
        Walk { connection, conversation, by_index: conversation.is_some(), gap: None, sink };
    let end = end(connection);
    let (mut after, mut failures) = (0, 0_u64);
    loop {
        match walk.pass(after) {
            Pass::Done => break,
            Pass::Stopped(stop) => return Err(stop),
            // The table may be good where the index is not.
            Pass::Broken { last, .. } if walk.by_index => {
                walk.by_index = false;
                after = last;
            }
            Pass::Broken { last, why } => {
                failures = if last > after { 0 } else { failures + 1 };
                walk.gap.get_or_insert((last + 1, why));
                after = last + (1 << (failures / STEPS_BEFORE_LONGER).min(32));
                if after >= end {
                    break;
                }
            }
        }
    }
    if let Some((from, why)) = walk.gap.take() {
        walk.sink.lost(from, end.max(from), &why);
    }
    Ok(())
}

/// Behind which position there are no messages.
fn end(connection: &Connection) -> Seq {
    let first = |sql| connection.query_row(sql, [], |row| number(row, 0));
    first(statements::LOG).or_else(|_| first(statements::LAST_MESSAGE)).unwrap_or(SEQ_MAX)
}

/// How far one statement came.
enum Pass<Stop> {
    Done,
    /// It read everything up to `last`, and then failed.
    Broken {
        last: Seq,
        why: String,
    },
    Stopped(Stop),
}

struct Walk<'a, S> {
    connection: &'a Connection,
    conversation: Option<i64>,
    /// Only the wanted conversation's messages are looked at.
    by_index: bool,
    /// Since which position nothing could be read, and why.
    gap: Option<(Seq, String)>,
    sink: &'a mut S,
}

impl<S: Sink> Walk<'_, S> {
    fn pass(&mut self, after: Seq) -> Pass<S::Stop> {
        let mut last = after;
        match self.try_pass(&mut last) {
            Ok(Ok(())) => Pass::Done,
            Ok(Err(stop)) => Pass::Stopped(stop),
            Err(error) => Pass::Broken { last, why: error.to_string() },
        }
    }

    fn try_pass(&mut self, last: &mut Seq) -> rusqlite::Result<Result<(), S::Stop>> {
        let position = integer(*last);
        let mut statement;
        let mut rows = if let Some(id) = self.conversation.filter(|_| self.by_index) {
            statement = self.connection.prepare_cached(statements::ALL_OF)?;
            statement.query(params![position, id])?
        } else {
            statement = self.connection.prepare_cached(statements::EVERYTHING)?;
            statement.query(params![position])?
        };
        while let Some(row) = rows.next()? {
            let seq = number(row, 0)?;
            if seq <= *last {
                // The pages are linked wrongly; this would never end.
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, integer(seq)));
            }
            if let Some((from, why)) = self.gap.take() {
                self.sink.lost(from, seq - 1, &why);
            }
            *last = seq;
            if let Err(stop) = self.take(seq, row) {
                return Ok(Err(stop));
            }
        }
        Ok(Ok(()))
    }

    fn take(&mut self, seq: Seq, row: &Row<'_>) -> Result<(), S::Stop> {
        match row.get(8).and_then(|conversation| Ok((conversation, read::message(row)?))) {
            Ok((conversation, _)) if self.conversation.is_some_and(|id| id != conversation) => {
                Ok(())
            }
            Ok((conversation, message)) => self.sink.message(conversation, &message),
            Err(error) => {
                self.sink.lost(seq, seq, &error.to_string());
                Ok(())
            }
        }
    }
}
