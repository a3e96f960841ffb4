//! A shard's inbox: three bounded queues, one for each answer to "what if it is full?", and the bell that wakes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;
use tokio::sync::oneshot;

use crate::gate::verify::Verified;
use crate::hub::doorbell::Doorbell;
use crate::hub::orders::{ORDERS_MAX, Order};
use crate::hub::shard_set::ShardSet;
use crate::log::{Delivery, Found};
use crate::protocol::{Close, SessionId};
use crate::rooms::presence::Note;
use crate::shard::Adopt;

/// From the control plane. Its queue is apart from all others, so that a crowd of messages cannot fill it.
pub(crate) enum Control {
    /// Lost: the connection is answered 503 and counted, by the sender.
    Adopt(Box<Adopt>),
    /// Never lost: there is a slot for every order that can be on its way.
    Order(Arc<Order>),
    /// Never lost: whoever verifies waits for a slot, and the session waits for that.
    Verified(Box<Verified>),
    /// Never lost: nothing else fills more than the slots that it may take, and one is kept free for this.
    Stop,
}

/// From other shards: the frames of one turn, whole frames as they go over the wire, and its notes.
/// Never lost: a sender keeps its batch while this queue is full and stops reading its publishers.
pub(crate) struct Batch {
    /// Frames of all parts, end to end.
    pub(crate) bytes: Vec<u8>,
    /// Whose they are.
    pub(crate) parts: Vec<Part>,
    /// What the shard has to say of who is in which room.
    pub(crate) notes: Vec<Note>,
    /// When the first of the frames was read from its socket.
    pub(crate) read_at: Instant,
    /// When the batch was put in the queue.
    pub(crate) sent_at: Instant,
}

impl Batch {
    /// An empty one, its first frame read at `read_at`.
    pub(crate) fn new(read_at: Instant) -> Self {
        let (bytes, parts, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes, parts, notes, read_at, sent_at: read_at }
    }

    /// What it takes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.parts.capacity() * size_of::<Part>()
            + self.notes.capacity() * size_of::<Note>()
    }
}

/// Some neighbouring frames of a batch that are for one room.
pub(crate) struct Part {
    /// The room's id in the directory.
    pub(crate) room: u64,
    /// Where in the batch's bytes this part ends; it begins where the one before ends.
    pub(crate) end: usize,
    /// How many frames it holds.
    pub(crate) frames: u32,
    /// A session of the receiving shard that they are not for.
    pub(crate) except: Option<SessionId>,
}

/// From tasks that act on sessions and rooms through a handle.
/// Lost: never silently; the caller is told that the shard is busy.
pub(crate) enum Request {
    /// A whole frame for one session.
    Send { session: SessionId, frame: Vec<u8> },
    /// A whole frame for everyone in a room, on all shards, but for one session.
    Publish { route: usize, room: String, except: Option<SessionId>, frame: Vec<u8> },
    /// The end of a session.
    Close { session: SessionId, close: Close },
    /// Who is in a room, as its members are told; nobody where the shard does not know it.
    Members { route: usize, room: String, told: oneshot::Sender<Option<String>> },
}

/// How much each queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) adoptions: usize,
    pub(crate) batches: usize,
    pub(crate) deliveries: usize,
    pub(crate) found: usize,
    pub(crate) requests: usize,
}

/// Slots for control that adoptions and answers may not take: for every order, for the stop, and for the threads that
/// found the last free slot at the same moment, of which there are as many as the control runtime has.
const RESERVED: usize = ORDERS_MAX + 1 + 15;

/// The senders' end, shared by everyone on the node.
pub(crate) struct Port {
    control: Sender<Control>,
    batches: Sender<Batch>,
    deliveries: Sender<Delivery>,
    found: Sender<Found>,
    requests: Sender<Request>,
    requests_refused: AtomicU64,
    doorbell: Doorbell,
    waker: Waker,
    /// Shards that found `batches` full and sleep until there is room.
    waiting: ShardSet,
}

/// The receiving end, owned by the shard.
pub(crate) struct Mailbox {
    pub(crate) control: Receiver<Control>,
    pub(crate) batches: Receiver<Batch>,
    /// From the log, whose writer never waits: it keeps what does not fit in short.
    pub(crate) deliveries: Receiver<Delivery>,
    /// From the log's readers: has room for every read that the shard may have asked for.
    pub(crate) found: Receiver<Found>,
    pub(crate) requests: Receiver<Request>,
    port: Arc<Port>,
}

