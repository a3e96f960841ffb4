//! What only a log on a disk can do, and what can happen to it.

use std::fs;

use rusqlite::Connection;

use super::*;
use crate::log::Unreadable;
use crate::log::engine::Unavailable;
use crate::log::sqlite::FILE;

/// Ends the server and starts another.
fn restart(bench: Bench) -> Bench {
    let Bench { mut engine, reader, seq_step, directory } = bench;
    engine.close();
    drop((engine, reader));
    let directory = directory.expect("a database");
    let engine = in_database(directory.path(), seq_step, &Arc::default());
    let (reader, engine) = (engine.reader(), Box::new(engine));
    Bench { reader, engine, seq_step, directory: Some(directory) }
}

fn path(bench: &Bench) -> std::path::PathBuf {
    bench.directory.as_ref().expect("a database").path().join(FILE)
}

#[test]
fn a_restart_changes_nothing() {
    let mut bench = Bench::sqlite(3);
    let (a, view) = (room("a"), View::room("a"));
    let first = draft(&a, id(NOW, 1), "1");
    assert_eq!(seq(bench.store(std::slice::from_ref(&first), NOW).remove(0)), 3);
    let before = bench.page(&open(&view, 10));
    let mut bench = restart(bench);
    let page = bench.page(&open(&view, 10));
    assert_eq!((&page.epoch, &page.bytes), (&before.epoch, &before.bytes));
    assert_eq!(bench.store(&[first], NOW), [Outcome::Known { seq: 3, time: NOW }]);
    let next = bench.store(&[draft(&a, id(NOW, 2), "2")], NOW - 1).remove(0);
    assert_eq!(next, Outcome::Stored { seq: 6, prev: 3, time: NOW });
}

#[test]
fn positions_are_not_given_again_when_their_messages_are_gone() {
    let mut bench = Bench::sqlite(1);
    bench.fill(&room("a"), 5);
    let other = Connection::open(path(&bench)).expect("it opens");
    other.execute("DELETE FROM messages", []).expect("deleted");
    drop(other);
    let mut bench = restart(bench);
    assert_eq!(bench.fill(&room("b"), 1), [6]);
}

#[test]
fn a_stopped_log_is_one_file() {
    let mut bench = Bench::sqlite(1);
    bench.fill(&room("a"), 5);
    let path = path(&bench);
    let beside = |ending| path.with_extension(ending).exists();
    assert!(beside("db-wal"));
    bench.engine.close();
    drop(bench.reader);
    assert!(!beside("db-wal") && !beside("db-shm"));
}

