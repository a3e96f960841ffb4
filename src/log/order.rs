//! What the writer is handed, in the order in which it is to be done: drafts to be stored, and orders to remove
//! something, which it does step by step between batches.

use tokio::sync::oneshot;

use crate::log::Submission;
use crate::log::engine::{Keeping, Unavailable};
use crate::log::removal::{Errand, Removal};

/// One thing to do.
pub(super) enum Work {
    Drafts(Submission),
    Order(Order),
}

/// Something to remove, and who is to hear when it is gone. Whoever that is may have left; it is done all the same.
pub(crate) struct Order {
    pub(crate) removal: Removal,
    pub(crate) told: oneshot::Sender<Result<usize, Unavailable>>,
}

/// An order that was begun.
pub(super) struct Underway {
    told: oneshot::Sender<Result<usize, Unavailable>>,
    /// Messages that are gone so far.
    removed: usize,
    /// What is left of it, by engine.
    pub(super) errands: Vec<(Keeping, Errand)>,
}

impl Underway {
    /// In every engine: one that does not keep a conversation any more may still have some of it.
    pub(super) fn new(order: Order) -> Self {
        let Order { removal, told } = order;
        let errands = [Keeping::Memory, Keeping::Durable];
        let errands = errands.map(|keeping| (keeping, Errand::new(removal.clone())));
        Self { told, removed: 0, errands: errands.into() }
    }

    pub(super) fn add(&mut self, removed: usize) {
        self.removed += removed;
    }

    /// Tells what became of it.
    pub(super) fn end(self, result: Result<(), Unavailable>) {
        let _ = self.told.send(result.map(|()| self.removed));
    }
}
