//! Tests of the log, and what they have in common: drafts, and engines of each kind behind one bench.

mod answers;
mod backlog;
mod cache;
mod database;
mod keys;
mod orders;
mod pages;
mod recorder;
mod removal;
mod retention;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::counters::Counters;
use super::data_dir::DataDir;
use super::engine::{Engine, Outcome, Reader, Window};
use super::memory::{self, Memory};
use super::sqlite::{self, Options, Sqlite, Synchronous};
use super::{Draft, Finding, Millis, Origin, Page, Query, Seq};
use crate::protocol::SessionId;
use crate::protocol::chat::{ClientId, Identity};
use crate::rooms::conversation::{Conversation, View};

/// The time at which tests begin.
const NOW: Millis = 1_800_000_000_000;

/// How long keys are kept in tests.
const WINDOW: Millis = 3_600_000;

/// The one of number `n` made at that time.
fn id(made: Millis, n: u64) -> ClientId {
    let version = 7_u128 << 76 | 0b10 << 62;
    ClientId::from_bytes((u128::from(made) << 80 | version | u128::from(n)).to_be_bytes())
}

fn room(name: &str) -> Conversation {
    Conversation::room(name)
}

/// A draft by `ada` of shard 0.
fn draft(conversation: &Conversation, client_id: ClientId, body: &str) -> Draft {
    let session = SessionId::new(0, 1, 1);
    let view = conversation.views().remove(0);
    Draft {
        conversation: conversation.clone(),
        author: Identity { user: "ada".into(), name: "Ada".into(), is_guest: false },
        client_id,
        body: body.into(),
        origin: Origin { session, view, reference: None },
        ruling: None,
    }
}

/// Enough for everything that most tests store.
const CACHE: usize = 64 * 1024 * 1024;

fn options(seq_step: u64) -> Options {
    Options {
        synchronous: Synchronous::Normal,
        window: Window(WINDOW),
        cache_bytes_max: CACHE,
        seq_step,
    }
}

fn in_database(directory: &Path, seq_step: u64, counters: &Arc<Counters>) -> Sqlite {
    let directory = Arc::new(DataDir::lock(directory).expect("nobody else has it"));
    Sqlite::open(directory, options(seq_step), counters.clone()).expect("it opens")
}

fn in_memory(seq_step: u64, bytes_max: usize) -> Memory {
    let options = memory::Options { window: Window(WINDOW), seq_step, bytes_max };
    Memory::new(options, Arc::default()).expect("random numbers")
}

/// An engine with a reader.
struct Bench {
    engine: Box<dyn Engine>,
    reader: Box<dyn Reader>,
    seq_step: u64,
    /// Where the database is, if there is one.
    directory: Option<TempDir>,
}

impl Bench {
    fn memory(seq_step: u64) -> Self {
        let engine = in_memory(seq_step, usize::MAX);
        Self { reader: engine.reader(), engine: Box::new(engine), seq_step, directory: None }
    }

    fn sqlite(seq_step: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = in_database(directory.path(), seq_step, &Arc::default());
        let (reader, engine) = (engine.reader(), Box::new(engine));
        Self { reader, engine, seq_step, directory: Some(directory) }
    }

    fn store(&mut self, drafts: &[Draft], now: Millis) -> Vec<Outcome> {
        self.engine.store(drafts, now).expect("it can be stored")
    }

    /// Stores `count` messages with bodies 1, 2, … one after another; their positions.
    fn fill(&mut self, conversation: &Conversation, count: u64) -> Vec<Seq> {
        let drafts: Vec<_> = (1..=count)
            .map(|n| draft(conversation, ClientId::from_bytes(random()), &n.to_string()))
            .collect();
        self.store(&drafts, NOW).into_iter().map(seq).collect()
    }

    fn page(&mut self, query: &Query) -> Page {
        let Finding::Page(page) = self.reader.find(query, 0).expect("it can be read") else {
            panic!("no page for {query:?}");
        };
        check(&page);
        page
    }
}

/// A UUIDv7 of the time at which tests begin.
fn random() -> [u8; 16] {
    let n = getrandom::u64().expect("random numbers") >> 8;
    id(NOW, n).to_bytes()
}

/// Runs a test with every engine, with and without holes.
fn with_each(test: impl Fn(&mut Bench)) {
    for seq_step in [1, 7] {
        test(&mut Bench::memory(seq_step));
        test(&mut Bench::sqlite(seq_step));
    }
}

/// The position of something that was stored now.
#[track_caller]
fn seq(outcome: Outcome) -> Seq {
    let Outcome::Stored { seq, .. } = outcome else { panic!("{outcome:?} is not stored") };
    seq
}

/// What holds of every page.
fn check(page: &Page) {
    let seqs: Vec<_> = page.ends.iter().map(|(seq, _)| *seq).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    assert_eq!(page.ends.last().map_or(0, |(_, end)| *end), page.bytes.len());
    let found: Vec<_> = messages(page).iter().map(|message| message["seq"].as_u64()).collect();
    assert_eq!(found, seqs.iter().copied().map(Some).collect::<Vec<_>>());
}

/// The messages of a page, parsed.
fn messages(page: &Page) -> Vec<Value> {
    let mut start = 0;
    let mut all = Vec::new();
    for (_, end) in &page.ends {
        all.push(serde_json::from_slice(&page.bytes[start..*end]).expect("JSON"));
        start = *end;
    }
    all
}

fn seqs(page: &Page) -> Vec<Seq> {
    page.ends.iter().map(|(seq, _)| *seq).collect()
}

fn open(view: &View, history: u32) -> Query {
    Query::Open { view: view.clone(), after: None, history }
}

fn after(view: &View, after: Seq) -> Query {
    Query::After { view: view.clone(), after }
}