#[test]
fn a_failed_batch_stores_nothing_and_the_next_one_can_succeed() {
    let mut bench = Bench::sqlite(1);
    let (a, view) = (room("a"), View::room("a"));
    bench.fill(&a, 1);
    let other = Connection::open(path(&bench)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let batch = [draft(&a, id(NOW, 1), "1"), draft(&a, id(NOW, 2), "2")];
    assert_eq!(bench.engine.store(&batch, NOW), Err(Unavailable));
    assert_eq!(bench.page(&open(&view, 10)).ends.len(), 1, "it can be read all the while");
    other.execute_batch("ROLLBACK").expect("it began");
    let stored = bench.store(&batch, NOW);
    assert_eq!(stored.iter().map(|outcome| seq(*outcome)).collect::<Vec<_>>(), [2, 3]);
}

/// A commit can fail behind the writing: what it has written is there when the log is opened again.
#[test]
fn what_a_failed_batch_has_left_is_handed_on_once() {
    let mut bench = Bench::sqlite(1);
    let a = room("a");
    bench.fill(&a, 1);
    assert_eq!(bench.engine.take_recovered(), []);
    let other = Connection::open(path(&bench)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let lost = draft(&a, id(NOW, 2), "2");
    assert_eq!(bench.engine.store(std::slice::from_ref(&lost), NOW), Err(Unavailable));
    let written =
        "INSERT INTO messages (seq, conversation, prev, time, client_id, user, name, body)
            SELECT 2, conversation, 1, time, ?1, user, name, '2' FROM messages WHERE seq = 1";
    other.execute(written, [lost.client_id.to_bytes()]).expect("written");
    let counted = "UPDATE conversations SET last_seq = 2, messages = 2;
        UPDATE log SET last_seq = 2; COMMIT";
    other.execute_batch(counted).expect("committed after all");
    // The sender tries again, and others go on.
    let batch = [lost, draft(&a, id(NOW, 3), "3")];
    let expected =
        [Outcome::Known { seq: 2, time: NOW }, Outcome::Stored { seq: 3, prev: 2, time: NOW }];
    assert_eq!(bench.store(&batch, NOW), expected);
    let recovered = bench.engine.take_recovered();
    let found: Vec<_> =
        recovered.iter().map(|(of, message)| (of, message.seq, &*message.body)).collect();
    assert_eq!(found, [(&a, 2, "2")]);
    assert_eq!(bench.engine.take_recovered(), []);
}

#[test]
fn positions_of_a_failed_batch_are_left_out() {
    let mut bench = Bench::sqlite(1);
    let a = room("a");
    bench.fill(&a, 1);
    let other = Connection::open(path(&bench)).expect("it opens");
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON messages WHEN NEW.body = '3'
        BEGIN SELECT RAISE(ABORT, 'a bad sector'); END";
    other.execute_batch(trigger).expect("made");
    let batch = [1, 2, 3].map(|n| draft(&a, id(NOW, n), &n.to_string()));
    assert_eq!(bench.engine.store(&batch, NOW), Err(Unavailable));
    other.execute_batch("DROP TRIGGER t").expect("it is there");
    let expected =
        [(4, 1), (5, 4), (6, 5)].map(|(seq, prev)| Outcome::Stored { seq, prev, time: NOW });
    assert_eq!(bench.store(&batch, NOW), expected);
}

#[test]
fn readers_come_back_when_the_database_does() {
    let mut bench = Bench::sqlite(1);
    let view = View::room("a");
    bench.fill(&room("a"), 1);
    let path = path(&bench);
    let away = path.with_extension("away");
    fs::rename(&path, &away).expect("moved");
    assert!(matches!(bench.reader.find(&open(&view, 1), 0), Err(Unreadable)));
    fs::rename(&away, &path).expect("moved back");
    assert_eq!(bench.page(&open(&view, 1)).ends.len(), 1);
}

/// What a server is told that starts with the database that `spoil` leaves.
fn refused(spoil: impl FnOnce(&Path)) -> String {
    let mut bench = Bench::sqlite(1);
    bench.fill(&room("a"), 500);
    bench.engine.close();
    let path = path(&bench);
    drop((bench.engine, bench.reader));
    spoil(&path);
    let directory = Arc::new(DataDir::lock(path.parent().expect("a directory")).expect("free"));
    let before = fs::read(&path).expect("it is there");
    let error = Sqlite::open(directory, options(1), Arc::default())
        .err()
        .expect("it is refused")
        .to_string();
    assert!(error.contains(path.to_str().expect("text")), "{error}");
    assert!(before == fs::read(&path).expect("it is there"), "it was not touched");
    error
}

#[test]
fn a_damaged_database_is_refused() {
    let overwrite = |from: usize| {
        move |path: &Path| {
            let mut bytes = fs::read(path).expect("it is there");
            bytes[from..].fill(0xa5);
            fs::write(path, bytes).expect("written");
        }
    };
    // From the very beginning, behind the first page, and cut off.
    for error in [
        refused(overwrite(0)),
        refused(overwrite(4096)),
        refused(|path| fs::write(path, &fs::read(path).expect("there")[..8192]).expect("written")),
    ] {
        assert!(error.contains("damaged") && error.contains("uproar log check"), "{error}");
        assert!(error.contains("uproar log export") && error.contains("backup"), "{error}");
    }
}

fn execute(sql: &str) -> impl FnOnce(&Path) {
    move |path| Connection::open(path).expect("it opens").execute_batch(sql).expect("done")
}

#[test]
fn a_log_that_lost_its_head_is_damaged() {
    let error = refused(execute("DELETE FROM log"));
    assert!(error.contains("damaged"), "{error}");
    let error = refused(execute("UPDATE log SET last_seq = 499"));
    assert!(error.contains("beyond its end at 499"), "{error}");
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let error = refused(execute("PRAGMA user_version = 3"));
    assert!(error.contains("newer version") && error.contains("version 3"), "{error}");
    assert!(error.contains("export"), "{error}");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let error = refused(execute("PRAGMA application_id = 1"));
    assert!(error.contains("no log of Uproar's"), "{error}");
    let foreign = |path: &Path| {
        fs::remove_file(path).expect("it is there");
        execute("CREATE TABLE t (x)")(path);
    };
    assert!(refused(foreign).contains("no log of Uproar's"));
}

/// The tables as the first version made them.
const V1: &str = include_str!("v1.sql");

#[test]
fn a_log_of_the_first_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(FILE);
    execute(V1)(&path);
    let problem = sqlite::tool::export::export(directory.path(), None, &mut Vec::new())
        .expect_err("nothing but a server changes it")
        .to_string();
    assert!(problem.contains("older version") && problem.contains("Start the server"), "{problem}");
    let engine = in_database(directory.path(), 1, &Arc::default());
    let (reader, engine) = (engine.reader(), Box::new(engine));
    let mut bench = Bench { reader, engine, seq_step: 1, directory: Some(directory) };
    let page = bench.page(&open(&View::room("a"), 10));
    let found: Vec<_> = messages(&page)
        .iter()
        .map(|message| (message["kind"].clone(), message["body"].clone()))
        .collect();
    assert_eq!(found, [("text".into(), 1.into()), ("text".into(), "two".into())]);
    assert_eq!(bench.fill(&room("a"), 1), [3]);
    let checked = sqlite::tool::check::check(bench.directory.as_ref().expect("one").path(), false);
    assert_eq!(checked.expect("it can be checked").problems(), 0);
}
