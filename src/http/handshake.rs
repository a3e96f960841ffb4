//! One connection from its accept to its adoption or its refusal.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use rustix::net::{RecvFlags, recv};
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};

use crate::{
    gate::addresses::{Arrival, Excess},
    http::{
        door::Pending,
        linger,
        patience::Patience,
        proxy_protocol,
        reception::{Accepted, Outcome, Peer, Reception},
        refusal::Refusal,
        socket::Socket,
        wire::{Tap, Wire},
    },
    shard::Adopt,
};

/// An accepted connection on the control runtime.
struct Visit {
    pending: Pending,
    /// Whoever is at the other end, as far as it is known before there is a request.
    peer: SocketAddr,
    /// Counts it for that address; `None` while it is not known, or not before there is a request.
    arrival: Option<Arrival>,
    accepted: Instant,
}

/// Sees the connection through. One deadline, counted from `accepted`, covers all of it up to the last answer.
pub(super) async fn run(
    pending: Pending,
    stream: std::net::TcpStream,
    peer: SocketAddr,
    accepted: Instant,
) {
    let mut visit = Visit { pending, peer, arrival: None, accepted };
    let Ok(stream) = TcpStream::from_std(stream) else { return visit.count(Refusal::Lost) };
    match visit.find_out(&stream).await {
        // Boxed, because everything up to here is all that a silent connection costs.
        Ok(first) => Box::pin(visit.begin(first, stream)).await,
        Err(refusal) => {
            visit.count(refusal);
            if let Some(last_words) = visit.last_words(refusal) {
                Box::pin(linger::close(Socket::Plain(stream), Some(last_words))).await;
            }
        }
    }
}

/// What a TLS connection begins with: the kind of its first record.
const TLS_HANDSHAKE: u8 = 22;

impl Visit {
    fn deadline(&self) -> Instant {
        self.accepted + self.pending.site.limits.handshake_timeout
    }

    /// Waits until the peer has something to say, and finds out who it is where that can be known before.
    async fn find_out(&mut self, stream: &TcpStream) -> Result<u8, Refusal> {
        let site = Arc::clone(&self.pending.site);
        if site.proxies.expects_protocol(self.peer.ip()) {
            self.first_byte(stream).await?;
            let header = proxy_protocol::read(stream, self.peer);
            let read = time::timeout_at(self.deadline(), header).await;
            self.peer = read.unwrap_or(Err(Refusal::Timeout))?;
        }
        if !site.proxies.forwards(self.peer.ip()) {
            let arrival = site.turnstile.addresses.arrive(self.peer.ip());
            self.arrival
                .insert(arrival.map_err(Refusal::Excess)?)
                .check()
                .map_err(Refusal::Excess)?;
        }
        self.first_byte(stream).await
    }

    /// What a peer is told of which it is not known yet what it speaks.
    fn last_words(&self, refusal: Refusal) -> Option<Vec<u8>> {
        match refusal {
            // Where there are too many connections, none is kept for the peer to read a farewell.
            Refusal::Excess(Excess::Pending) => None,
            // It speaks TLS, and a handshake is what it must not cost.
            Refusal::Excess(_) if self.pending.site.tls.is_some() => None,
            _ => refusal.bytes(),
        }
    }

    fn count(&self, refusal: Refusal) {
        refusal.count();
        tracing::debug!(peer = %self.peer, reason = refusal.label(), "refused: {}", refusal.text());
    }

    /// Waits without a buffer.
    async fn first_byte(&self, stream: &TcpStream) -> Result<u8, Refusal> {
        let silence = self.pending.silence();
        let peek = pin!(async {
            let mut byte = [0];
            stream.peek(&mut byte).await.map(|read| (read > 0).then_some(byte[0]))
        });
        let evicted = pin!(self.pending.evicted());
        let refusal = tokio::select! {
            biased;
            peeked = peek => match peeked {
                Ok(Some(first)) => return Ok(first),
                Ok(None) | Err(_) => Refusal::Lost,
            },
            refusal = evicted => refusal,
            () = time::sleep_until(self.deadline()) => Refusal::Silent,
        };
        if refusal == Refusal::Evicted
            && let Some(first) = spoken(stream)
        {
            // Then it is another one's turn to go.
            drop(silence);
            self.pending.evict();
            return Ok(first);
        }
        Err(refusal)
    }

