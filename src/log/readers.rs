//! The readers' threads: answer queries, each from one moment of the log, and never wait for a shard.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use crate::log::engine::{Keeping, Reader, Rules};
use crate::log::handle::Shared;
use crate::log::writer::Clock;
use crate::log::{Found, Millis, Outlet, Read};

/// What one thread owns.
pub(super) struct ReaderThread {
    pub(super) reads: Receiver<Read>,
    /// Closed when it is time to stop.
    pub(super) stop: Receiver<()>,
    pub(super) durable: Box<dyn Reader>,
    pub(super) memory: Box<dyn Reader>,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Clock,
    /// How old a message may be that somebody is given who is behind.
    pub(super) cursor_age_max: Option<Duration>,
    pub(super) outlet: Arc<dyn Outlet>,
    pub(super) shared: Arc<Shared>,
}

impl ReaderThread {
    /// Works until it is told to stop, and then answers what was asked before.
    pub(super) fn run(mut self) {
        loop {
            select! {
                recv(self.reads) -> read => match read {
                    Ok(read) => self.answer(read),
                    Err(_) => return,
                },
                recv(self.stop) -> _ => break,
            }
        }
        while let Ok(read) = self.reads.try_recv() {
            self.answer(read);
        }
    }

    fn answer(&mut self, read: Read) {
        self.shared.taken();
        let Read { shard, ticket, query } = read;
        let reader = match (self.rules)(&query.conversation()).keeping {
            Keeping::Durable => &mut self.durable,
            Keeping::Memory => &mut self.memory,
        };
        let age = self.cursor_age_max.map(|age| Millis::try_from(age.as_millis()));
        let since = age.map_or(0, |age| (self.clock)().saturating_sub(age.unwrap_or(Millis::MAX)));
        let result = reader.find(&query, since);
        let counters = &self.shared.counters;
        if result.is_ok() { &counters.reads } else { &counters.reads_failed }.add(1);
        self.outlet.found(shard, Found { ticket, result });
    }
}
