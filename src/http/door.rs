//! A shard's door: takes accepted connections off the shard's hands and gives sessions-to-be back.

use std::{
    net::{SocketAddr, TcpStream},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    http::{handshake, readiness::Phase, refusal::Refusal, site::Site},
    metrics::HANDSHAKES_PENDING,
    shard::Adopt,
};

/// Gives an upgraded connection to its shard, or gets it back where the shard takes no more.
pub type AdoptFn = Arc<dyn Fn(Box<Adopt>) -> Result<(), Box<Adopt>> + Send + Sync>;

/// Tells a shard that its door is no longer full; called from any thread, so it should do no more than wake.
pub type RoomFn = Arc<dyn Fn() + Send + Sync>;

/// One shard's side of the control plane.
pub struct Door(Arc<Frame>);

/// What a door and the handshakes behind it share.
pub(super) struct Frame {
    pub(super) site: Arc<Site>,
    pub(super) adopt: AdoptFn,
    room: RoomFn,
    pending: AtomicUsize,
    /// Those of the pending that have sent nothing yet.
    silent: AtomicUsize,
    eviction: Notify,
    closing: Notify,
    gauge: metrics::Gauge,
}

impl Door {
    /// The door of shard number `shard`; `adopt` hands its sessions over, `room` is called when a full door has room
    /// again, so that the shard goes on accepting.
    #[must_use]
    pub fn new(site: Arc<Site>, shard: usize, adopt: AdoptFn, room: RoomFn) -> Self {
        Self(Arc::new(Frame {
            site,
            adopt,
            room,
            pending: AtomicUsize::new(0),
            silent: AtomicUsize::new(0),
            eviction: Notify::new(),
            closing: Notify::new(),
            gauge: metrics::gauge!(HANDSHAKES_PENDING, "shard" => shard.to_string()),
        }))
    }

    /// Takes a connection that was just accepted; `stream` must be non-blocking. Never blocks: everything that
    /// follows happens on the control runtime.
    pub fn knock(&self, stream: TcpStream, peer: SocketAddr) {
        self.0.site.runtime.spawn(self.visit(stream, peer));
    }

    /// What [`knock`](Self::knock) spawns.
    pub(super) fn visit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + use<> {
        handshake::run(Pending::new(&self.0), stream, peer, Instant::now())
    }

    /// Whether `pending_handshakes_max` handshakes are in flight, or as many sockets are open as may be, so that the
    /// next accept has to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// How many handshakes are in flight behind all doors: a shard that stops waits until there are none, because
    /// each of them may end with a session for it.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.site.connections.pending()
    }

    /// Sends away who is behind the door without a request, now that the server is draining; who has begun one is
    /// answered.
    pub fn close(&self) {
        self.0.closing.notify_waiters();
        self.0.eviction.notify_waiters();
    }

    /// Asks the oldest connection that has sent nothing yet to go, if the door is full and there is one.
    pub fn evict(&self) {
        self.0.evict();
    }
}

impl Frame {
    fn is_full(&self) -> bool {
        self.pending.load(Ordering::Relaxed) >= self.site.limits.pending_handshakes_max
            || self.site.connections.is_crowded()
    }

    /// Asks the oldest connection that has sent nothing yet to go, if there is one.
    pub(super) fn evict(&self) {
        if self.silent.load(Ordering::Relaxed) > 0 {
            self.eviction.notify_one();
        }
    }

    fn is_closing(&self) -> bool {
        self.site.readiness.phase() == Phase::Draining
    }

    /// Resolves once the connection that waits here is to go, to make room or because the server stops. To make room
    /// waiters are asked in the order they came.
    pub(super) async fn evicted(&self) -> Refusal {
        loop {
            // Before the look, so that a door that closes behind it is noticed.
            let notified = self.eviction.notified();
            if self.is_closing() {
                return Refusal::Draining;
            }
            notified.await;
            // A call that found nobody is kept for the next to come, who may find the door wide open.
            if self.is_full() && !self.is_closing() {
                return Refusal::Evicted;
            }
        }
    }

    /// Resolves once the server drains.
    pub(super) async fn closing(&self) {
        let notified = self.closing.notified();
        if !self.is_closing() {
            notified.await;
        }
    }
}

/// One handshake in flight, until dropped.
pub(super) struct Pending(Arc<Frame>);

impl Pending {
    fn new(frame: &Arc<Frame>) -> Self {
        frame.pending.fetch_add(1, Ordering::Relaxed);
        frame.site.connections.begin();
        frame.gauge.increment(1.0);
        Self(Arc::clone(frame))
    }

    /// Counts the connection as silent until dropped.
    pub(super) fn silence(&self) -> Silence<'_> {
        self.silent.fetch_add(1, Ordering::Relaxed);
        Silence(&self.0)
    }
}

impl Deref for Pending {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
        let before = self.pending.fetch_sub(1, Ordering::Relaxed);
        let was_crowded = self.site.connections.end();
        if before == self.site.limits.pending_handshakes_max || was_crowded {
            (self.room)();
        }
    }
}

/// One connection that has sent nothing yet.
pub(super) struct Silence<'a>(&'a Frame);

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.0.silent.fetch_sub(1, Ordering::Relaxed);
    }
}
