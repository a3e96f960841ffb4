//! A small chat server to hold the load generator against: a correct one, and one for each fault that the audit must see.
//! One thread; everything is in memory, and a turn is one message.

#![allow(clippy::expect_used, reason = "a test server that cannot start is a failed test")]

mod rooms;

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::thread::JoinHandle;

use bytes::Bytes;
use fastwebsockets::{
    FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError, upgrade,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

use self::rooms::Rooms;

/// Frames that wait for one session; far more than a test sends.
const FRAMES_MAX: usize = 100_000;

/// What the server does wrong. A fault of one message hits the 6th and the 16th message of each room; where it is a fault
/// of one member, the first one that has never said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Everything right.
    Right,
    /// The message does not reach the member.
    Lose,
    /// It does not, and what follows is linked as if it had never been.
    LoseQuietly,
    /// It reaches the member twice.
    Duplicate,
    /// It is stored twice.
    StoreTwice,
    /// It reaches the member after the next one.
    Reorder,
    /// The member gets the next one in its place, and it in that of the next one.
    Diverge,
    /// It is acknowledged and forgotten.
    Forget,
    /// It is delivered and not acknowledged.
    NoAck,
    /// It is acknowledged with the position of another.
    WrongAck,
    /// It is refused.
    Refuse,
    /// A byte of it is changed.
    Corrupt,
    /// Something that nobody asked for reaches the member too.
    Inject,
    /// The member's connection is closed with 1013.
    CloseMember,
    /// Who resumes does not get the first message after its position.
    ResumeLoses,
    /// Who resumes gets the message at its position once more.
    ResumeRepeats,
    /// Who resumes is told that everything before now is gone.
    ResumeGap,
    /// Who resumes is told of another epoch.
    ResumeAnew,
    /// Who resumes is somebody else.
    ResumeStranger,
    /// Nobody may join.
    Closed,
}

/// A running server, on a thread of its own until dropped.
pub(crate) struct ChatServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ChatServer {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime.expect("runtime"), async {
                let rooms = Rc::new(RefCell::new(Rooms::new(behaviour)));
                tokio::select! {
                    () = accept(listener, rooms) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL to load.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, rooms: Rc<RefCell<Rooms>>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let rooms = rooms.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| respond(request, rooms.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.with_upgrades().await;
        });
    }
}

async fn respond(
    mut request: Request<Incoming>,
    rooms: Rc<RefCell<Rooms>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/chat");
    let (response, socket) = upgrade::upgrade(&mut request).expect("a WebSocket handshake");
    tokio::task::spawn_local(async move {
        if let Ok(socket) = socket.await {
            let (out, frames) = mpsc::channel(FRAMES_MAX);
            let session = rooms.borrow_mut().session(out);
            // However it ends, the session is over.
            let _ = serve(session, socket, frames, &rooms).await;
            rooms.borrow_mut().leave(session);
        }
    });
    Ok(response)
}

/// What is to be written to a session.
pub(crate) enum Out {
    Text(String),
    Close(u16),
}

async fn serve(
    session: u64,
    socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>,
    frames: mpsc::Receiver<Out>,
    rooms: &Rc<RefCell<Rooms>>,
) -> Result<(), WebSocketError> {
    let upgraded = socket.into_inner().into_inner();
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { panic!("not our stream") };
    assert!(parts.read_buf.is_empty(), "the client waits for the 101");
    let (read, write) = parts.io.into_inner().into_split();
    tokio::task::spawn_local(write_all(write, frames));
    let read = tokio::io::join(read, tokio::io::sink());
    let mut socket = WebSocket::after_handshake(read, Role::Server);
    socket.set_auto_close(false);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text => {
                let request: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                rooms.borrow_mut().take(session, &request);
            }
            OpCode::Close => {
                rooms.borrow_mut().close(session, 1000);
                return Ok(());
            }
            _ => {}
        }
    }
}

async fn write_all(mut write: OwnedWriteHalf, mut frames: mpsc::Receiver<Out>) {
    while let Some(out) = frames.recv().await {
        let mut bytes = Vec::new();
        match &out {
            Out::Text(text) => put(&mut bytes, OpCode::Text, text.as_bytes()),
            Out::Close(code) => put(&mut bytes, OpCode::Close, &code.to_be_bytes()),
        }
        // A connection that is gone shows in the task that reads it.
        if write.write_all(&bytes).await.is_err() || matches!(out, Out::Close(_)) {
            return;
        }
    }
}

fn put(bytes: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let mut frame = Frame::new(true, opcode, None, Payload::Borrowed(payload));
    let mut head = [0; 16];
    let length = frame.fmt_head(&mut head);
    bytes.extend_from_slice(&head[..length]);
    bytes.extend_from_slice(payload);
}
