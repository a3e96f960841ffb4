//! Raw bytes against a door: the server and the client that the tests share.

mod admin;
mod answers;
mod deadlines;
mod pages;
mod upgrades;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time,
};

use crate::{
    gate::{
        addresses::AddressLimits, auth::Authenticator, origin::OriginRule, turnstile::Turnstile,
    },
    http::{
        Connections, Door, Entrance, Limits, Phase, Readiness, Route, Routes, Settings, Site,
        TokenPlaces,
    },
    shard::Adopt,
};

/// Far above what anything here takes, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A handshake that is right, but for the request line and the end.
const HANDSHAKE: &str = "Host: localhost\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a test may change about its server.
struct Options {
    limits: Limits,
    connections_max: usize,
    /// How many sessions the shard takes before it has no room for more.
    mailbox: usize,
    demo: bool,
    origin_rule: OriginRule,
    address_limits: AddressLimits,
}

struct Server {
    door: Arc<Door>,
    address: SocketAddr,
    adopted: Receiver<Box<Adopt>>,
    connections: Arc<Connections>,
    readiness: Arc<Readiness>,
    metrics: PrometheusHandle,
    /// How often a full door came to have room again.
    room_calls: Arc<AtomicUsize>,
}

/// Runs a test against a server of its own, on one thread, so that its metrics are its own too.
fn serve(options: impl FnOnce(&mut Options), test: impl AsyncFnOnce(Server)) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let mut chosen = Options {
                limits: Limits {
                    pending_handshakes_max: 64,
                    handshake_timeout: PATIENCE,
                    header_bytes_max: 16 * 1024,
                    headers_max: 100,
                },
                connections_max: 64,
                mailbox: 64,
                demo: true,
                origin_rule: OriginRule::Loopback { files: true },
                address_limits: AddressLimits::NONE,
            };
            options(&mut chosen);
            test(Server::start(chosen, metrics).await).await;
        });
    });
}

impl Server {
    async fn start(options: Options, metrics: PrometheusHandle) -> Self {
        let route = |pattern: &str, subprotocols: &[&str]| Route {
            pattern: pattern.to_owned(),
            subprotocols: subprotocols.iter().map(|&name| name.to_owned()).collect(),
            entrance: Entrance::Token,
        };
        let routes =
            [route("/", &[]), route("/relay/{room}", &[]), route("/chat", &["uproar.chat.v1"])];
        let connections = Arc::new(Connections::new(options.connections_max));
        let readiness = Arc::new(Readiness::default());
        readiness.set(Phase::Ready);
        let site = Site::new(Settings {
            routes: Routes::new(routes.into()).expect("the routes are right"),
            limits: options.limits,
            origin_rule: options.origin_rule,
            turnstile: Arc::new(Turnstile::new(options.address_limits)),
            proxies: Default::default(),
            authenticator: Arc::new(Authenticator::open()),
            token_places: TokenPlaces::default(),
            demo: options.demo,
            connections: Arc::clone(&connections),
            readiness: Arc::clone(&readiness),
            runtime: Handle::current(),
            tls: None,
            api: None,
        });
        let (sender, adopted) = crossbeam_channel::bounded(options.mailbox);
        #[allow(clippy::result_large_err, reason = "what the shard does not take comes back whole")]
        let adopt =
            Arc::new(move |adopt| sender.try_send(adopt).map_err(|error| error.into_inner()));
        let room_calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&room_calls);
        let room = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let door = Arc::new(Door::new(Arc::new(site), 0, adopt, room));

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let at_the_door = Arc::clone(&door);
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.expect("a connection");
                at_the_door.knock(stream.into_std().expect("a socket"), peer);
            }
        });
        Self { door, address, adopted, connections, readiness, metrics, room_calls }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("the server listens"))
    }

    /// Sends `request` on a connection of its own and reads up to the end of the connection.
    async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }

    /// Waits for the shard to be given a connection.
    async fn adoption(&self) -> Box<Adopt> {
        eventually(|| !self.adopted.is_empty()).await;
        self.adopted.try_recv().expect("one is there")
    }

    /// The value of a metric, by its name and labels as they are exported; 0 where there is none.
    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    fn refused(&self, reason: &str) -> f64 {
        self.metric(&format!("uproar_connections_refused_total{{reason=\"{reason}\"}}"))
    }

    /// Waits until no handshake is in flight.
    async fn quiet(&self) {
        eventually(|| self.door.pending() == 0).await;
        assert_eq!(self.metric("uproar_handshakes_pending{shard=\"0\"}"), 0.0);
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the server reads");
    }

    /// Reads one answer whose head says how long its body is.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        time::timeout(PATIENCE, async {
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(self.0.read_u8().await.expect("the head goes on"));
            }
            let head = String::from_utf8(answer.clone()).expect("UTF-8");
            let length = header(&head, "content-length")
                .map_or(0, |length| length.parse().expect("a number"));
            let start = answer.len();
            answer.resize(start + length, 0);
            self.0.read_exact(&mut answer[start..]).await.expect("the body goes on");
        })
        .await
        .expect("an answer in time");
        String::from_utf8(answer).expect("UTF-8")
    }

    /// Reads up to the end of the connection, which must not be a reset.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.expect("an end in time").expect("a proper end");
        String::from_utf8(rest).expect("UTF-8")
    }

    /// Whether nothing at all is there to be read, neither bytes nor an end.
    fn hears_nothing(self) -> bool {
        let stream = self.0.into_std().expect("a socket");
        stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came to be");
        time::sleep(Duration::from_millis(2)).await;
    }
}
