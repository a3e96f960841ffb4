//! From what the shards count to what `/metrics` shows.
//!
//! Shards hand copies of their plain counters over; here, on the control runtime, they are put into the recorder that [`Exposition`] renders.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::exposition::Exposition;
use crate::gate::addresses::Addresses;
use crate::gate::standing::Measure;
use crate::hub::Hub;
use crate::log::figures::Figures;
use crate::log::writer::system_time;
use crate::metrics as names;
use crate::protocol::CloseReason;
use crate::protocol::chat::Code;
use crate::shard::actions::NoRoom;
use crate::shard::counters::{AcceptError, Counters, Drop, Durations};
use crate::shard::seats::Limited;

/// How often the shards' counters are taken over, and the recorder's samples put into their buckets.
const PERIOD: Duration = Duration::from_millis(250);

/// How often addresses that need not be remembered are forgotten.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// Takes the shards' counters over, until the server is gone. Every metric is there when this returns, whenever the
/// future comes to run: the first scrape finds them all.
pub(crate) fn run(
    exposition: Exposition,
    shards: Vec<ShardMetrics>,
    log: Figures,
    hub: Arc<Hub>,
) -> impl Future<Output = ()> + Send {
    let restricted =
        Measure::LABELS.map(|label| gauge!(names::USERS_RESTRICTED, "measure" => label));
    take_over(exposition, shards, log, Wide { hub, rooms: gauge!(names::ROOMS), restricted })
}

async fn take_over(
    exposition: Exposition,
    mut shards: Vec<ShardMetrics>,
    mut log: Figures,
    wide: Wide,
) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        for (shard, port) in shards.iter_mut().zip(&wide.hub.ports) {
            shard.take_over();
            shard.requests_refused.absolute(port.requests_refused());
        }
        log.take_over();
        wide.take_over();
        exposition.keep_up();
    }
}

/// What is the whole node's, and no shard's.
struct Wide {
    hub: Arc<Hub>,
    rooms: Gauge,
    restricted: [Gauge; Measure::LABELS.len()],
}

impl Wide {
    fn take_over(&self) {
        self.rooms.set(self.hub.directory.len() as f64);
        self.hub.directory.shrink();
        for (gauge, count) in self.restricted.iter().zip(self.hub.standings.counts(system_time())) {
            gauge.set(count as f64);
        }
    }
}

/// Says how many addresses and users are counted, and forgets those that need not be; until the server is gone.
pub(crate) fn watch(addresses: Arc<Addresses>, hub: Arc<Hub>) -> impl Future<Output = ()> + Send {
    let gauges = (gauge!(names::ADDRESSES), gauge!(names::USERS));
    async move {
        let mut period = tokio::time::interval(SWEEP_PERIOD);
        loop {
            period.tick().await;
            addresses.sweep();
            hub.users.shrink();
            gauges.0.set(addresses.len() as f64);
            gauges.1.set(hub.users.len() as f64);
        }
    }
}

/// Metrics, each with where its value comes from.
type Series<Metric, Value> = Vec<(Metric, fn(&Counters) -> Value)>;
type Distributions = Vec<(Histogram, fn(&Counters) -> &Durations)>;

/// The metrics of one shard, each with a handle made once.
pub(crate) struct ShardMetrics {
    counters: Receiver<Box<Counters>>,
    before: Box<Counters>,
    /// For each label of `protocol`, the routes that have it.
    protocols: Vec<(Gauge, Counter, Vec<usize>)>,
    closed: Vec<Counter>,
    dropped: Vec<Counter>,
    accept_errors: Vec<Counter>,
    chat_errors: Vec<Counter>,
    limited: Vec<Counter>,
    joins_refused: Vec<Counter>,
    totals: Series<Counter, u64>,
    gauges: Series<Gauge, usize>,
    requests_refused: Counter,
    /// A gauge because it has fractions; exported as the counter that it is.
    busy: Gauge,
    durations: Distributions,
}

impl ShardMetrics {
    /// `protocols` has the label of each route.
    pub(crate) fn new(
        shard: usize,
        protocols: &[String],
        counters: Receiver<Box<Counters>>,
    ) -> Self {
        let shard = shard.to_string();
        let by = |label: &'static str, name: &'static str, values: &[&'static str]| {
            let one =
                |value: &&'static str| counter!(name, "shard" => shard.clone(), label => *value);
            values.iter().map(one).collect::<Vec<_>>()
        };
        Self {
            counters,
            before: Box::default(),
            protocols: by_protocol(&shard, protocols),
            closed: by("reason", names::SESSIONS_CLOSED, &CloseReason::LABELS),
            dropped: by("reason", names::DROPS, &Drop::LABELS),
            accept_errors: by("reason", names::ACCEPT_ERRORS, &AcceptError::LABELS),
            chat_errors: by("code", names::CHAT_ERRORS, &Code::TEXTS),
            limited: by("reason", names::RATE_LIMITED, &Limited::LABELS),
            joins_refused: by("reason", names::JOINS_REFUSED, &NoRoom::LABELS),
            totals: totals(&shard),
            gauges: gauges(&shard),
            requests_refused: counter!(names::REQUESTS_REFUSED, "shard" => shard.clone()),
            busy: gauge!(names::SHARD_BUSY, "shard" => shard.clone()),
            durations: durations(&shard),
        }
    }

