//! What one shard has for the others: at most one batch per target, sent at the end of the turn.

use std::sync::Arc;
use std::time::Instant;

use crate::hub::mailbox::{Batch, Part, Port};
use crate::protocol::SessionId;

/// Memory kept in batches that came from other shards, for the next ones that go to them.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// One pending batch per target shard, and who waits for which target.
pub(crate) struct Outgoing {
    shard: usize,
    ports: Box<[Arc<Port>]>,
    targets: Box<[Target]>,
    /// Targets whose mailbox turned a batch away.
    blocked: usize,
    /// Empty batches. Shards that talk to one another hand the same memory to and fro.
    spare: Vec<Batch>,
    spare_bytes: usize,
}

#[derive(Default)]
struct Target {
    batch: Option<Batch>,
    blocked: bool,
    /// Sessions, by slot, that are not read until this target takes its batch.
    paused: Vec<u32>,
}

/// What sending the pending batches came to.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Mailboxes that took a batch.
    pub(crate) sent: u64,
    /// Mailboxes that were found full.
    pub(crate) full: u64,
}

impl Outgoing {
    pub(crate) fn new(shard: usize, ports: Box<[Arc<Port>]>) -> Self {
        let targets = ports.iter().map(|_| Target::default()).collect();
        Self { shard, ports, targets, blocked: 0, spare: Vec::new(), spare_bytes: 0 }
    }

    /// Adds a whole frame for everyone in a room, but for one session if named, to the batch for `target`. True when
    /// that target's mailbox was full the last time: whoever published must then be [paused](Self::pause).
    pub(crate) fn append(
        &mut self,
        target: usize,
        room: u64,
        frame: &[u8],
        except: Option<SessionId>,
        read_at: Instant,
    ) -> bool {
        let except = except.filter(|session| session.shard() == target);
        let target = &mut self.targets[target];
        let batch = match &mut target.batch {
            Some(batch) => batch,
            none => none.insert(match self.spare.pop() {
                Some(spare) => {
                    self.spare_bytes -= spare.memory();
                    Batch { read_at, ..spare }
                }
                None => Batch::new(read_at),
            }),
        };
        batch.bytes.extend_from_slice(frame);
        let end = batch.bytes.len();
        match batch.parts.last_mut() {
            Some(part) if part.room == room && part.except == except => {
                part.end = end;
                part.frames += 1;
            }
            _ => batch.parts.push(Part { room, end, frames: 1, except }),
        }
        target.blocked
    }

    /// Takes the memory of a batch that came from another shard.
    pub(crate) fn recycle(&mut self, mut batch: Batch) {
        let spare_bytes = self.spare_bytes + batch.memory();
        if spare_bytes <= SPARE_BYTES_MAX && self.spare.len() < self.targets.len() {
            batch.bytes.clear();
            batch.parts.clear();
            self.spare_bytes = spare_bytes;
            self.spare.push(batch);
        }
    }

    /// Remembers a session that is not read until every target it published to has taken its batch.
    pub(crate) fn pause(&mut self, target: usize, slot: u32) {
        self.targets[target].paused.push(slot);
    }

    /// True while some target's mailbox is full.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// Sends what is pending, one batch per target. Sessions whose target took its batch are added to `resumed`.
    pub(crate) fn send(&mut self, now: Instant, resumed: &mut Vec<u32>) -> Sent {
        let mut sent = Sent::default();
        for (index, target) in self.targets.iter_mut().enumerate() {
            let Some(mut batch) = target.batch.take() else { continue };
            batch.sent_at = now;
            match self.ports[index].batch(self.shard, batch) {
                Ok(()) => {
                    sent.sent += 1;
                    self.blocked -= usize::from(target.blocked);
                    target.blocked = false;
                    resumed.append(&mut target.paused);
                }
                Err(batch) => {
                    sent.full += 1;
                    self.blocked += usize::from(!target.blocked);
                    target.blocked = true;
                    target.batch = Some(batch);
                }
            }
        }
        sent
    }
}