/// Makes both ends. `waker` must wake the poll that the receiver waits in.
pub(crate) fn mailbox(capacity: Capacity, waker: Waker) -> (Arc<Port>, Mailbox) {
    // Slots that adoptions may not take, for the orders and for the stop.
    let (control, control_end) = bounded(capacity.adoptions + RESERVED);
    let (batches, batches_end) = bounded(capacity.batches);
    let (deliveries, deliveries_end) = bounded(capacity.deliveries);
    let (found, found_end) = bounded(capacity.found);
    let (requests, requests_end) = bounded(capacity.requests);
    let (doorbell, waiting) = (Doorbell::new(), ShardSet::default());
    let requests_refused = AtomicU64::new(0);
    let port = Arc::new(Port {
        control,
        batches,
        deliveries,
        found,
        requests,
        requests_refused,
        doorbell,
        waker,
        waiting,
    });
    let (control, batches, requests) = (control_end, batches_end, requests_end);
    let (deliveries, found) = (deliveries_end, found_end);
    (port.clone(), Mailbox { control, batches, deliveries, found, requests, port })
}

impl Port {
    /// Hands a connection over, or gives it back when the shard has too many to take already.
    pub(crate) fn adopt(&self, adopt: Box<Adopt>) -> Result<(), Box<Adopt>> {
        if !self.takes_more() {
            return Err(adopt);
        }
        match self.control.try_send(Control::Adopt(adopt)) {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(
                TrySendError::Full(Control::Adopt(adopt))
                | TrySendError::Disconnected(Control::Adopt(adopt)),
            ) => Err(adopt),
            Err(_) => unreachable!("an adoption comes back as an adoption"),
        }
    }

    /// Whether slots are left beside those that are reserved.
    fn takes_more(&self) -> bool {
        self.control.len() + RESERVED < self.control.capacity().unwrap_or(usize::MAX)
    }

    /// Queues an order, for which there is a slot.
    pub(crate) fn order(&self, order: Arc<Order>) {
        // A shard that is gone has nobody to do it to.
        if let Err(TrySendError::Full(_)) = self.control.try_send(Control::Order(order)) {
            tracing::error!("a shard's mailbox had no slot for an order");
        }
        self.ring();
    }

    /// Queues what a token was found to be, or gives it back where the shard has too much to take already.
    pub(crate) fn verified(&self, verified: Box<Verified>) -> Result<(), Box<Verified>> {
        if !self.takes_more() {
            return Err(verified);
        }
        match self.control.try_send(Control::Verified(verified)) {
            Err(TrySendError::Full(Control::Verified(verified))) => return Err(verified),
            // A shard that is gone has no session that waits.
            Ok(()) | Err(_) => self.ring(),
        }
        Ok(())
    }

    /// Tells the shard to stop. Waits for a slot if it must: for the control plane only.
    pub(crate) fn stop(&self, deadline: Instant) {
        // A shard that is gone has stopped, and one that takes nothing until then is abandoned anyway.
        let _ = self.control.send_deadline(Control::Stop, deadline);
        self.ring();
    }

    /// Queues a batch, or gives it back when the mailbox is full; then `from` is woken once there is room.
    pub(crate) fn batch(&self, from: usize, batch: Batch) -> Result<(), Batch> {
        let Err(batch) = self.try_batch(batch) else { return Ok(()) };
        self.waiting.insert(from);
        // Again, because the receiver may have made room before it could know that somebody waits.
        self.try_batch(batch)
    }

    fn try_batch(&self, batch: Batch) -> Result<(), Batch> {
        match self.batches.try_send(batch) {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => Err(batch),
        }
    }

    /// Queues what the log stored, or gives it back when the mailbox is full.
    pub(crate) fn deliver(&self, delivery: Delivery) -> Result<(), Delivery> {
        match self.deliveries.try_send(delivery) {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(TrySendError::Full(delivery)) => Err(delivery),
            // A shard that is gone has nobody to tell.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Queues what was read from the log.
    pub(crate) fn found(&self, found: Found) {
        // There is room for it, or the shard is gone.
        let _ = self.found.try_send(found);
        self.ring();
    }

    /// Queues a request; false when the shard is busy or gone.
    pub(crate) fn request(&self, request: Request) -> bool {
        let queued = self.requests.try_send(request).is_ok();
        if queued {
            self.ring();
        } else {
            self.requests_refused.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    /// Requests turned away so far.
    pub(crate) fn requests_refused(&self) -> u64 {
        self.requests_refused.load(Ordering::Relaxed)
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn ring(&self) {
        if self.doorbell.ring() {
            self.wake();
        }
    }

    /// Wakes the shard whether it sleeps or not.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            report(&error);
        }
    }
}

// The eventfd behind a waker cannot fail to be written but for a broken process.
fn report(error: &io::Error) {
    tracing::error!(%error, "a shard could not be woken");
}

impl Mailbox {
    /// Before waiting: afterwards the queues must be looked at once more.
    pub(crate) fn arm(&self) {
        self.port.doorbell.arm();
    }

    /// After waiting.
    pub(crate) fn disarm(&self) {
        self.port.doorbell.disarm();
    }

    /// The shards that were turned away by a full queue and must be woken, now that there is room.
    pub(crate) fn take_waiting(&self) -> impl Iterator<Item = usize> + use<> {
        self.port.waiting.take()
    }
}
