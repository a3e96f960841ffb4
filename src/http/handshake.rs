//! One connection from its accept to its adoption or its refusal.

use std::{
    future::poll_fn,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};

use crate::{
    gate::addresses::{Arrival, Excess},
    http::{
        door::Pending,
        linger, proxy_protocol,
        reception::{Accepted, Outcome, Reception},
        refusal::Refusal,
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
    match visit.begin(&stream).await {
        // Boxed, because everything up to here is all that a silent connection costs.
        Ok(()) => Box::pin(visit.converse(stream)).await,
        Err(refusal) => {
            visit.count(refusal);
            // Where there are too many connections, none is kept for the peer to read a farewell.
            let last_words =
                if refusal == Refusal::Excess(Excess::Pending) { None } else { refusal.bytes() };
            if let Some(last_words) = last_words {
                Box::pin(linger::close(stream, Some(last_words))).await;
            }
        }
    }
}

impl Visit {
    fn deadline(&self) -> Instant {
        self.accepted + self.pending.site.limits.handshake_timeout
    }

    /// Waits until the peer has something to say, and finds out who it is where that can be known before.
    async fn begin(&mut self, stream: &TcpStream) -> Result<(), Refusal> {
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

    fn count(&self, refusal: Refusal) {
        refusal.count();
        tracing::debug!(peer = %self.peer, reason = refusal.label(), "refused: {}", refusal.text());
    }

    /// Waits without a buffer.
    async fn first_byte(&self, stream: &TcpStream) -> Result<(), Refusal> {
        let silence = self.pending.silence();
        let mut byte = [0];
        let peek = pin!(stream.peek(&mut byte));
        let evicted = pin!(self.pending.evicted());
        let refusal = tokio::select! {
            biased;
            peeked = peek => match peeked {
                Ok(1..) => return Ok(()),
                Ok(0) | Err(_) => Refusal::Lost,
            },
            refusal = evicted => refusal,
            () = time::sleep_until(self.deadline()) => Refusal::Silent,
        };
        if refusal == Refusal::Evicted && has_spoken(stream) {
            // Then it is another one's turn to go.
            drop(silence);
            self.pending.evict();
            return Ok(());
        }
        Err(refusal)
    }

    /// Speaks HTTP until the connection is upgraded, refused or done.
    async fn converse(mut self, stream: TcpStream) {
        let tap = Tap::default();
        let site = Arc::clone(&self.pending.site);
        let reception = Reception::new(site, self.peer, self.arrival.take(), tap.clone());
        let mut connection =
            self.pending.site.http.serve_connection(Wire::new(stream, tap), reception);
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
        let end = time::timeout_at(self.deadline(), conversation).await;

        let parts = connection.into_parts();
        let is_mid_answer = parts.io.is_mid_answer();
        let (stream, held) = parts.io.into_parts();
        let has_rest = !parts.read_buf.is_empty();
        match (parts.service.into_outcome(), end) {
            (Outcome::Accepted(accepted), Ok(Ok(()))) => {
                let leftover = if has_rest { parts.read_buf } else { Bytes::new() };
                self.hand_over(stream, *accepted, held, leftover).await;
            }
            (Outcome::Accepted(_) | Outcome::Refused, _) => linger::close(stream, None).await,
            (outcome, end) => {
                let is_first = matches!(outcome, Outcome::Nothing);
                let refusal = verdict(&end, is_first || has_rest || is_mid_answer);
                if let Some(refusal) = refusal {
                    self.count(refusal);
                }
                let last_words = refusal.filter(|_| !is_mid_answer).and_then(Refusal::bytes);
                linger::close(stream, last_words).await;
            }
        }
    }

    async fn hand_over(
        self,
        stream: TcpStream,
        accepted: Accepted,
        response: Vec<u8>,
        leftover: Bytes,
    ) {
        let Ok(stream) = stream.into_std() else { return self.count(Refusal::Lost) };
        let Accepted { route, request, admission, place } = accepted;
        let elapsed = self.accepted.elapsed();
        let adopt = Adopt { stream, response, leftover, route, request, place };
        match (self.pending.adopt)(Box::new(adopt)) {
            Ok(()) => {
                admission.keep();
                self.pending.site.duration.record(elapsed);
            }
            Err(adopt) => {
                let stream = adopt.stream;
                drop(admission);
                self.count(Refusal::ShardBusy);
                if let Ok(stream) = TcpStream::from_std(stream) {
                    linger::close(stream, Refusal::ShardBusy.bytes()).await;
                }
            }
        }
    }
}

/// Whether the peer's first byte is there: the kernel knows before a task is told.
fn has_spoken(stream: &TcpStream) -> bool {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]).is_ok_and(|bytes| bytes > 0)
}

/// Why a connection ended that was neither upgraded nor refused; `None` for one that had its pages and left, or idled
/// until the deadline.
fn verdict(
    end: &Result<hyper::Result<()>, time::error::Elapsed>,
    was_busy: bool,
) -> Option<Refusal> {
    match end {
        Ok(Err(error)) if error.is_parse_too_large() => Some(Refusal::HeaderTooLarge),
        Ok(Err(error)) if error.is_parse() => Some(Refusal::Malformed),
        Ok(_) => was_busy.then_some(Refusal::Lost),
        Err(_) => was_busy.then_some(Refusal::Timeout),
    }
}
