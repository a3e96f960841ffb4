//! Every statement that the log is written and read with. None of them looks through a table: a test asks SQLite how it
//! would carry each of them out.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)+

        #[cfg(test)]
        const ALL: &[&str] = &[$($name),+];
    };
}

statements! {
    /// The one row of the whole log.
    LOG = "SELECT last_seq, last_time, floor FROM log WHERE id = 1";

    EPOCH = "SELECT epoch FROM log WHERE id = 1";

    SET_LOG = "UPDATE log SET last_seq = ?1, last_time = ?2 WHERE id = 1";

    CONVERSATION = "SELECT id, last_seq, removed_to, forgotten_to, messages, oldest
        FROM conversations WHERE key = ?1";

    ADD_CONVERSATION = "INSERT INTO conversations
        (key, last_seq, removed_to, forgotten_to, messages, oldest) VALUES (?1, 0, 0, ?2, 0, 0)";

    /// After messages were added.
    SET_CONVERSATION = "UPDATE conversations SET last_seq = ?2, messages = ?3, oldest = ?4
        WHERE id = ?1";

    ADD_DIRECT = "INSERT INTO directs (user, other, conversation) VALUES (?1, ?2, ?3)";

    /// What was stored under a key, and whether that is what is sent now.
    BY_KEY = "SELECT seq, time, body = ?4 FROM messages
        WHERE client_id = ?1 AND user = ?2 AND conversation = ?3";

    /// The same of a message that is gone, or was replaced before it was stored.
    BY_KEPT_KEY = "SELECT seq, time, body_sha256 FROM kept_keys
        WHERE client_id = ?1 AND user = ?2 AND conversation = ?3";

    ADD_MESSAGE = "INSERT INTO messages
        (seq, conversation, prev, time, client_id, user, name, body, kind)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

    AFTER = "SELECT seq, prev, time, client_id, user, name, body, kind FROM messages
        WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

    BEFORE = "SELECT seq, prev, time, client_id, user, name, body, kind FROM messages
        WHERE conversation = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";

    DIRECTS = "SELECT other, last_seq FROM directs
        JOIN conversations ON conversations.id = directs.conversation
        WHERE user = ?1 AND other > ?2 ORDER BY other LIMIT ?3";

    /// Some conversations, one after the other by their rows.
    CONVERSATIONS = "SELECT id, key, last_seq, removed_to, forgotten_to, messages, oldest
        FROM conversations WHERE id > ?1 ORDER BY id LIMIT ?2";

    /// The first messages of a conversation. The length comes without the body being read.
    FIRST = "SELECT seq, time, client_id, user, octet_length(body), body FROM messages
        WHERE conversation = ?1 ORDER BY seq LIMIT ?2";

    REMOVE_MESSAGES = "DELETE FROM messages WHERE conversation = ?1 AND seq <= ?2";

    /// A message that somebody said.
    SAID = "SELECT seq, time, client_id, user, octet_length(body), body, conversation FROM messages
        WHERE seq = ?1 AND conversation = ?2 AND kind = 0";

    /// What a user said in one of the blocks that the index goes by, up to a position.
    SAID_BY = "SELECT seq, time, client_id, user, octet_length(body), body, conversation
        FROM messages INDEXED BY messages_by_author
        WHERE seq / 4096 = ?1 AND user = ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";

    /// Removes one from between its neighbours; the one before it.
    REMOVE_MESSAGE = "DELETE FROM messages WHERE seq = ?1 RETURNING prev";

    /// The message after a position has another one before it now.
    RELINK = "UPDATE messages SET prev = ?3 WHERE seq =
        (SELECT seq FROM messages WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT 1)";

    LAST_OF = "SELECT max(seq) FROM messages WHERE conversation = ?1";

    CONVERSATION_OF = "SELECT key, last_seq, removed_to, messages FROM conversations WHERE id = ?1";

    /// After messages were removed.
    TRIM_CONVERSATION = "UPDATE conversations SET removed_to = ?2, messages = ?3, oldest = ?4
        WHERE id = ?1";

    HAS_KEPT_KEYS = "SELECT 1 FROM kept_keys WHERE conversation = ?1 LIMIT 1";

    ENDED_KEYS = "SELECT client_id, user, conversation FROM kept_keys
        WHERE until < ?1 ORDER BY until LIMIT ?2";

    REMOVE_KEPT_KEY = "DELETE FROM kept_keys
        WHERE client_id = ?1 AND user = ?2 AND conversation = ?3";

    FORGET = "DELETE FROM conversations WHERE id = ?1";

    FORGET_DIRECT = "DELETE FROM directs WHERE user = ?1 AND other = ?2";

    RAISE_FLOOR = "UPDATE log SET floor = max(floor, ?1) WHERE id = 1";

    FIRST_MESSAGE = "SELECT min(seq) FROM messages";

    LAST_MESSAGE = "SELECT max(seq) FROM messages";

    LAST_CONVERSATION = "SELECT max(id) FROM conversations";

    /// Everything from a position on, for an export.
    EVERYTHING = "SELECT seq, prev, time, client_id, user, name, body, kind, conversation
        FROM messages
        WHERE seq > ?1 ORDER BY seq";

    /// The same of one conversation.
    ALL_OF = "SELECT seq, prev, time, client_id, user, name, body, kind, conversation
        FROM messages
        WHERE conversation = ?2 AND seq > ?1 ORDER BY seq";

    KEPT_KEYS = "SELECT client_id, user, conversation, seq, time, body_sha256, until FROM kept_keys
        WHERE client_id >= x'' ORDER BY client_id, user, conversation";

    KEY_OF = "SELECT key FROM conversations WHERE id = ?1";

    /// The rows of conversations that there are messages, and kept keys, of.
    NEXT_WITH_MESSAGES = "SELECT conversation FROM messages
        WHERE conversation > ?1 ORDER BY conversation LIMIT 1";

    NEXT_WITH_KEYS = "SELECT conversation FROM kept_keys
        WHERE conversation > ?1 ORDER BY conversation LIMIT 1";

    DIRECT = "SELECT conversation FROM directs WHERE user = ?1 AND other = ?2";

    ALL_DIRECTS = "SELECT user, other, conversation FROM directs
        WHERE user >= '' ORDER BY user, other";

    TIME_OF = "SELECT time FROM messages WHERE seq = ?1";

    COUNT_BEFORE = "SELECT count(*) FROM messages WHERE conversation = ?1 AND time < ?2";

    NEW_EPOCH = "UPDATE log SET epoch = lower(hex(randomblob(8))) WHERE id = 1";

    /// After messages of another log came. Nobody knows a position of before.
    SET_IMPORTED = "UPDATE conversations
        SET last_seq = ?2, removed_to = ?3, forgotten_to = 0, messages = ?4, oldest = ?5
        WHERE id = ?1";

    /// A key of a message that is gone, or was replaced. One that is kept already is not to be changed.
    ADD_KEY = "INSERT OR IGNORE INTO kept_keys
        (client_id, user, conversation, seq, time, body_sha256, until)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::log::sqlite::schema;

    fn plan(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
        // What a parameter is does not matter to the plan, but each must be there.
        let parameters = vec![1_i64; statement.parameter_count()];
        let rows = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))
            .expect(sql);
        rows.collect::<Result<_, _>>().expect("a plan")
    }

    fn is_full(step: &str) -> bool {
        step.starts_with("SCAN") || step.contains("TEMP B-TREE") || step.contains("AUTOMATIC")
    }

    #[test]
    fn every_statement_uses_an_index() {
        let mut connection = Connection::open_in_memory().expect("a database");
        schema::prepare(&mut connection).expect("a schema");
        for sql in ALL {
            let plan = plan(&connection, sql);
            assert!(!plan.iter().any(|step| is_full(step)), "{sql}: {plan:?}");
        }
        let searches: usize = ALL.iter().map(|sql| plan(&connection, sql).len()).sum();
        assert!(searches >= 12, "plans were seen: {searches}");
        // The same question finds a statement that is none of ours.
        let without = "SELECT seq FROM messages WHERE time = ?1 ORDER BY name";
        assert!(plan(&connection, without).iter().any(|step| is_full(step)));
    }
}
