//! What is to be done about a user, on every shard: taken everywhere or nowhere, and never lost.
//!
//! An order holds one of a fixed number of places from when it is given until the last shard has carried it out; each
//! shard's mailbox has a slot for every one of them. So there is room for an order wherever it goes, or it is not given.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::protocol::{Close, SessionId};

/// Orders that are on their way at once.
pub(crate) const ORDERS_MAX: usize = 256;

/// Something to be done by each shard.
pub(crate) struct Order {
    pub(crate) what: What,
    _place: Place,
}

/// What it is.
pub(crate) enum What {
    /// The end of a user's sessions; what is queued for them is let go.
    Remove { user: Arc<str>, close: Close },
    /// Whether these users may say something has changed: the table of [`Standings`](crate::gate::standing) knows how. Two
    /// such orders that reach two shards in different orders come to the same.
    Mute(Vec<Arc<str>>),
    /// A user's sessions; each shard sends its own.
    Find { user: Arc<str>, found: Sender<Vec<SessionId>> },
}

/// Room for an order on all shards.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Gives out the places.
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ORDERS_MAX)))
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }
}

impl Order {
    pub(crate) fn new(what: What, place: Place) -> Arc<Self> {
        Arc::new(Self { what, _place: place })
    }
}
