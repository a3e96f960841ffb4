//! The fan-out between shards: who has members of a room, and the mailboxes that take their frames there.
//!
//! A shard appends what its sessions publish to its [`outgoing`] batches, one per target shard, and sends them at the
//! end of its turn. Nothing here waits for a shard, and no frame that was accepted is dropped in silence: each queue
//! of a [`mailbox`] says what happens when it is full.

pub(crate) mod directory;
pub(crate) mod doorbell;
pub(crate) mod mailbox;
pub(crate) mod outgoing;
pub(crate) mod placement;
pub(crate) mod shard_set;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::hub::directory::Directory;
use crate::hub::mailbox::{Port, Request};
use crate::hub::placement::Placement;
use crate::protocol::{Close, SessionId};
use crate::shard::Adopt;

/// What every shard and every handle shares.
pub(crate) struct Hub {
    pub(crate) directory: Directory,
    pub(crate) ports: Box<[Arc<Port>]>,
    pub(crate) placement: Placement,
    /// The time to stop in is over: shards end without waiting for anybody.
    pub(crate) abandoned: AtomicBool,
}

impl Hub {
    /// Hands an upgraded connection to the shard that is to have it, `own` being the one that accepted it. Where that
    /// shard has too many to take already `own` gets it, and where both have it comes back.
    pub(crate) fn adopt(&self, own: usize, adopt: Box<Adopt>) -> Result<(), Box<Adopt>> {
        let wanted = self.placement.take(own);
        let Err(adopt) = self.ports[wanted].adopt(adopt) else { return Ok(()) };
        self.placement.release(wanted);
        if wanted == own {
            return Err(adopt);
        }
        self.placement.take_on(own);
        self.ports[own].adopt(adopt).inspect_err(|_| self.placement.release(own))
    }

    /// Queues a frame for one session; false when its shard is busy.
    pub(crate) fn send(&self, session: SessionId, frame: Vec<u8>) -> bool {
        self.request(session.shard(), Request::Send { session, frame })
    }

    /// Queues the end of a session; false when its shard is busy.
    pub(crate) fn close(&self, session: SessionId, close: Close) -> bool {
        self.request(session.shard(), Request::Close { session, close })
    }

    /// Queues a frame for a room; false when the shard that hands it on is busy. One shard does so for a room, that
    /// what one task publishes to it arrives in order everywhere and is taken whole or not at all.
    pub(crate) fn publish(
        &self,
        route: usize,
        room: &str,
        except: Option<SessionId>,
        frame: Vec<u8>,
    ) -> bool {
        let Some(entry) = self.directory.find(route, room) else { return true };
        let home = usize::try_from(entry.id).unwrap_or_default() % self.ports.len();
        self.request(home, Request::Publish { route, room: room.into(), except, frame })
    }

    fn request(&self, shard: usize, request: Request) -> bool {
        self.ports.get(shard).is_none_or(|port| port.request(request))
    }
}