    /// Finds out whether the peer speaks what is spoken here.
    async fn begin(self, first: u8, stream: TcpStream) {
        let refusal = match (&self.pending.site.tls, first) {
            (None, TLS_HANDSHAKE) => Refusal::TlsNotSpoken,
            (None, _) => return self.converse(Socket::Plain(stream)).await,
            (Some(acceptor), TLS_HANDSHAKE) => {
                match acceptor.accept(stream, self.deadline()).await {
                    Ok(stream) => return self.converse(Socket::Sealed(Box::new(stream))).await,
                    Err((stream, failure)) => {
                        let reason = failure.label();
                        tracing::debug!(peer = %self.peer, reason, "TLS handshake failed");
                        self.count(Refusal::TlsHandshake);
                        if let Some(stream) = stream {
                            linger::close(Socket::Plain(stream), None).await;
                        }
                        return;
                    }
                }
            }
            // The methods of HTTP begin with letters.
            (Some(_), b'A'..=b'Z') => Refusal::PlainHttp,
            (Some(_), _) => Refusal::NoTls,
        };
        self.count(refusal);
        linger::close(Socket::Plain(stream), refusal.bytes()).await;
    }

    /// Speaks HTTP until the connection is upgraded, refused or done.
    async fn converse(mut self, socket: Socket) {
        let tap = Tap::default();
        let site = Arc::clone(&self.pending.site);
        let patience = Patience::new(self.accepted, site.limits.handshake_timeout);
        let arrival = self.arrival.take();
        let peer = Peer { address: self.peer, is_known: socket.is_known() };
        let reception = Reception::new(site, peer, arrival, (tap.clone(), patience.clone()));
        let mut connection =
            self.pending.site.http.serve_connection(Wire::new(socket, tap), reception);
        let conversation = async {
            tokio::select! {
                biased;
                end = poll_fn(|cx| connection.poll_without_shutdown(cx)) => return end,
                () = self.pending.closing() => {}
            }
            // No further request is waited for; one that has begun is.
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        };
        let end = tokio::select! {
            biased;
            end = conversation => Some(end),
            () = patience.over() => None,
        };

        let parts = connection.into_parts();
        let is_mid_answer = parts.io.is_mid_answer();
        let (socket, held) = parts.io.into_parts();
        let has_rest = !parts.read_buf.is_empty();
        match (parts.service.into_outcome(), end) {
            (Outcome::Accepted(accepted), Some(Ok(()))) => {
                self.hand_over(socket, *accepted, held, parts.read_buf).await;
            }
            (Outcome::Accepted(_) | Outcome::Refused, _) => linger::close(socket, None).await,
            (outcome, end) => {
                let is_first = matches!(outcome, Outcome::Nothing);
                let refusal = verdict(&end, is_first || has_rest || is_mid_answer);
                if let Some(refusal) = refusal {
                    self.count(refusal);
                }
                let last_words = refusal.filter(|_| !is_mid_answer).and_then(Refusal::bytes);
                linger::close(socket, last_words).await;
            }
        }
    }

    async fn hand_over(self, socket: Socket, accepted: Accepted, response: Vec<u8>, read: Bytes) {
        let (stream, channel, unread) = socket.into_parts();
        // What hyper has read of what is not for it, and what it has not read.
        let leftover = match (read.is_empty(), unread.is_empty()) {
            (_, true) => read,
            (true, false) => Bytes::from(unread),
            (false, false) => [&read[..], &unread[..]].concat().into(),
        };
        let Ok(stream) = stream.into_std() else { return self.count(Refusal::Lost) };
        let Accepted { route, request, admission, place } = accepted;
        let elapsed = self.accepted.elapsed();
        let adopt = Adopt { stream, channel, response, leftover, route, request, place };
        match (self.pending.adopt)(Box::new(adopt)) {
            Ok(()) => {
                admission.keep();
                self.pending.site.duration.record(elapsed);
            }
            Err(adopt) => {
                let Adopt { stream, channel, .. } = *adopt;
                drop(admission);
                self.count(Refusal::ShardBusy);
                if let Ok(stream) = TcpStream::from_std(stream) {
                    let socket = Socket::of(stream, channel);
                    linger::close(socket, Refusal::ShardBusy.bytes()).await;
                }
            }
        }
    }
}

/// The peer's first byte, if it is there: the kernel knows before a task is told.
fn spoken(stream: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (read, _) = recv(stream, &mut byte, flags).ok()?;
    (read > 0).then_some(byte[0])
}

/// Why a connection ended that was neither upgraded nor refused; `None` for one that had its pages and left, or idled
/// until the deadline.
fn verdict(end: &Option<hyper::Result<()>>, was_busy: bool) -> Option<Refusal> {
    match end {
        Some(Err(error)) if error.is_parse_too_large() => Some(Refusal::HeaderTooLarge),
        Some(Err(error)) if error.is_parse() => Some(Refusal::Malformed),
        Some(_) => was_busy.then_some(Refusal::Lost),
        None => was_busy.then_some(Refusal::Timeout),
    }
}