    fn take_over(&mut self) {
        let Some(now) = self.counters.try_iter().last() else { return };
        for (sessions, opened, routes) in &self.protocols {
            let sum = |count: fn(&crate::shard::counters::RouteCounters) -> u64| -> u64 {
                routes.iter().map(|route| count(&now.routes[*route])).sum()
            };
            sessions.set(sum(|route| route.sessions) as f64);
            opened.absolute(sum(|route| route.opened));
        }
        absolute(&self.closed, &now.closed);
        absolute(&self.dropped, &now.dropped);
        absolute(&self.accept_errors, &now.accept_errors);
        absolute(&self.chat_errors, &now.errors);
        absolute(&self.limited, &now.limited);
        absolute(&self.joins_refused, &now.joins_refused);
        for (total, value) in &self.totals {
            total.absolute(value(&now));
        }
        for (gauge, value) in &self.gauges {
            gauge.set(value(&now) as f64);
        }
        self.busy.set(now.busy.as_secs_f64());
        for (histogram, of) in &self.durations {
            for (seconds, count) in of(&now).since(of(&self.before)) {
                histogram.record_many(seconds, usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        self.before = now;
    }
}

fn absolute(counters: &[Counter], values: &[u64]) {
    for (counter, value) in counters.iter().zip(values) {
        counter.absolute(*value);
    }
}

fn by_protocol(shard: &str, protocols: &[String]) -> Vec<(Gauge, Counter, Vec<usize>)> {
    let mut labels: Vec<&String> = protocols.iter().collect();
    labels.sort_unstable();
    labels.dedup();
    let one = |label: &String| {
        let routes = protocols
            .iter()
            .enumerate()
            .filter(|(_, other)| *other == label)
            .map(|(route, _)| route);
        let labels = [("shard", shard.to_owned()), ("protocol", label.clone())];
        (
            gauge!(names::SESSIONS, &labels),
            counter!(names::SESSIONS_OPENED, &labels),
            routes.collect(),
        )
    };
    labels.into_iter().map(one).collect()
}

fn totals(shard: &str) -> Series<Counter, u64> {
    let of = |name: &'static str| counter!(name, "shard" => shard.to_owned());
    let to = |name: &'static str, direction: &'static str| counter!(name, "shard" => shard.to_owned(), "direction" => direction);
    vec![
        (of(names::CONNECTIONS_ACCEPTED), |now| now.accepted),
        (of(names::MESSAGES), |now| now.messages_in),
        (to(names::FRAMES, "in"), |now| now.messages_in + now.control_in),
        (to(names::FRAMES, "out"), |now| now.deliveries + now.control_out),
        (to(names::WIRE_BYTES, "in"), |now| now.bytes_in),
        (to(names::WIRE_BYTES, "out"), |now| now.bytes_out),
        (of(names::DELIVERIES), |now| now.deliveries),
        (of(names::READS), |now| now.reads),
        (of(names::WRITES), |now| now.writes),
        (of(names::TURNS), |now| now.turns),
        (to(names::BATCHES, "in"), |now| now.batches_in),
        (to(names::BATCHES, "out"), |now| now.batches_out),
        (of(names::MAILBOX_FULL), |now| now.mailbox_full),
        (of(names::PAUSES), |now| now.pauses),
        (of(names::FELL_BEHIND), |now| now.fell_behind),
        (of(names::LOG_ROOM_READS), |now| now.room_reads),
    ]
}

fn gauges(shard: &str) -> Series<Gauge, usize> {
    let of = |name: &'static str| gauge!(name, "shard" => shard.to_owned());
    vec![
        (of(names::MEMBERSHIPS), |now| now.memberships),
        (of(names::TLS_SESSIONS), |now| now.tls_sessions),
        (of(names::MAILBOX_BATCHES), |now| now.mailbox_batches),
        (of(names::PAUSED), |now| now.paused),
        (of(names::OUTBOX_BYTES), |now| now.outbox_bytes),
        (of(names::LOG_DRAFTS), |now| now.log_drafts),
        (of(names::LOG_READS_PENDING), |now| now.log_reads),
    ]
}

fn durations(shard: &str) -> Distributions {
    let of = |name: &'static str| histogram!(name, "shard" => shard.to_owned());
    vec![
        (of(names::FANOUT_DURATION), |now| &now.fanout),
        (of(names::HOP_DURATION), |now| &now.hop),
        (of(names::TURN_DURATION), |now| &now.turn),
    ]
}
