//! A session's place in one room: how far it is, what it has received, and whether that is what it must be.

use fastwebsockets::OpCode;

use super::audit::Faults;
use super::client_id::ClientId;
use super::plan::Plan;
use super::wire::{Joined, Message, Position};
use crate::audit::{self, Arrival, Attendance, Ledger};
use crate::message::{Header, Rejection};

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) room: u32,
    /// Whether the join of the present connection was answered.
    pub(super) joined: bool,
    epoch: Option<Box<str>>,
    /// The position of the last message.
    last: u64,
    /// Where the room was when the session came or came back: up to there messages are replayed, not live.
    live_after: u64,
    ledger: Ledger,
    /// Messages received for the first time.
    pub(super) count: u64,
    /// Of the positions and messages, in order.
    pub(super) digest: u64,
    /// Whether nothing was found wrong so far.
    pub(super) sound: bool,
}

/// A message that was received for the first time.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) header: Header,
    pub(super) id: ClientId,
    /// Whether it came as it was sent, and not because the session had been away.
    pub(super) live: bool,
}

impl Seat {
    /// A seat in that room. Whoever is `late` need not hear what was said before it came.
    pub(super) fn new(plan: &Plan, room: u32, late: bool) -> Self {
        let senders = u32::try_from(plan.room(room).senders.len()).unwrap_or(u32::MAX);
        let attendance =
            if late { Attendance::FromTheFirstHeard } else { Attendance::FromTheStart };
        Self {
            room,
            joined: false,
            epoch: None,
            last: 0,
            live_after: 0,
            ledger: Ledger::new(senders, attendance),
            count: 0,
            digest: 0,
            sound: true,
        }
    }

    /// From where to go on, once it has been there.
    pub(super) fn position(&self) -> Option<Position<'_>> {
        self.epoch.as_deref().map(|epoch| Position { epoch, seq: self.last })
    }

    /// Whether everything up to the return was replayed.
    pub(super) const fn is_live(&self) -> bool {
        self.joined && self.last >= self.live_after
    }

    /// The answer to a join came.
    pub(super) fn take_joined(&mut self, plan: &Plan, joined: &Joined<'_>, faults: &mut Faults) {
        let before = *faults;
        self.joined = true;
        self.live_after = joined.seq;
        if let Some(gap) = joined.gap {
            faults.gaps += 1;
            self.last = self.last.max(gap.to);
        }
        match &self.epoch {
            Some(epoch) if **epoch == *joined.epoch => {}
            Some(_) => {
                faults.epochs += 1;
                self.epoch = Some(joined.epoch.as_ref().into());
                self.last = joined.seq;
            }
            None => {
                self.epoch = Some(joined.epoch.as_ref().into());
                self.take_history(plan, joined, faults);
            }
        }
        self.sound &= *faults == before;
    }

    /// The latest messages before a first join. What other runs said in the room is no fault here.
    fn take_history(&mut self, plan: &Plan, joined: &Joined<'_>, faults: &mut Faults) {
        if joined.messages.len() > plan.history as usize {
            faults.foreign += 1;
        }
        self.last = joined.messages.first().map_or(joined.seq, |first| first.prev);
        for message in &joined.messages {
            let own = message.body().map(|body| plan.codec.parse(OpCode::Text, body));
            if matches!(own, Some(Ok(_) | Err(Rejection::Corrupted))) {
                self.hear(plan, message, faults);
            } else {
                self.follow(message, faults);
            }
        }
        if self.last != joined.seq {
            faults.unlinked += 1;
            self.last = joined.seq;
        }
    }

    /// A message came; gives what it says if it came for the first time.
    pub(super) fn hear(
        &mut self,
        plan: &Plan,
        message: &Message<'_>,
        faults: &mut Faults,
    ) -> Option<Arrived> {
        let before = *faults;
        let arrived = self.check(plan, message, faults);
        self.sound &= *faults == before;
        arrived
    }

    fn check(
        &mut self,
        plan: &Plan,
        message: &Message<'_>,
        faults: &mut Faults,
    ) -> Option<Arrived> {
        let Some(body) = message.body() else {
            faults.foreign += 1;
            return None;
        };
        let header = match plan.codec.parse(OpCode::Text, body) {
            Ok(header) => header,
            Err(Rejection::Foreign) => {
                faults.foreign += 1;
                return None;
            }
            Err(Rejection::Corrupted) => {
                faults.corrupted += 1;
                return None;
            }
        };
        let room = plan.room(self.room);
        if header.room != self.room || header.sender as usize >= room.senders.len() {
            faults.foreign += 1;
            return None;
        }
        let slot = room.first_slot + header.sender as usize;
        let of_it = |id: &ClientId| id.is_of(plan.run, slot, header.seq);
        let Some(id) = ClientId::parse(&message.client_id).filter(of_it) else {
            faults.corrupted += 1;
            return None;
        };
        let live = message.seq > self.live_after;
        self.note(&header, slot, message, faults).then_some(Arrived { header, id, live })
    }

    /// Whether the message came for the first time. One message that is out of place is one fault.
    fn note(
        &mut self,
        header: &Header,
        slot: usize,
        message: &Message<'_>,
        faults: &mut Faults,
    ) -> bool {
        let mut found = audit::Faults::default();
        let arrival = self.ledger.note(header.sender, header.seq, &mut found);
        faults.lost += found.lost;
        faults.duplicated += found.duplicated;
        faults.reordered += found.reordered;
        if message.seq > self.last {
            self.follow(message, faults);
        } else if matches!(arrival, Arrival::Onward { .. }) {
            faults.reordered += 1;
        }
        if arrival == Arrival::Again {
            return false;
        }
        self.count += 1;
        for word in [message.seq, slot as u64, u64::from(header.seq)] {
            self.digest = (self.digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        true
    }

    /// Goes on to a message, which must be linked to the one before.
    fn follow(&mut self, message: &Message<'_>, faults: &mut Faults) {
        if message.prev != self.last || message.seq <= self.last {
            faults.unlinked += 1;
        }
        self.last = self.last.max(message.seq);
    }

    /// Whether it has everything, where each of the room's senders has had so many acknowledged and so many refused.
    pub(super) fn has_all(&self, owed: impl Fn(u32) -> (u32, u32)) -> bool {
        self.is_live() && self.lost(owed) == 0
    }

    /// How many messages never came.
    pub(super) fn lost(&self, owed: impl Fn(u32) -> (u32, u32)) -> u64 {
        let senders = 0..self.ledger.senders();
        let lost = senders.map(|sender| {
            let (sent, refused) = owed(sender);
            self.ledger.lost(sender, sent).saturating_sub(u64::from(refused))
        });
        lost.sum()
    }
}
