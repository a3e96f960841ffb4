//! The tables and indexes, their version, and the way from each version to the next.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a database as a log of Uproar's ("Uprr").
pub(super) const APPLICATION_ID: i32 = 0x5570_7272;

/// The version that this program reads and writes.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Each makes a database of the version of its index into one of the next. What was released is never changed.
const MIGRATIONS: [&str; 2] = [V1, V2];

/// A message's position is its row's number: positions rise, so that messages are always added at the end, and the
/// index by conversation holds them in order. Keys of clients begin with the time, so that theirs grow at the end too.
const V1: &str = "
CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    last_seq INTEGER NOT NULL,  -- the highest position ever given
    last_time INTEGER NOT NULL, -- of the latest message ever stored
    floor INTEGER NOT NULL      -- conversations without a row had their positions up to here
) STRICT;

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    last_seq INTEGER NOT NULL,
    removed_to INTEGER NOT NULL,   -- messages up to this position are gone
    forgotten_to INTEGER NOT NULL, -- the floor when the row was made
    messages INTEGER NOT NULL,     -- how many there are
    oldest INTEGER NOT NULL        -- the time of the first of them
) STRICT;

CREATE TABLE directs (
    user TEXT NOT NULL,
    other TEXT NOT NULL,
    conversation INTEGER NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    prev INTEGER NOT NULL,
    time INTEGER NOT NULL,
    client_id BLOB NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_conversation ON messages (conversation, seq);
CREATE UNIQUE INDEX messages_by_key ON messages (client_id, user, conversation);

-- Keys of messages that are gone, or were stored with another body, as long as they may be sent again.
CREATE TABLE kept_keys (
    client_id BLOB NOT NULL,
    user TEXT NOT NULL,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (client_id, user, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_keys_by_end ON kept_keys (until);
CREATE INDEX kept_keys_by_conversation ON kept_keys (conversation);
";

/// What a message is: events take the place of what was taken out. And who said what in each block of 4,096 positions: an
/// index by user alone would be written all over with every batch, and this one grows at its end.
const V2: &str = "
ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT 0; -- a user's, or an event
CREATE INDEX messages_by_author ON messages (seq / 4096, user);
";

/// Why a database has no schema to work with.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    /// Another program's.
    #[error("it is no log of Uproar's")]
    Foreign,
    /// A later program's.
    #[error("it has version {0}, and this program knows versions up to {VERSION}")]
    Newer(i32),
    /// An earlier program's, and it is only to be read.
    #[error("it has version {0}, and a server of this version makes it one of version {VERSION}")]
    Older(i32),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Makes the tables if there are none, and brings those of an earlier version up to date.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), SchemaError> {
    let version = version(connection)?;
    if version == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = usize::try_from(version).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if version == 0 {
        let begin = "INSERT INTO log (id, epoch, last_seq, last_time, floor)
            VALUES (1, lower(hex(randomblob(8))), 0, 0, 0)";
        transaction.execute(begin, [])?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// The database's version: 0 if there is nothing in it.
pub(super) fn version(connection: &Connection) -> Result<i32, SchemaError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (version, application) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, 1..=VERSION) => Ok(version),
        (APPLICATION_ID, newer) if newer > VERSION => Err(SchemaError::Newer(newer)),
        _ => Err(SchemaError::Foreign),
    }
}
