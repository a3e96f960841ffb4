-- A log as version 1 made it, with two messages.
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

-- Keys of messages that are gone, as long as they may be sent again.
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

PRAGMA application_id = 1433432690;
PRAGMA user_version = 1;
INSERT INTO log VALUES (1, '0011223344556677', 2, 1800000000001, 0);
INSERT INTO conversations VALUES (1, CAST('a' AS BLOB), 2, 0, 0, 2, 1800000000000);
INSERT INTO messages VALUES
    (1, 1, 0, 1800000000000, x'01A319CA180070008000000000000001', 'ada', 'Ada', '1'),
    (2, 1, 1, 1800000000001, x'01A319CA180070008000000000000002', 'bob', 'Bob', '"two"');
