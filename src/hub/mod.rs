//! The fan-out between shards: who has members of a room, and the mailboxes that take their frames there.
//!
//! A shard appends what its sessions publish to its [`outgoing`] batches, one per target shard, and sends them at the
//! end of its turn. Nothing here waits for a shard, and no frame that was accepted is dropped in silence: each queue
//! of a [`mailbox`] says what happens when it is full.

pub(crate) mod directory;
pub(crate) mod doorbell;
pub(crate) mod mailbox;
pub(crate) mod orders;
pub(crate) mod outgoing;
pub(crate) mod outlet;
pub(crate) mod placement;
pub(crate) mod shard_set;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::gate::standing::Standings;
use crate::gate::users::Users;
use crate::hub::directory::Directory;
use crate::hub::mailbox::{Port, Request};
use crate::hub::orders::Places;
use crate::hub::placement::Placement;
use crate::protocol::{Close, SessionId};
use crate::shard::Adopt;

/// What every shard and every handle shares.
pub(crate) struct Hub {
    pub(crate) directory: Directory,
    pub(crate) ports: Box<[Arc<Port>]>,
    pub(crate) placement: Placement,
    /// Sessions of each authenticated user.
    pub(crate) users: Arc<Users>,
    /// Who may not come in, or say nothing.
    pub(crate) standings: Arc<Standings>,
    /// Room for what is to be done about users.
    pub(crate) places: Places,
    /// The time to stop in is over: shards end without waiting for anybody.
    pub(crate) abandoned: AtomicBool,
}

impl Hub {
    /// One with nobody on it.
    pub(crate) fn new(directory: Directory, ports: Box<[Arc<Port>]>) -> Self {
        Self {
            directory,
            placement: Placement::new(ports.len()),
            ports,
            users: Arc::default(),
            standings: Arc::new(Standings::new()),
            places: Places::new(),
            abandoned: AtomicBool::new(false),
        }
    }

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

#[cfg(test)]
#[cfg(not(uproar_loom))]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use hyper::{HeaderMap, Uri};
    use mio::{Poll, Waker};

    use super::*;
    use crate::hub::mailbox::{Capacity, Mailbox, mailbox};
    use crate::protocol;

    /// A hub whose shards take one adoption each.
    fn hub(shards: usize) -> (Hub, Vec<(Poll, Mailbox)>) {
        let capacity = Capacity { adoptions: 1, batches: 1, deliveries: 1, found: 1, requests: 1 };
        let one = || {
            let poll = Poll::new().expect("a poll");
            let waker = Waker::new(poll.registry(), crate::shard::WAKER).expect("a waker");
            let (port, mailbox) = mailbox(capacity, waker);
            (port, (poll, mailbox))
        };
        let (ports, ends): (Vec<_>, Vec<_>) = (0..shards).map(|_| one()).unzip();
        (Hub::new(Directory::new(1), ports.into()), ends)
    }

    fn upgraded() -> Box<Adopt> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        Box::new(Adopt {
            stream: TcpStream::connect(address).expect("it listens"),
            channel: None,
            response: Vec::new(),
            leftover: bytes::Bytes::new(),
            route: 0,
            request: protocol::Request {
                uri: Uri::default(),
                headers: HeaderMap::new(),
                address: SocketAddr::from(([127, 0, 0, 1], 1)),
                room: None,
                access: None,
            },
            place: None,
        })
    }

    #[test]
    fn a_connection_that_no_shard_takes_comes_back_and_counts_nowhere() {
        let (hub, ends) = hub(3);
        let waiting =
            || -> Vec<usize> { ends.iter().map(|(_, mailbox)| mailbox.control.len()).collect() };
        // Three sessions more on the own shard than on any other, and every mailbox empty.
        (0..3).for_each(|_| hub.placement.take_on(0));
        assert!(hub.adopt(0, upgraded()).is_ok());
        assert!(hub.adopt(0, upgraded()).is_ok());
        assert_eq!(waiting(), [0, 1, 1]);
        // The fewest are where nothing more is taken: the own shard does.
        assert!(hub.adopt(0, upgraded()).is_ok());
        assert_eq!(waiting(), [1, 1, 1]);
        assert!(hub.adopt(0, upgraded()).is_err());
        // The own shard is asked once.
        assert!(hub.adopt(1, upgraded()).is_err());
        assert_eq!(hub.placement.counts(), [4, 1, 1]);
    }
}
