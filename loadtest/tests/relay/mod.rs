//! A small relay server to hold the load generator against: a correct one, and one for each fault that the audit must
//! see. One thread, one task a room; each turn of a room is one write to each member, as in the real server.

#![allow(clippy::expect_used, reason = "a test server that cannot start is a failed test")]

mod room;

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, OpCode, Payload, Role, WebSocket, upgrade};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_ACCEPT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use self::room::{Event, Room};

/// What the server does wrong, or unusually. A fault of one message hits the 6th and the 16th message of a room, at the
/// first member that does not send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Everything right.
    Right,
    /// The message does not reach the member.
    Lose,
    /// It reaches it twice.
    Duplicate,
    /// It reaches it after the next one.
    Reorder,
    /// Something that nobody sent reaches the member too.
    Inject,
    /// It goes back to its sender too.
    Echo,
    /// A byte of it is changed.
    Corrupt,
    /// It comes as the other kind, binary or text.
    WrongKind,
    /// The member's connection is closed with 1013.
    CloseMember,
    /// The member's connection is cut.
    CutMember,
    /// All rooms are one.
    OneRoom,
    /// Right, but each message is cut into three fragments with a ping between.
    Fragment,
    /// Every handshake is answered with 503.
    Unavailable,
    /// Every handshake is answered for another key.
    WrongAccept,
    /// No handshake is answered.
    Silent,
}

impl Behaviour {
    /// Whether it is a fault of single messages.
    fn hits_messages(self) -> bool {
        use Behaviour::*;
        matches!(
            self,
            Lose | Duplicate
                | Reorder
                | Inject
                | Echo
                | Corrupt
                | WrongKind
                | CloseMember
                | CutMember
        )
    }
}

/// What the server counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) deliveries: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) pongs: AtomicU64,
    pub(crate) closes: AtomicU64,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Rooms = Rc<RefCell<HashMap<String, mpsc::Sender<Event>>>>;
type Body = Either<Empty<Bytes>, Full<Bytes>>;

/// What every connection of the server shares.
#[derive(Clone)]
struct Shared {
    behaviour: Behaviour,
    counts: Arc<Counts>,
    rooms: Rooms,
    ids: Rc<RefCell<u64>>,
}

impl Relay {
    /// Starts a server on that address; port 0 takes a free one.
    pub(crate) fn start(address: &str, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        // The standard library listens with 128, which a storm overruns.
        rustix::net::listen(&listener, 4096).expect("listen");
        let address = listener.local_addr().expect("address");
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = oneshot::channel();
        let shared = counts.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let shared = Shared {
                    behaviour,
                    counts: shared,
                    rooms: Rooms::default(),
                    ids: Rc::default(),
                };
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, shared) => {}
                }
            });
        });
        Self { address, counts, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL to load.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| respond(request, shared.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.with_upgrades().await;
        });
    }
}

async fn respond(
    mut request: Request<Incoming>,
    shared: Shared,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/metrics" {
        return Ok(Response::new(Either::Right(Full::from(metrics(&shared.counts)))));
    }
    match shared.behaviour {
        Behaviour::Unavailable => {
            let mut response = Response::new(Either::Right(Full::from("too many connections\n")));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
        Behaviour::Silent => std::future::pending().await,
        _ => {}
    }
    let (mut response, socket) = upgrade::upgrade(&mut request).expect("a WebSocket handshake");
    if shared.behaviour == Behaviour::WrongAccept {
        let other = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, other);
    }
    let path = request.uri().path().to_owned();
    tokio::task::spawn_local(async move {
        if let Ok(socket) = socket.await {
            serve(path, socket, shared).await;
        }
    });
    Ok(response.map(Either::Left))
}

fn metrics(counts: &Counts) -> String {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu = std::time::Duration::try_from(cpu).expect("a positive time");
    // Without process_resident_memory_bytes, so that its absence is seen to be reported.
    format!(
        "# TYPE uproar_deliveries_total counter\n\
         uproar_deliveries_total{{shard=\"0\"}} {}\n\
         uproar_writes_total {}\n\
         process_cpu_seconds_total {}\n",
        counts.deliveries.load(Ordering::Relaxed),
        counts.writes.load(Ordering::Relaxed),
        cpu.as_secs_f64(),
    )
}

/// Reads one session and hands what it sends to its room.
async fn serve(path: String, socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>, shared: Shared) {
    let upgraded = socket.into_inner().into_inner();
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { panic!("not our stream") };
    assert!(parts.read_buf.is_empty(), "the client waits for the 101");
    let (read, write) = parts.io.into_inner().into_split();
    let id = {
        let mut ids = shared.ids.borrow_mut();
        *ids += 1;
        *ids
    };
    let room = room_of(&path, &shared);
    if room.send(Event::Joined(id, write)).await.is_err() {
        return;
    }
    let read = tokio::io::join(read, tokio::io::sink());
    let mut socket = WebSocket::after_handshake(read, Role::Server);
    socket.set_auto_close(false);
    socket.set_auto_pong(false);
    let mut socket = FragmentCollector::new(socket);
    let event = loop {
        match socket.read_frame().await {
            Ok(frame) if matches!(frame.opcode, OpCode::Text | OpCode::Binary) => {
                let said = Event::Said(id, frame.opcode, payload(frame.payload));
                if room.send(said).await.is_err() {
                    return;
                }
            }
            Ok(frame) if frame.opcode == OpCode::Pong => {
                assert_eq!(&frame.payload[..], b"there?");
                shared.counts.pongs.fetch_add(1, Ordering::Relaxed);
            }
            Ok(frame) if frame.opcode == OpCode::Close => {
                shared.counts.closes.fetch_add(1, Ordering::Relaxed);
                break Event::Closed(id);
            }
            Ok(_) => {}
            Err(_) => break Event::Lost(id),
        }
    };
    let _ = room.send(event).await;
}

fn payload(payload: Payload<'_>) -> Bytes {
    match payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        other => Vec::from(other).into(),
    }
}

fn room_of(path: &str, shared: &Shared) -> mpsc::Sender<Event> {
    let name = if shared.behaviour == Behaviour::OneRoom { "" } else { path };
    let mut rooms = shared.rooms.borrow_mut();
    let enter = || {
        let (sender, events) = mpsc::channel(1024);
        let room = Room::new(shared.behaviour, shared.counts.clone());
        tokio::task::spawn_local(room.run(events));
        sender
    };
    rooms.entry(name.to_owned()).or_insert_with(enter).clone()
}
