//! The judge of handshakes for fuzzers: a connection that is nothing but bytes in memory, judged as a real one is.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::gate::addresses::AddressLimits;
use crate::gate::auth::Authenticator;
use crate::gate::origin::OriginRule;
use crate::gate::proxies::Proxies;
use crate::gate::turnstile::Turnstile;
use crate::http::patience::Patience;
use crate::http::reception::{Outcome, Peer, Reception};
use crate::http::wire::Tap;
use crate::http::{
    Connections, Entrance, Limits, Phase, Readiness, Route, Routes, Settings, Site, TokenPlaces,
};

/// A server on a loopback address that asks nobody who they are, without the sockets.
pub struct Judge {
    site: Arc<Site>,
    /// Nothing runs on it.
    _runtime: Runtime,
}

/// What became of a connection's bytes.
#[derive(Debug)]
pub enum Verdict {
    /// More would have to come.
    Unfinished,
    /// They are no HTTP; the answer is not hyper's.
    Unreadable,
    /// What was answered: a refusal, or pages and perhaps a refusal behind them.
    Answered(Vec<u8>),
    /// They begin with a handshake.
    Accepted(Accepted),
}

/// A handshake that is right.
#[derive(Debug)]
pub struct Accepted {
    /// Everything that was answered, the 101 last.
    pub answer: Vec<u8>,
    /// The room that the path names, as it was understood.
    pub room: Option<String>,
    /// How many bytes lie behind the request and are read as frames.
    pub leftover_bytes: usize,
}

impl Judge {
    /// One with the routes of the program and small limits.
    ///
    /// # Errors
    /// Whatever keeps the system from giving a runtime.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let route = |pattern: &str, subprotocols: &[&str]| Route {
            pattern: pattern.to_owned(),
            subprotocols: subprotocols.iter().map(|&name| name.to_owned()).collect(),
            entrance: Entrance::Token,
        };
        let relays = [route("/", &[]), route("/relay/{room}", &[]), route("/echo", &[])];
        let chat = route("/chat", &["uproar.chat.v1"]);
        let routes = Routes::new(relays.into_iter().chain([chat]).collect());
        let readiness = Arc::new(Readiness::default());
        readiness.set(Phase::Ready);
        let site = Site::new(Settings {
            routes: routes.map_err(io::Error::other)?,
            limits: Limits {
                pending_handshakes_max: 1,
                handshake_timeout: Duration::from_secs(1),
                header_bytes_max: 2048,
                headers_max: 32,
            },
            origin_rule: OriginRule::Loopback { files: true },
            demo: true,
            connections: Arc::new(Connections::new(1)),
            readiness,
            runtime: runtime.handle().clone(),
            authenticator: Arc::new(Authenticator::open()),
            token_places: TokenPlaces::default(),
            tls: None,
            api: None,
            turnstile: Arc::new(Turnstile::new(AddressLimits::NONE)),
            proxies: Proxies::default(),
        });
        Ok(Self { site: Arc::new(site), _runtime: runtime })
    }

    /// Judges what a peer sends that then waits for the answer.
    #[must_use]
    pub fn judge(&self, bytes: &[u8]) -> Verdict {
        let tap = Tap::default();
        let peer = Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), is_known: false };
        let patience = Patience::new(Instant::now(), self.site.limits.handshake_timeout);
        let site = Arc::clone(&self.site);
        let reception = Reception::new(site, peer, None, (tap.clone(), patience));
        let memory = Memory { input: bytes, answer: Vec::new() };
        let mut connection = self.site.http.serve_connection(memory, reception);
        let mut context = Context::from_waker(Waker::noop());
        let polled = connection.poll_without_shutdown(&mut context);
        let parts = connection.into_parts();
        let answer = parts.io.answer;
        let unread = parts.io.input.len() + parts.read_buf.len();
        match (parts.service.into_outcome(), polled) {
            (Outcome::Accepted(accepted), Poll::Ready(Ok(()))) => Verdict::Accepted(Accepted {
                answer,
                room: accepted.request.room,
                leftover_bytes: unread,
            }),
            (Outcome::Refused | Outcome::Accepted(_), _) => Verdict::Answered(answer),
            (_, Poll::Ready(Err(_))) => Verdict::Unreadable,
            (Outcome::Page, _) => Verdict::Answered(answer),
            (Outcome::Nothing, _) => Verdict::Unfinished,
        }
    }
}

/// A connection's two directions. At the end of the input its peer waits.
struct Memory<'b> {
    input: &'b [u8],
    answer: Vec<u8>,
}

impl Read for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let length = buffer.remaining().min(self.input.len());
        if length == 0 {
            return Poll::Pending;
        }
        let (now, later) = self.input.split_at(length);
        buffer.put_slice(now);
        self.input = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &str = "GET /relay/caf%C3%A9 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[test]
    fn each_verdict_is_reached() {
        let judge = Judge::new().expect("a runtime");
        let bytes = format!("{HANDSHAKE}12345");
        let Verdict::Accepted(accepted) = judge.judge(bytes.as_bytes()) else { panic!() };
        assert!(accepted.answer.starts_with(b"HTTP/1.1 101 "));
        assert_eq!((accepted.room.as_deref(), accepted.leftover_bytes), (Some("caf\u{e9}"), 5));
        assert!(matches!(judge.judge(&HANDSHAKE.as_bytes()[..60]), Verdict::Unfinished));
        assert!(matches!(judge.judge(b"nonsense\r\n\r\n"), Verdict::Unreadable));
        let foreign = HANDSHAKE.replace("localhost", "evil.example");
        let Verdict::Answered(answer) = judge.judge(foreign.as_bytes()) else { panic!() };
        assert!(answer.starts_with(b"HTTP/1.1 403 "));
    }
}
