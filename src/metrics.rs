//! Every metric that the server exports, by name: one list, to which the documentation and the dashboards are held.

use metrics::Unit;

use crate::gate::auth;
use crate::gate::standing::Measure;
use crate::http::Refusal;
use crate::log::figures::{QUEUES, RESULTS, SOURCES};
use crate::outbound::{self, Purpose};
use crate::protocol::CloseReason;
use crate::protocol::chat::Code;
use crate::screening;
use crate::shard::actions::NoRoom;
use crate::shard::counters::{AcceptError, Drop};
use crate::shard::seats::Limited;
use crate::tls;
use crate::webhooks;

/// What kind of values a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// What is so now.
    Gauge,
    /// A distribution, in buckets.
    Histogram,
}

/// One metric as `/metrics` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As it is exported, with unit and `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The labels that every sample of it has.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)+) => {
        $(#[doc = $help] pub(crate) const $constant: &str = $name;)+

        /// Every metric of the server's own, as `docs/operations.md` lists them.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help },)+
        ];
    };
}

metrics! {
    SESSIONS = "uproar_sessions", Gauge, ["shard", "protocol"],
        "Sessions open now.";
    SESSIONS_OPENED = "uproar_sessions_opened_total", Counter, ["shard", "protocol"],
        "Sessions opened.";
    SESSIONS_CLOSED = "uproar_sessions_closed_total", Counter, ["shard", "reason"],
        "Sessions ended, by what ended them.";
    CONNECTIONS_ACCEPTED = "uproar_connections_accepted_total", Counter, ["shard"],
        "TCP connections accepted.";
    CONNECTIONS_REFUSED = "uproar_connections_refused_total", Counter, ["reason"],
        "Requests and connections that did not become sessions, by why.";
    ACCEPT_ERRORS = "uproar_accept_errors_total", Counter, ["shard", "reason"],
        "Accepts that failed.";
    TOKENS = "uproar_tokens_total", Counter, ["result"],
        "Tokens that were looked at, by what became of them.";
    KEY_FETCHES = "uproar_key_fetches_total", Counter, ["result"],
        "Times that the key set of an issuer was fetched, by what came of it.";
    CONNECT_CALLBACKS = "uproar_connect_callbacks_total", Counter, ["result"],
        "Handshakes that the connect callback was asked about, by its answer.";
    PUBLISH_CALLBACKS = "uproar_publish_callbacks_total", Counter, ["result"],
        "Messages that the publish callback was to be asked about, by its answer.";
    PUBLISH_WAITING = "uproar_publish_waiting_messages", Gauge, [],
        "Messages that wait for the answer of the publish callback, or behind one that does.";
    OUTBOUND_REQUESTS = "uproar_outbound_requests_total", Counter, ["purpose", "result"],
        "Requests that the server made itself, by what for and what became of them.";
    OUTBOUND_DURATION = "uproar_outbound_duration_seconds", Histogram, ["purpose"],
        "From such a request to the last byte of its answer, or to its failure.";
    OUTBOUND_PENDING = "uproar_outbound_pending", Gauge, ["purpose"],
        "Such requests on their way.";
    OUTBOUND_BREAKER_OPEN = "uproar_outbound_breaker_open", Gauge, ["purpose"],
        "1 while nothing but a try now and then is sent, because too many requests failed in a row.";
    WEBHOOK_EVENTS = "uproar_webhook_events_total", Counter, ["result"],
        "Events for the webhooks' receiver, by what became of them.";
    WEBHOOK_RETRIES = "uproar_webhook_retries_total", Counter, [],
        "Times that a batch of events was sent again, because it was not taken.";
    WEBHOOK_LAG = "uproar_webhook_lag_positions", Gauge, [],
        "How far the receiver is behind the end of the log, in positions, which have holes.";
    HANDSHAKES_PENDING = "uproar_handshakes_pending", Gauge, ["shard"],
        "Connections accepted and neither adopted nor refused yet.";
    HANDSHAKE_DURATION = "uproar_handshake_duration_seconds", Histogram, [],
        "From the accepted connection to the hand-over of the handshake's answer.";
    TLS_HANDSHAKES = "uproar_tls_handshakes_total", Counter, ["result"],
        "TLS handshakes, by what came of them.";
    TLS_RELOADS = "uproar_tls_reloads_total", Counter, ["result"],
        "Times that a changed certificate was loaded, or could not be.";
    TLS_SESSIONS = "uproar_tls_sessions", Gauge, ["shard"],
        "Sessions open now that speak TLS.";
    ROOMS = "uproar_rooms", Gauge, [],
        "Rooms with at least one member on this node.";
    MEMBERSHIPS = "uproar_memberships", Gauge, ["shard"],
        "Memberships of sessions in rooms.";
    MESSAGES = "uproar_messages_total", Counter, ["shard"],
        "Whole messages received.";
    FRAMES = "uproar_frames_total", Counter, ["shard", "direction"],
        "Frames: in, messages (their fragments counted once) and control frames; out, deliveries and control frames.";
    WIRE_BYTES = "uproar_wire_bytes_total", Counter, ["shard", "direction"],
        "Bytes read from and written to session sockets.";
    DELIVERIES = "uproar_deliveries_total", Counter, ["shard"],
        "Messages handed to a session's socket or outbox: one for each receiver.";
    READS = "uproar_reads_total", Counter, ["shard"],
        "System calls that read from session sockets.";
    WRITES = "uproar_writes_total", Counter, ["shard"],
        "System calls that write to session sockets; deliveries by writes is how many frames one carries.";
    DROPS = "uproar_drops_total", Counter, ["shard", "reason"],
        "Frames queued and let go, by why.";
    FELL_BEHIND = "uproar_sessions_fell_behind_total", Counter, ["shard"],
        "Times a chat session read so slowly that its rooms' messages are read from the log for it.";
    LOG_ROOM_READS = "uproar_log_room_reads_total", Counter, ["shard"],
        "Times a shard read the log for all members of a room, because messages did not fit its mailbox.";
    RATE_LIMITED = "uproar_rate_limited_total", Counter, ["shard", "reason"],
        "Times that a session sent more than it may: messages of the chat refused, other sessions not read for a while.";
    JOINS_REFUSED = "uproar_joins_refused_total", Counter, ["shard", "reason"],
        "Times that a session did not get into a room, by which bound.";
    ADDRESSES = "uproar_addresses", Gauge, [],
        "Addresses that are remembered for the bounds on them; those of IPv6 by /64.";
    USERS = "uproar_users", Gauge, [],
        "Authenticated users with at least one session on this node.";
    CHAT_ERRORS = "uproar_chat_errors_total", Counter, ["shard", "code"],
        "Errors that chat sessions were answered with, by code.";
    LOG_DRAFTS = "uproar_log_drafts", Gauge, ["shard"],
        "Messages of chat sessions handed to the log and neither stored nor refused yet.";
    LOG_READS_PENDING = "uproar_log_reads_pending", Gauge, ["shard"],
        "Reads of the log that a shard has asked for and not been answered.";
    LOG_MESSAGES = "uproar_log_messages_total", Counter, ["result"],
        "Messages that were handed to the log, by what became of them.";
    LOG_COMMITS = "uproar_log_commits_total", Counter, [],
        "Groups of messages stored at once, or tried to.";
    LOG_COMMIT_DURATION = "uproar_log_commit_duration_seconds", Histogram, [],
        "One group of durable messages, from its first statement to the end of its commit.";
    LOG_SERIALISED = "uproar_log_serialised_total", Counter, [],
        "Times that a stored message was written as JSON: once, for each end of a direct conversation that somebody looks at.";
    LOG_NOTICED = "uproar_log_noticed_total", Counter, [],
        "Stored messages that a shard has to read from the log, because its mailbox was full.";
    LOG_REMOVED = "uproar_log_removed_total", Counter, [],
        "Messages that retention took.";
    LOG_REDACTED = "uproar_log_redacted_total", Counter, [],
        "Messages that were removed because the application asked for it.";
    LOG_READS = "uproar_log_reads_total", Counter, ["source"],
        "Reads of the durable log, by where they were answered from.";
    LOG_READ_FAILURES = "uproar_log_read_failures_total", Counter, [],
        "Reads of the log that failed.";
    LOG_BUSY = "uproar_log_busy_total", Counter, ["queue"],
        "Times that the log had no room for a turn's messages, or for a read.";
    LOG_CACHE_BYTES = "uproar_log_cache_bytes", Gauge, [],
        "Memory of the latest messages that are kept in front of the disk.";
    FANOUT_DURATION = "uproar_fanout_duration_seconds", Histogram, ["shard"],
        "From the first frame read to the last member written to, once for each room and flush.";
    HOP_DURATION = "uproar_hop_duration_seconds", Histogram, ["shard"],
        "From one shard's batch sent to the other shard's batch taken.";
    TURN_DURATION = "uproar_turn_duration_seconds", Histogram, ["shard"],
        "One turn of a shard's loop, its wait not counted.";
    TURNS = "uproar_turns_total", Counter, ["shard"],
        "Turns of a shard's loop.";
    SHARD_BUSY = "uproar_shard_busy_seconds_total", Counter, ["shard"],
        "Time in turns: its rate is the share of its core that a shard uses.";
    BATCHES = "uproar_mailbox_batches_total", Counter, ["shard", "direction"],
        "Batches taken from a shard's mailbox and sent to those of others.";
    MAILBOX_BATCHES = "uproar_mailbox_batches", Gauge, ["shard"],
        "Batches that wait in a shard's mailbox.";
    MAILBOX_FULL = "uproar_mailbox_full_total", Counter, ["shard"],
        "Batches that this shard could not send at once, because the target's mailbox was full.";
    PAUSED = "uproar_sessions_paused", Gauge, ["shard"],
        "Sessions not read at the moment, so that what they are part of can catch up.";
    PAUSES = "uproar_session_pauses_total", Counter, ["shard"],
        "Times a session was paused.";
    OUTBOX_BYTES = "uproar_outbox_bytes", Gauge, ["shard"],
        "Bytes queued for sessions, shared ones counted for each.";
    REQUESTS_REFUSED = "uproar_requests_refused_total", Counter, ["shard"],
        "Requests of handles turned away, because the shard had too many of them waiting.";
    USERS_RESTRICTED = "uproar_users_restricted", Gauge, ["measure"],
        "Users against whom a measure is in force, by which.";
    API_REQUESTS = "uproar_api_requests_total", Counter, ["route", "status"],
        "Requests to the API, by the path as it is documented and by what they were answered with.";
    API_REQUEST_DURATION = "uproar_api_request_duration_seconds", Histogram, [],
        "From a request to the API to its answer, its body and the log included.";
    BUILD_INFO = "uproar_build_info", Gauge, ["version"],
        "Always 1; the labels say what runs.";
}

