//! Every key of the configuration: its name, type, bounds, default and meaning, here and nowhere else.
//!
//! Names end with their unit. Rules that concern more than one key are in `rules`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Secret;
use super::choices::{
    Announce, Demo, LogFormat, LogLevel, Mode, ProxyHeader, Synchronous, TlsVersion, Ungranted,
    WebhookEvent,
};
use super::setting::Setting;
use super::table::{Key, Range, config};
use crate::gate::allowed::{AllowedHost, AllowedOrigin};
use crate::gate::auth::TokenKey;
use crate::gate::keys::AccessKey;
use crate::gate::proxies::ProxyNetwork;
use crate::rooms::rules::RoomRule;

config! {
    /// The process: where it listens, what it runs on, how it stops.
    server: Server {
        /// The public address: WebSocket connections and the demo page. Port 0 takes any free port.
        /// A host name is resolved once, at start; its first IPv4 address is taken.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
        /// The operator's address: /metrics, /healthz and /readyz, over plain HTTP. Programs of this machine need no
        /// key; where it is not a loopback address there must be keys, or certificates by tls.admin_client_ca_file,
        /// and nobody else is answered.
        admin_listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8081));
        /// Who may ask the operator's address from elsewhere, by "Authorization: Bearer": a name, scopes out of
        /// metrics and health, and the hash of a key. Several at once let one be replaced while another holds.
        admin_keys: Vec<AccessKey> = Vec::new();
        /// The networks of the proxies in front of the server, whose word on a client's address is taken.
        proxies: Vec<ProxyNetwork> = Vec::new();
        /// The header in which these proxies name the client. They must set or extend it in every request; the other
        /// one is not looked at.
        proxy_header: ProxyHeader = ProxyHeader::XForwardedFor;
        /// Whether every connection of these proxies begins with a header of the PROXY protocol, version 1 or 2.
        proxy_protocol: bool = false;
        /// Threads that serve sessions, each with its own listener. 0 takes one for each core that the process may
        /// really use: the affinity mask and the CPU quota of a container count.
        shards: usize [0..=128 shards] = 0;
        /// The directory for what must outlive the process. Made when it is first needed. No two servers may share it.
        data_dir: PathBuf = PathBuf::from("uproar-data");
        /// How long a stopping server lets its sessions finish, from the signal to the exit. 0 cuts them off at once.
        drain_secs: u64 [0..=3600 seconds] = 10;
        /// The demo chat page on "/". "auto" shows it only where listen is a loopback address.
        demo: Demo = Demo::Auto;
    }

    /// A bound on everything that a peer could make large, many or slow.
    limits: Limits {
        /// The largest message taken from a peer, its fragments added up. Larger ones close the session with 1009.
        message_bytes_max: usize [1..=16_777_216 bytes] = 65_536;
        /// Bytes queued for one session beyond which it is a slow reader; what a room's slow readers share counts for
        /// each of them. One message is always taken when next to nothing is queued, however large.
        outbox_bytes_max: usize [65_536..=1_073_741_824 bytes] = 16_777_216;
        /// Sessions held at once; a handshake above that is answered with 503. 0 takes as many as the limit on open
        /// files allows, less what the server itself needs.
        connections_max: usize [0..=10_000_000 connections] = 0;
        /// Connections of one shard that have not finished their handshake. Further ones wait in the kernel's queue,
        /// and for each the oldest of those that have sent nothing yet makes room.
        pending_handshakes_max: usize [1..=65_536 connections] = 4_096;
        /// From the accepted connection to the answered request, whether or not the peer sends anything.
        handshake_timeout_secs: u64 [1..=300 seconds] = 10;
        /// The size of a request's line and headers together. Larger ones are answered with 431.
        header_bytes_max: usize [8_192..=1_048_576 bytes] = 16_384;
        /// The number of a request's headers. More are answered with 431.
        headers_max: usize [16..=1_000 headers] = 100;
        /// From a message's first byte to its last. Slower ones close the session with 1008.
        message_timeout_secs: u64 [1..=3_600 seconds] = 30;
        /// A peer that has been silent for this long is sent a ping.
        heartbeat_secs: u64 [1..=3_600 seconds] = 25;
        /// A peer is given up when for this long no byte came from it and none that was sent to it got through.
        /// Must be above heartbeat_secs.
        heartbeat_timeout_secs: u64 [2..=86_400 seconds] = 60;
        /// Batches of messages that wait for one shard. When it is full, the sessions that publish are paused.
        mailbox_batches_max: usize [1..=1_048_576 batches] = 1_024;
        /// Rooms that one session can be in at once.
        rooms_per_session_max: usize [1..=10_000 rooms] = 100;
        /// Rooms that somebody is in, of all routes together. A further one is not begun.
        rooms_max: usize [1..=100_000_000 rooms] = 1_000_000;
        /// Sessions that one room can have. A further one does not get in.
        room_members_max: usize [1..=10_000_000 sessions] = 100_000;
        /// Sessions from one address, or from one /64 of IPv6; a handshake above that is answered with 429. 0 is no
        /// bound, here and in all that follows.
        connections_per_address_max: usize [0..=10_000_000 connections] = 1_000;
        /// Sessions of one authenticated user; a handshake above that is answered with 429.
        connections_per_user_max: usize [0..=10_000_000 connections] = 100;
        /// Connections from one address that have not finished their handshake. A further one is closed at once.
        pending_handshakes_per_address_max: usize [0..=65_536 connections] = 256;
        /// Connections that one address may begin in a second, in the long run. Those above are answered with 429.
        handshakes_per_address_per_sec: u64 [0..=1_000_000 connections] = 20;
        /// Connections that one address may begin at once, after a quiet time.
        handshakes_per_address_burst: u64 [1..=1_000_000 connections] = 1_000;
        /// Failed attempts to authenticate from one address within auth_failures_window_secs, above which it is
        /// answered with 429 until enough of them are that long ago.
        auth_failures_per_address_max: u64 [0..=1_000_000 attempts] = 20;
        /// How long failed attempts to authenticate count.
        auth_failures_window_secs: u64 [1..=86_400 seconds] = 60;
        /// Messages, pings and pongs that one session may send in a second, in the long run. In the chat those above
        /// are answered with an error, and the session is closed with 4429 when it goes on; elsewhere it is not read
        /// until they are due.
        messages_per_sec: u64 [0..=1_000_000 messages] = 100;
        /// Messages that one session may send at once, after a quiet time; and how many of those above are answered
        /// before the session is closed.
        messages_burst: u64 [1..=1_000_000 messages] = 500;
        /// Bytes of messages that one session may send in a second, in the long run.
        bytes_per_sec: u64 [0..=17_179_869_184 bytes] = 1_048_576;
        /// Bytes of messages that one session may send at once, after a quiet time. One message may be as large as
        /// message_bytes_max in any case.
        bytes_burst: u64 [1..=17_179_869_184 bytes] = 4_194_304;
        /// Whether bounds on addresses and rates do not hold for programs of this machine, where nobody was let in but
        /// them: with server.listen a loopback address, auth.open_to_network false and only "open" in auth.modes.
        loopback_exempt: bool = true;
        /// How long a session that was sent a Close may take to answer it before the connection is cut.
        close_timeout_secs: u64 [1..=300 seconds] = 5;
    }

    /// The relay on "/" and "/relay/{room}": each message goes verbatim to every other session of the room.
    relay: Relay {
        /// Whether the relay is served at all.
        enabled: bool = true;
        /// Whether the sessions of a room are told who joins and leaves; "json" tells them by a JSON text message.
        announce: Announce = Announce::Off;
    }

    /// The echo on "/echo", for probes and conformance tests.
    echo: Echo {
        /// Whether the echo is served at all.
        enabled: bool = false;
    }

    /// The chat on "/chat": rooms with names, history and presence, nothing lost that was acknowledged.
    chat: Chat {
        /// Whether the chat is served at all. Its log is in server.data_dir.
        enabled: bool = true;
        /// Members above which a room no longer tells who comes and goes, only how many there are. Counted are users,
        /// however many sessions each has. 0 only ever counts.
        presence_members_max: usize [0..=100_000 users] = 500;
        /// The most messages that one request for history, or a join, is answered with.
        history_messages_max: u32 [1..=100 messages] = 100;
        /// How rooms are kept and shown, by their names: the first rule whose pattern matches holds. Rooms that none
        /// matches, and direct conversations, are durable, kept for 30 days however many messages they have, give 50
        /// messages to who joins, and tell who is there.
        rooms: Vec<RoomRule> = Vec::new();
    }

    /// The log of the chat: the order and the keeping of what was said.
    log: Log {
        /// What an ack promises of a durable room. "full": the message was synced to the disk and survives the loss of
        /// power. "normal": it was handed to the system and survives the end of the process, not that of the machine.
        synchronous: Synchronous = Synchronous::Full;
        /// How long a message's client_id is remembered, so that what is sent again is not stored again. Apart from
        /// retention: also of messages that are gone. What is sent again later than that is refused.
        idempotency_window_secs: u64 [60..=2_592_000 seconds] = 86_400;
        /// Memory for the latest messages of the rooms, from which joins and history are answered without a read of
        /// the disk.
        cache_bytes_max: usize [65_536..=68_719_476_736 bytes] = 67_108_864;
        /// Memory for the messages of rooms whose engine is "memory", and for the client_ids of what was sent to them.
        /// Above it the oldest messages go, whatever the rules say, and client_ids are remembered for a shorter time.
        memory_bytes_max: usize [1_048_576..=68_719_476_736 bytes] = 268_435_456;
        /// A session that is behind, or comes back, is not given messages that are older than this; a gap says which.
        /// 0 gives it everything that is kept.
        cursor_age_secs_max: u64 [0..=3_153_600_000 seconds] = 0;
        /// What one session that is behind is given from the log in a second.
        read_bytes_per_sec: u64 [65_536..=17_179_869_184 bytes] = 8_388_608;
        /// What all sessions together are given from the log in a second, so that they cannot starve those who write.
        read_total_bytes_per_sec: u64 [65_536..=17_179_869_184 bytes] = 268_435_456;
        /// Messages handed to the log and not answered yet. When there are so many, the sessions that send are paused.
        drafts_max: usize [1..=1_048_576 messages] = 65_536;
    }

    /// Who may connect.
    auth: Auth {
        /// Allows server.listen to be an address that other machines reach although nobody has to authenticate.
        /// Whoever reaches it can read and write every room.
        open_to_network: bool = false;
        /// How somebody may come in, tried in this order. "token" takes who shows a token, "callback" asks your
        /// application, "open" takes who shows nothing, as a guest who may do everything. What is shown and wrong is
        /// refused in any case.
        modes: Vec<Mode> = vec![Mode::Open];
        /// Who tokens must be for: that aud, or one of several. Empty takes only tokens without one.
        audience: String = String::new();
        /// How far the clock of who signs tokens may be off: they are taken so much before nbf and after exp.
        leeway_secs: u64 [0..=600 seconds] = 30;
        /// How long before what a chat session was let in with expires the session is told so, to refresh it. 0 does
        /// not tell it.
        expiry_warning_secs: u64 [0..=3_600 seconds] = 60;
        /// Whether tokens must have an end, exp.
        expiry_required: bool = true;
        /// What a token grants that has neither rooms nor direct among its claims, and an answer of the connect callback
        /// without them.
        without_grant: Ungranted = Ungranted::Nothing;
        /// The cookie that holds a token; empty takes none from cookies. Browsers send cookies whatever page asks, so
        /// this cannot be together with open_to_network, with which every page may ask.
        cookie: String = String::new();
        /// The query parameter that holds a token, for clients that can send it in no other way; empty takes none from
        /// there. Proxies and browsers keep addresses, so such tokens should end soon.
        query_parameter: String = String::new();
        /// How often the key sets under jwks_url are fetched.
        jwks_refresh_secs: u64 [1..=86_400 seconds] = 300;
        /// The least time between two fetches of one of them: where tokens name a key that is not known, and after one
        /// that failed.
        jwks_pause_secs: u64 [1..=3_600 seconds] = 10;
        /// A PEM file with authorities that sign certificates of these URLs, beside those of the system.
        jwks_ca_file: String = String::new();
        /// What tokens are verified with. Each has exactly one of secret, secret_file, public_key_file, jwks_file and
        /// jwks_url; which of them a token means is up to its kid, and its algorithm is that of the key.
        keys: Vec<TokenKey> = Vec::new();
    }

    /// Which pages may open sessions, and under which names the server answers. With neither list an open server on a
    /// loopback address answers this machine's own pages and programs, one that was opened to the network answers all,
    /// and any other the pages of its own host.
    origins: Origins {
        /// The origins of pages that may open sessions: scheme, host and port as a browser names them.
        allowed: Vec<AllowedOrigin> = Vec::new();
        /// The names under which the server answers: the Host of a request. A port that is left out, here or in the
        /// request, stands for 80 and 443.
        hosts: Vec<AllowedHost> = Vec::new();
        /// Allows "*." at the beginning of a name in either list, for every name below it.
        wildcards: bool = false;
        /// Lets in requests that name no origin, as programs send them, without a token too.
        missing_allowed: bool = false;
        /// Lets in, on an open server of this machine, pages without an origin of their own: those opened from files,
        /// as tutorials do, but also frames that a page of anybody's has put into a sandbox.
        files_allowed: bool = true;
    }

    /// TLS on the public address, and on the operator's.
    tls: Tls {
        /// The certificate in PEM, with those that vouch for it behind it. "" speaks no TLS. Read again when it
        /// changes and at SIGHUP; open sessions stay as they are.
        certificate_file: Option<PathBuf> = None;
        /// The certificate's private key in PEM.
        key_file: Option<PathBuf> = None;
        /// The oldest version of TLS that is spoken.
        version_min: TlsVersion = TlsVersion::Tls12;
        /// Threads that make handshakes, which is the most that do so at once. They stand behind those that serve
        /// sessions. 0 takes one for every four shards. A handshake's time counts as limits.handshake_timeout_secs says.
        handshake_threads: usize [0..=64 threads] = 0;
        /// The authorities, in PEM, one of which must have signed the certificate of whoever connects to admin_listen,
        /// which then speaks TLS. "" speaks plain HTTP there and asks nobody for a certificate.
        admin_client_ca_file: Option<PathBuf> = None;
        /// The authorities, in PEM, one of which must have signed the certificate of whoever uses the API, beside the
        /// key. Everybody who connects is asked for a certificate then; who does not use the API needs none. "" asks
        /// nobody.
        api_client_ca_file: Option<PathBuf> = None;
    }

    /// What your application is asked over HTTP while somebody waits for the answer.
    callbacks: Callbacks {
        /// The secret that requests are signed with, at least 32 bytes. Needed where there is a URL.
        secret: Secret = Secret::default();
        /// Where the mode "callback" asks who somebody is, at each handshake: http:// or https://.
        connect_url: String = String::new();
        /// From the request to the end of its answer. Then the handshake is answered with 503.
        connect_timeout_ms: u64 [10..=30_000 milliseconds] = 3_000;
        /// Requests on their way at once. Handshakes above that are answered with 503.
        connect_requests_max: usize [1..=4_096 requests] = 64;
        /// The headers of the handshake that your application is told, such as "authorization" or "user-agent".
        connect_headers: Vec<String> = Vec::new();
        /// The cookies of the handshake that your application is told. Browsers send cookies whatever page asks, so this
        /// cannot be together with auth.open_to_network, with which every page may ask.
        connect_cookies: Vec<String> = Vec::new();
        /// Where it is asked whether a message of the chat may be stored, and as what, before it is: http:// or https://.
        /// Empty asks nobody.
        publish_url: String = String::new();
        /// From the request to the end of its answer. Then the message is refused.
        publish_timeout_ms: u64 [10..=30_000 milliseconds] = 3_000;
        /// Requests on their way at once. Further messages wait.
        publish_requests_max: usize [1..=4_096 requests] = 64;
        /// Messages that wait for their answer, in all. Long before, who sends more is not read for a while; at last
        /// messages are refused.
        publish_waiting_max: usize [1..=1_048_576 messages] = 4_096;
        /// The rooms of the chat whose messages are asked about, by patterns in which "*" is any run of characters.
        publish_rooms: Vec<String> = vec!["*".to_owned()];
        /// Whether the messages of direct conversations are asked about, too.
        publish_direct: bool = true;
        /// Failures in a row (no connection, no answer in time, 502, 503, 504) after which nothing is asked for a while.
        /// Each URL has its own count.
        failures_max: u32 [1..=1_000 failures] = 5;
        /// That while. After it one request is tried at a time, until one succeeds.
        retry_after_ms: u64 [10..=300_000 milliseconds] = 2_000;
        /// A PEM file with authorities that sign certificates of https, beside those of the system.
        ca_file: String = String::new();
        /// Whether the URLs may lead to private addresses, where an application usually is.
        allow_private_networks: bool = true;
    }

    /// What your application is told over HTTP, after it happened.
    webhooks: Webhooks {
        /// Where events are posted to: http:// or https://. Empty tells nobody.
        url: String = String::new();
        /// The secret that requests are signed with, at least 32 bytes. Needed where there is a URL.
        secret: Secret = Secret::default();
        /// What is told: "message", a message was stored; "room", a room has its first member or lost its last;
        /// "member", a user joined or left a chat room that tells its members; "user", an authenticated user of the chat
        /// came online or went offline.
        events: Vec<WebhookEvent> = vec![WebhookEvent::Message];
        /// From a request to the end of its answer. Then it is sent again.
        timeout_ms: u64 [10..=60_000 milliseconds] = 10_000;
        /// Events in one request, at most.
        batch_events_max: usize [1..=10_000 events] = 100;
        /// Events that wait in memory, which are all but stored messages. Further ones are dropped.
        queue_events_max: usize [1..=1_000_000 events] = 10_000;
        /// The longest pause between two tries of a request. The first one takes a fifth of a second, each further one
        /// twice as long.
        retry_secs_max: u64 [1..=3_600 seconds] = 60;
        /// How long a request is tried before its events are given up.
        give_up_secs: u64 [0..=2_592_000 seconds] = 86_400;
        /// A PEM file with authorities that sign certificates of https, beside those of the system.
        ca_file: String = String::new();
        /// Allows the URL to lead to a private address: of this machine, of its network, of a cloud's metadata.
        allow_private_networks: bool = false;
    }

    /// The API on "/api/v1", by which the application's own backend publishes, looks and acts.
    api: Api {
        /// Who may use it, by "Authorization: Bearer": a name, scopes out of publish, read, users and moderate, and the
        /// hash of a key. Several at once let one be replaced while another holds. Without any the API is not there.
        keys: Vec<AccessKey> = Vec::new();
        /// The size of a request's body. Larger ones are answered with 413.
        body_bytes_max: usize [1_024..=16_777_216 bytes] = 1_048_576;
        /// How long the body of a request may take to come, and how long the answer may after that.
        request_timeout_secs: u64 [1..=300 seconds] = 10;
        /// Requests that are being answered at once. Further ones are answered with 503.
        requests_in_flight_max: usize [1..=10_000 requests] = 256;
        /// Requests that one key may make in a second, in the long run. Those above are answered with 429. 0 is no
        /// bound.
        requests_per_sec: u64 [0..=1_000_000 requests] = 1_000;
        /// Requests that one key may make at once, after a quiet time.
        requests_burst: u64 [1..=1_000_000 requests] = 2_000;
    }

    /// What the server tells its operator.
    telemetry: Telemetry {
        /// The least severe level that is logged, of the server itself; of libraries only warnings and errors are.
        log_level: LogLevel = LogLevel::Info;
        /// "human" is for reading, "json" for collecting; "auto" takes "human" where stderr is a terminal.
        log_format: LogFormat = LogFormat::Auto;
    }
}
