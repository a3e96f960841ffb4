//! Where the log's work goes in a server: to the mailboxes of the shards that have somebody to tell, and to
//! the desk of those who ask from elsewhere.

use std::sync::Arc;

use crate::hub::Hub;
use crate::hub::shard_set::ShardSet;
use crate::log::client::{DESK, Desk};
use crate::log::removal::Removal;
use crate::log::{Delivery, Found, Message, Outlet};
use crate::rooms::conversation::{Conversation, View, inbox};
use crate::webhooks::Tap;

/// The shards as the log knows them.
pub(crate) struct Shards {
    pub(crate) hub: Arc<Hub>,
    /// The chat's position among the routes, whose rooms the views are.
    pub(crate) route: usize,
    /// Tells the application, if it is told.
    pub(crate) tap: Option<Arc<Tap>>,
    /// Where the answers go that are no shard's.
    pub(crate) desk: Arc<Desk>,
}

impl Outlet for Shards {
    fn shards(&self, view: &View) -> Vec<usize> {
        let directory = &self.hub.directory;
        let found = ShardSet::default();
        // An end of a direct conversation is told wherever it has a session, whether or not that one has joined.
        let inbox = view.ends().map(|(owner, _)| inbox(owner));
        for name in [Some(view.name()), inbox.as_deref()].into_iter().flatten() {
            if let Some(room) = directory.find(self.route, name) {
                room.shards.iter().for_each(|shard| found.insert(shard));
            }
        }
        found.iter().collect()
    }

    fn deliver(&self, shard: usize, delivery: Delivery) -> Result<(), Delivery> {
        if shard == DESK {
            self.desk.answer(delivery.answers);
            return Ok(());
        }
        self.hub.ports[shard].deliver(delivery)
    }

    fn found(&self, shard: usize, found: Found) {
        if shard == DESK {
            return self.desk.found(found);
        }
        self.hub.ports[shard].found(found);
    }

    fn stored(&self, conversation: &Conversation, messages: &[Message]) {
        if let Some(tap) = &self.tap {
            tap.stored(conversation, messages);
        }
    }

    fn removes(&self, removal: &Removal) {
        if let Some(tap) = &self.tap {
            tap.removes(removal);
        }
    }

    fn has_room(&self, shard: usize) {
        self.hub.ports[shard].wake();
    }
}
