//! The application behind the server, as far as a test needs one: an HTTP server that answers what it is told to, right
//! or wrong, and keeps what it was asked.

#![allow(clippy::disallowed_types, reason = "between the threads of a backend and the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac};
use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;
use sha2::Sha256;

use super::PATIENCE;
use super::tls::Issued;

/// The secret that requests are signed with.
pub const SECRET: &str = "the secret of the callbacks, 32 bytes at least";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request line and the fields, a line each.
    pub head: String,
    pub body: Vec<u8>,
}

/// What is answered.
pub enum Reply {
    /// That status with that body.
    Status(u16, String),
    /// These bytes, whatever they mean; then the connection ends.
    Raw(Vec<u8>),
    /// A body without end.
    Endless,
    /// Nothing, for as long as the other side waits.
    Hang,
}

/// Runs until the test ends.
pub struct Backend {
    pub address: SocketAddr,
    scheme: &'static str,
    pub asked: Receiver<Asked>,
    connections: Arc<AtomicUsize>,
    open: Arc<Open>,
}

/// Its connections, until it is gone.
#[derive(Default)]
struct Open {
    streams: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the server sends JSON")
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    /// Whether it is signed with that secret.
    pub fn is_signed(&self, secret: &str) -> bool {
        let Some((time, signature)) =
            self.field("uproar-signature").and_then(|value| value.split_once(",v1="))
        else {
            return false;
        };
        let seconds = time.strip_prefix("t=").expect("a time");
        assert!(seconds.parse::<u64>().expect("seconds").abs_diff(super::token::now()) < 120);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
        mac.update(seconds.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let expected: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        expected == signature
    }
}

impl Backend {
    /// Answers each request by that rule.
    pub fn start(rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener, rule)
    }

    /// The same over TLS, with that certificate.
    pub fn secure(issued: &Issued, rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::secure_at("127.0.0.1:0", issued, rule)
    }

    pub fn secure_at(
        address: &str,
        issued: &Issued,
        rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(issued.server());
        let listener = TcpListener::bind(address).expect("a free port");
        let backend = Self::with(listener, rule, move |stream, rule, asked| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            serve(StreamOwned::new(connection, stream), rule, asked);
        });
        Self { scheme: "https", ..backend }
    }

    pub fn on(
        listener: TcpListener,
        rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(listener, rule, |stream, rule, asked| {
            serve(stream, rule, asked);
        })
    }

    fn with(
        listener: TcpListener,
        rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        serve: impl Fn(TcpStream, &dyn Fn(&Asked) -> Reply, &SyncSender<Asked>) + Send + Sync + 'static,
    ) -> Self {
        let serve = Arc::new(serve);
        let address = listener.local_addr().expect("an address");
        let (asked, received) = sync_channel(100_000);
        let connections = Arc::new(AtomicUsize::new(0));
        let (rule, count) = (Arc::new(rule), Arc::clone(&connections));
        let open = Arc::new(Open::default());
        let known = Arc::clone(&open);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if known.is_over.load(Ordering::SeqCst) {
                    break;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let end = stream.try_clone().expect("a descriptor");
                let clone = stream.try_clone().expect("a descriptor");
                known.streams.lock().expect("no panic").push(clone);
                let (rule, asked) = (Arc::clone(&rule), asked.clone());
                // A peer that goes away is nothing special.
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || {
                    serve(stream, &*rule, &asked);
                    let _ = end.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, scheme: "http", asked: received, connections, open }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/uproar?app=1", self.scheme, self.address)
    }

    /// Ends it, with its connections in whatever state they are. Its port is free then.
    pub fn kill(self) {
        self.open.is_over.store(true, Ordering::SeqCst);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        for stream in self.open.streams.lock().expect("no panic").drain(..) {
            // One that ended before is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The next request.
    pub fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("the server asks")
    }
}

fn serve<S: Read + Write>(
    stream: S,
    rule: &dyn Fn(&Asked) -> Reply,
    asked: &SyncSender<Asked>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        // A test that does not look at them does not hold anybody up.
        let _ = asked.try_send(request.clone());
        let reply = rule(&request);
        let writer = reader.get_mut();
        match reply {
            Reply::Status(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\
                     location: http://127.0.0.1:1/elsewhere\r\n\r\n",
                    body.len()
                );
                let body = if status == 204 { "" } else { &body };
                let head = if status == 204 { "HTTP/1.1 204 Said\r\n\r\n" } else { &head };
                writer.write_all(format!("{head}{body}").as_bytes()).ok()?;
                writer.flush().ok()?;
            }
            Reply::Raw(bytes) => {
                writer.write_all(&bytes).ok()?;
                writer.flush().ok()?;
                return None;
            }
            Reply::Endless => {
                writer.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                loop {
                    writer.write_all(chunk.as_bytes()).ok()?;
                }
            }
            Reply::Hang => drop(reader.fill_buf()),
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line.replace("\r\n", "\n"));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body })
}
