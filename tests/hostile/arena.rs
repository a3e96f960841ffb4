//! A server under attack. Each case gets, without asking: neighbours that must go on during it and after it, bounds on
//! the memory of the process at the peak and afterwards, and its descriptors back.

use std::net::SocketAddr;

use crate::footprint::Footprint;
use crate::neighbours::{Neighbours, SESSIONS};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wait_for;

const MIB: usize = 1 << 20;

/// What any case may leave behind: code that ran for the first time, tables that are not given back below some size,
/// and pages that the allocator uses in part, for each thread. It stands for the whole arena, however many its cases.
const KEPT_BYTES_MAX: usize = 12 * MIB;

/// What a case may take at its peak if it does not say otherwise.
const PEAK_BYTES_MAX: usize = 24 * MIB;

const REFUSED: &str = "uproar_connections_refused_total";
const CLOSED: &str = "uproar_sessions_closed_total";
const ERRORS: &str = "uproar_chat_errors_total";
const TOKENS: &str = "uproar_tokens_total";

/// What the server is to have counted by the end of a case: a metric, one of its reasons (all of them where there is
/// none), how many times.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    metric: &'static str,
    label: &'static str,
    times: usize,
}

/// So many connections turned away for that reason.
pub(crate) const fn refused(label: &'static str, times: usize) -> Counted {
    Counted { metric: REFUSED, label, times }
}

/// So many sessions ended for that reason.
pub(crate) const fn closed(label: &'static str, times: usize) -> Counted {
    Counted { metric: CLOSED, label, times }
}

/// So many errors of that code told to sessions of the chat.
pub(crate) const fn errors(label: &'static str, times: usize) -> Counted {
    Counted { metric: ERRORS, label, times }
}

/// So many tokens that were looked at with that result.
pub(crate) const fn tokens(label: &'static str, times: usize) -> Counted {
    Counted { metric: TOKENS, label, times }
}

impl Counted {
    pub(crate) fn now(&self, server: &Server) -> usize {
        let label = format!("\"{}\"", self.label);
        let labels = [label.as_str()];
        server.metric(self.metric, if self.label.is_empty() { &[] } else { &labels }) as usize
    }
}

pub(crate) struct Arena {
    /// First, so that they have left when the server goes.
    neighbours: Neighbours,
    pub(crate) server: Server,
    before: Footprint,
    peak_bytes_max: usize,
    kept_bytes_max: usize,
}

impl Arena {
    /// A server with every protocol, two shards and those settings.
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        Self::around(Server::start_with(&["--echo", "--shards", "2"], settings))
    }

    /// One around a server that runs already, and that serves the relay and the chat.
    pub(crate) fn around(server: Server) -> Self {
        let mut neighbours = Neighbours::begin(server.address);
        // What the first of everything needs once is not what an attack costs.
        for _ in 0..8 {
            drop(Client::connect(server.address, "/"));
        }
        neighbours.go_on("warming up");
        settle(&server, "warming up");
        let before = Footprint::of(server.pid());
        Self {
            server,
            neighbours,
            before,
            peak_bytes_max: PEAK_BYTES_MAX,
            kept_bytes_max: KEPT_BYTES_MAX,
        }
    }

    /// The same with another bound on what a case may take.
    pub(crate) fn with_peak_mib(mut self, mib: usize) -> Self {
        self.peak_bytes_max = mib * MIB;
        self
    }

    /// The same with another bound on what all cases together may leave behind.
    pub(crate) fn with_kept_mib(mut self, mib: usize) -> Self {
        self.kept_bytes_max = mib * MIB;
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Attacks, with whatever `attack` gives still held, and requires that the neighbours go on, that the server has
    /// counted exactly that, and that it holds no more than it may.
    #[track_caller]
    pub(crate) fn case<T>(
        &mut self,
        what: &str,
        counted: &[Counted],
        attack: impl FnOnce(&Server) -> T,
    ) {
        let counts: Vec<_> = counted.iter().map(|counted| counted.now(&self.server)).collect();
        self.before.forget_peak();
        let held = attack(&self.server);
        self.neighbours.go_on(what);
        drop(held);
        for (counted, before) in counted.iter().zip(counts) {
            let Counted { metric, label, times } = counted;
            let mut found = 0;
            let is_right = || {
                found = counted.now(&self.server) - before;
                (found >= *times).then_some(())
            };
            wait_for(&format!("{what}: {metric} {label:?} +{times}"), is_right);
            assert_eq!(found, *times, "{what}: {metric} {label:?}");
        }
        settle(&self.server, what);
        self.neighbours.go_on(what);
        self.before.check(what, self.peak_bytes_max, self.kept_bytes_max);
    }
}

/// Waits until nobody is left but the neighbours.
#[track_caller]
fn settle(server: &Server, what: &str) {
    wait_for(&format!("{what}: nobody but the neighbours is left"), || {
        let is_quiet = server.metric("uproar_sessions", &[]) == SESSIONS as f64
            && server.metric("uproar_handshakes_pending", &[]) == 0.0
            && server.metric("uproar_sessions_paused", &[]) == 0.0;
        is_quiet.then_some(())
    });
}
