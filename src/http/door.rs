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
    http::{handshake, site::Site},
    shard::Adopt,
};

/// Handshakes in flight, by shard.
const PENDING_METRIC: &str = "uproar_handshakes_pending";

/// Gives an upgraded connection to its shard, or gets it back where the shard takes no more.
pub type AdoptFn = Arc<dyn Fn(Adopt) -> Result<(), Adopt> + Send + Sync>;

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
    gauge: metrics::Gauge,
}

impl Door {
    /// The door of shard number `shard`; `adopt` hands its sessions over, `room` is called when a full door has room
    /// again, so that the shard goes on accepting.
    #[must_use]
    pub fn new(site: Arc<Site>, shard: usize, adopt: AdoptFn, room: RoomFn) -> Self {
        metrics::describe_gauge!(
            PENDING_METRIC,
            "Connections accepted and neither adopted nor refused yet"
        );
        Self(Arc::new(Frame {
            site,
            adopt,
            room,
            pending: AtomicUsize::new(0),
            silent: AtomicUsize::new(0),
            eviction: Notify::new(),
            gauge: metrics::gauge!(PENDING_METRIC, "shard" => shard.to_string()),
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

    /// Whether `pending_handshakes_max` handshakes are in flight, so that the next accept has to wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// How many handshakes are in flight: a server that stops waits until there are none.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.pending.load(Ordering::Relaxed)
    }

    /// Asks the oldest connection that has sent nothing yet to go, if the door is full and there is one.
    pub fn evict(&self) {
        if self.0.silent.load(Ordering::Relaxed) > 0 {
            self.0.eviction.notify_one();
        }
    }
}

impl Frame {
    fn is_full(&self) -> bool {
        self.pending.load(Ordering::Relaxed) >= self.site.limits.pending_handshakes_max
    }

    /// Resolves once the connection that waits here is to make room. Waiters are asked in the order they came.
    pub(super) async fn evicted(&self) {
        loop {
            self.eviction.notified().await;
            // A call that found nobody is kept for the next to come, who may find the door wide open.
            if self.is_full() {
                return;
            }
        }
    }
}

/// One handshake in flight, until dropped.
pub(super) struct Pending(Arc<Frame>);

impl Pending {
    fn new(frame: &Arc<Frame>) -> Self {
        frame.pending.fetch_add(1, Ordering::Relaxed);
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
        if before == self.site.limits.pending_handshakes_max {
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
