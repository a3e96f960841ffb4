//! What one shard has for the others: at most one batch per target, sent at the end of the turn.

use std::sync::Arc;
use std::time::Instant;

use crate::hub::mailbox::{Batch, Part, Port};
use crate::protocol::SessionId;
use crate::rooms::presence::Note;

/// Memory kept in batches that came from other shards, for the next ones that go to them.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// Notes that may wait in one batch, as messages count: many turns' worth of joins and leaves.
const NOTES_MAX: usize = 16 * 1024;

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
    /// What the notes in the batch count for.
    notes: usize,
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
        let (batch, blocked) = self.batch(target, read_at);
        batch.bytes.extend_from_slice(frame);
        let end = batch.bytes.len();
        match batch.parts.last_mut() {
            Some(part) if part.room == room && part.except == except => {
                part.end = end;
                part.frames += 1;
            }
            _ => batch.parts.push(Part { room, end, frames: 1, except }),
        }
        blocked
    }

    /// Adds a note to the batch for `target`.
    pub(crate) fn append_note(&mut self, target: usize, note: Note, now: Instant) {
        self.targets[target].notes += note.cost();
        self.batch(target, now).0.notes.push(note);
    }

    /// Whether there is room for notes to `target`. There is, unless its mailbox has been full for some time.
    pub(crate) fn takes_notes(&self, target: usize) -> bool {
        self.targets[target].notes < NOTES_MAX
    }

    /// Whether there is room for notes to every target. Where there is none the mailbox is full, and says when it is not.
    pub(crate) fn has_room_for_notes(&self) -> bool {
        (0..self.targets.len()).all(|target| self.takes_notes(target))
    }

    /// The batch for `target`, and whether it was turned away the last time.
    fn batch(&mut self, target: usize, read_at: Instant) -> (&mut Batch, bool) {
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
        (batch, target.blocked)
    }

    /// Takes the memory of a batch that came from another shard.
    pub(crate) fn recycle(&mut self, mut batch: Batch) {
        let spare_bytes = self.spare_bytes + batch.memory();
        if spare_bytes <= SPARE_BYTES_MAX && self.spare.len() < self.targets.len() {
            batch.bytes.clear();
            batch.parts.clear();
            batch.notes.clear();
            self.spare_bytes = spare_bytes;
            self.spare.push(batch);
        }
    }

    /// Remembers a session that is not read until every target it published to has taken its batch.
    pub(crate) fn pause(&mut self, target: usize, slot: u32) {
        self.targets[target].paused.push(slot);
    }

    /// True while this target's mailbox is full.
    pub(crate) fn is_blocked_at(&self, target: usize) -> bool {
        self.targets[target].blocked
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
                    target.notes = 0;
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

#[cfg(all(test, not(uproar_loom)))]
mod tests {
    use mio::{Poll, Waker};

    use super::*;
    use crate::hub::mailbox::{Capacity, mailbox};

    /// Notes of one batch after another arrive in order, and while nothing is taken they are no more than that.
    #[test]
    fn notes_wait_for_a_full_mailbox_up_to_a_bound() {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), crate::shard::WAKER).expect("a waker");
        let (port, mailbox) = mailbox(
            Capacity { adoptions: 1, batches: 1, deliveries: 1, found: 1, requests: 1 },
            waker,
        );
        let mut outgoing = Outgoing::new(0, [port].into());
        let (now, mut sent) = (Instant::now(), 0..);
        let mut say = |outgoing: &mut Outgoing| {
            let events = Vec::new().into();
            let room = sent.next().expect("a number");
            outgoing.append_note(0, Note::Events { room, heard: 0, events }, now);
        };
        say(&mut outgoing);
        assert_eq!(outgoing.send(now, &mut Vec::new()).sent, 1);
        while outgoing.takes_notes(0) {
            say(&mut outgoing);
            assert_eq!(outgoing.send(now, &mut Vec::new()).full, 1);
        }
        let mut heard = Vec::new();
        while let Ok(batch) = mailbox.batches.try_recv() {
            heard.extend(batch.notes.iter().map(|note| match note {
                Note::Events { room, .. } => *room,
                _ => panic!("another note"),
            }));
            outgoing.recycle(batch);
            outgoing.send(now, &mut Vec::new());
        }
        assert!(outgoing.takes_notes(0));
        assert_eq!(heard, (0..=NOTES_MAX as u64).collect::<Vec<_>>());
        say(&mut outgoing);
        outgoing.send(now, &mut Vec::new());
        assert_eq!(mailbox.batches.try_recv().map(|batch| batch.notes.len()), Ok(1));
    }
}