/// The figures that the system keeps of the process, under the names that every Prometheus client gives them. As they
/// are on Linux; another system may lack some.
pub const PROCESS_METRICS: &[Metric] = &[
    process(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU time used, of the user and of the system.",
    ),
    process("process_resident_memory_bytes", Kind::Gauge, "Memory that is resident."),
    process("process_virtual_memory_bytes", Kind::Gauge, "Memory that is mapped."),
    process(
        "process_virtual_memory_max_bytes",
        Kind::Gauge,
        "The limit on memory that is mapped; 0 where there is none.",
    ),
    process("process_open_fds", Kind::Gauge, "Files open, connections among them."),
    process("process_max_fds", Kind::Gauge, "The limit on open files."),
    process(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the process started, in seconds since 1970.",
    ),
    process("process_threads", Kind::Gauge, "Threads."),
];

const fn process(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, labels: &[], help }
}

impl Metric {
    /// Every value that one of its labels can take; `None` where the configuration decides, as it does for `shard`.
    #[must_use]
    pub fn values(&self, label: &str) -> Option<&'static [&'static str]> {
        match (label, self.name) {
            ("direction", _) => Some(&["in", "out"]),
            ("reason", SESSIONS_CLOSED) => Some(&CloseReason::LABELS),
            ("reason", CONNECTIONS_REFUSED) => Some(&Refusal::LABELS),
            ("reason", ACCEPT_ERRORS) => Some(&AcceptError::LABELS),
            ("reason", RATE_LIMITED) => Some(&Limited::LABELS),
            ("reason", JOINS_REFUSED) => Some(&NoRoom::LABELS),
            ("reason", DROPS) => Some(&Drop::LABELS),
            ("result", LOG_MESSAGES) => Some(&RESULTS),
            ("result", KEY_FETCHES) => Some(&auth::remote_keys::FETCHES),
            ("result", CONNECT_CALLBACKS) => Some(&auth::callback::ANSWERS),
            ("result", PUBLISH_CALLBACKS) => Some(&screening::ANSWERS),
            ("result", OUTBOUND_REQUESTS) => Some(&outbound::RESULTS),
            ("purpose", _) => Some(&Purpose::LABELS),
            ("result", WEBHOOK_EVENTS) => Some(&webhooks::RESULTS),
            ("result", TOKENS) => Some(&auth::RESULTS),
            ("result", TLS_HANDSHAKES) => Some(&tls::RESULTS),
            ("result", TLS_RELOADS) => Some(&tls::RELOADS),
            ("source", LOG_READS) => Some(&SOURCES),
            ("queue", LOG_BUSY) => Some(&QUEUES),
            ("code", CHAT_ERRORS) => Some(&Code::TEXTS),
            ("route", API_REQUESTS) => Some(&crate::http::ROUTES),
            ("status", API_REQUESTS) => Some(&crate::http::STATUSES),
            ("measure", USERS_RESTRICTED) => Some(&Measure::LABELS),
            _ => None,
        }
    }
}

/// Tells the recorder what each metric is; install the recorder first.
pub(crate) fn describe() {
    for metric in METRICS.iter().chain(PROCESS_METRICS) {
        let unit = match metric.name {
            name if name.contains("_seconds") => Unit::Seconds,
            name if name.contains("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}
