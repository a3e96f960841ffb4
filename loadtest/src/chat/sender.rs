//! What one session sends: when, into which of its rooms, and what has not been answered yet.

use std::collections::VecDeque;

use super::client_id::ClientId;
use super::plan::Plan;
use crate::message::Header;

#[derive(Debug)]
pub(super) struct Sender {
    /// Its number among all senders, by which the timetable knows it.
    pub(super) position: usize,
    /// The number of its next message in the timetable.
    pub(super) turn: u64,
    /// For each of the session's rooms.
    rooms: Vec<Place>,
    /// Messages sent.
    pub(super) sent: u64,
    /// Sent, and not both acknowledged and received yet, in order.
    waiting: VecDeque<Waiting>,
    unacked: u32,
}

/// A sender's place in one room.
#[derive(Debug)]
struct Place {
    /// Its number among the room's senders.
    place: u32,
    slot: usize,
    next: u32,
    refused: u32,
}

#[derive(Debug)]
struct Waiting {
    id: ClientId,
    /// Which of the session's rooms.
    room: usize,
    header: Header,
    acked: Option<u64>,
    heard: Option<u64>,
    /// Whether it was sent again.
    again: bool,
}

/// A message to be written.
pub(super) struct Outgoing {
    pub(super) header: Header,
    pub(super) id: ClientId,
}

/// What an ack belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) due_ns: u64,
    /// Whether it was sent more than once.
    pub(super) again: bool,
}

impl Sender {
    /// The sender that a session is, `None` if it only listens.
    pub(super) fn new(plan: &Plan, session: usize) -> Option<Self> {
        let place = |room: &u32| {
            let room = plan.room(*room);
            let place = room.senders.binary_search(&session).unwrap_or_default();
            Place {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                slot: room.first_slot + place,
                next: 0,
                refused: 0,
            }
        };
        (session < plan.senders).then(|| Self {
            position: session,
            turn: 0,
            rooms: plan.sessions[session].iter().map(place).collect(),
            sent: 0,
            waiting: VecDeque::new(),
            unacked: 0,
        })
    }

    /// Makes the next message, which goes to the next of its rooms.
    pub(super) fn compose(&mut self, plan: &Plan, rooms: &[u32], due_ns: u64) -> Outgoing {
        let room = (self.sent % self.rooms.len() as u64) as usize;
        let place = &mut self.rooms[room];
        let header = Header { room: rooms[room], sender: place.place, seq: place.next, due_ns };
        let id = ClientId::new(plan.run, place.slot, place.next);
        place.next += 1;
        self.sent += 1;
        self.unacked += 1;
        self.waiting.push_back(Waiting {
            id,
            room,
            header,
            acked: None,
            heard: None,
            again: false,
        });
        Outgoing { header, id }
    }

    /// Everything that may never have reached the server, to be sent again.
    pub(super) fn compose_again(&mut self) -> Vec<Outgoing> {
        let unanswered = self.waiting.iter_mut().filter(|waiting| waiting.acked.is_none());
        let again = unanswered.map(|waiting| {
            waiting.again = true;
            Outgoing { header: waiting.header, id: waiting.id }
        });
        again.collect()
    }

    /// Takes an ack; `None` if nothing waits for it, or the message has been received with another position.
    pub(super) fn take_ack(&mut self, id: ClientId, seq: u64) -> Option<Acked> {
        let at = self.waiting.iter().position(|waiting| waiting.id == id)?;
        let waiting = &mut self.waiting[at];
        if waiting.acked.is_some() {
            return None;
        }
        waiting.acked = Some(seq);
        self.unacked -= 1;
        let acked = Acked { due_ns: waiting.header.due_ns, again: waiting.again };
        self.settle(at).then_some(acked)
    }

    /// Takes the sender's own message as everyone in the room receives it; `false` if it was acknowledged with another
    /// position.
    pub(super) fn take_own(&mut self, id: ClientId, seq: u64) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) else {
            return true;
        };
        self.waiting[at].heard = Some(seq);
        self.settle(at)
    }

    /// Forgets a message whose both positions are known; `false` if they are not the same.
    fn settle(&mut self, at: usize) -> bool {
        let Waiting { acked: Some(acked), heard: Some(heard), .. } = self.waiting[at] else {
            return true;
        };
        self.waiting.remove(at);
        acked == heard
    }

    /// Takes a refusal; `false` if nothing waits for it.
    pub(super) fn take_refusal(&mut self, id: ClientId) -> bool {
        let of_it = |waiting: &Waiting| waiting.id == id && waiting.acked.is_none();
        let Some(at) = self.waiting.iter().position(of_it) else { return false };
        if let Some(waiting) = self.waiting.remove(at) {
            self.rooms[waiting.room].refused += 1;
            self.unacked -= 1;
        }
        true
    }

    /// Messages without an answer.
    pub(super) const fn unacked(&self) -> u32 {
        self.unacked
    }

    /// For each of its slots: the number behind the last message that was acknowledged, and how many before it were not.
    pub(super) fn owed(&self) -> impl Iterator<Item = (usize, u32, u32)> {
        self.rooms.iter().enumerate().map(|(at, place)| {
            let mut unanswered = 0;
            let mut owed = place.next;
            let mut open: Vec<u32> = self
                .waiting
                .iter()
                .filter(|waiting| waiting.room == at && waiting.acked.is_none())
                .map(|waiting| waiting.header.seq)
                .collect();
            while open.last().is_some_and(|last| last + 1 == owed) {
                open.pop();
                owed -= 1;
            }
            unanswered += u32::try_from(open.len()).unwrap_or(u32::MAX);
            (place.slot, owed, place.refused + unanswered)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender in two rooms, alone in either.
    fn sender() -> Sender {
        let place = |slot| Place { place: 0, slot, next: 0, refused: 0 };
        Sender {
            position: 0,
            turn: 0,
            rooms: vec![place(0), place(1)],
            sent: 0,
            waiting: VecDeque::new(),
            unacked: 0,
        }
    }

    fn send(sender: &mut Sender, count: usize) -> Vec<ClientId> {
        let plan = super::super::tests::plan();
        (0..count).map(|_| sender.compose(&plan, &[0, 1], 5).id).collect()
    }

    #[test]
    fn rooms_take_turns_and_each_counts_for_itself() {
        let mut sender = sender();
        let plan = super::super::tests::plan();
        let sent = (0..4).map(|_| sender.compose(&plan, &[0, 1], 5).header);
        let sent: Vec<_> = sent.map(|header| (header.room, header.seq)).collect();
        assert_eq!(sent, [(0, 0), (1, 0), (0, 1), (1, 1)]);
    }

    #[test]
    fn an_ack_and_the_message_must_name_the_same_position() {
        let mut sender = sender();
        let ids = send(&mut sender, 3);
        assert_eq!(sender.unacked(), 3);
        assert!(sender.take_own(ids[0], 10));
        assert_eq!(sender.take_ack(ids[0], 10), Some(Acked { due_ns: 5, again: false }));
        assert_eq!(sender.take_ack(ids[0], 10), None, "nothing waits for it any more");
        assert_eq!(sender.take_ack(ids[1], 11), Some(Acked { due_ns: 5, again: false }));
        assert!(!sender.take_own(ids[1], 12));
        assert!(sender.take_own(ids[2], 13));
        assert_eq!(sender.take_ack(ids[2], 14), None);
        assert_eq!((sender.unacked(), sender.waiting.len()), (0, 0));
    }

    #[test]
    fn what_was_not_answered_is_sent_again_and_owed_to_nobody() {
        let mut sender = sender();
        let ids = send(&mut sender, 6);
        for (id, seq) in [(ids[0], 1), (ids[3], 4)] {
            assert!(sender.take_ack(id, seq).is_some());
        }
        assert!(sender.take_refusal(ids[2]) && !sender.take_refusal(ids[2]));
        // In the first room 0 was acknowledged, 1 refused, 2 not answered; in the second 0 and 2 not, 1 was.
        assert_eq!(sender.owed().collect::<Vec<_>>(), [(0, 2, 1), (1, 2, 1)]);
        let again: Vec<_> =
            sender.compose_again().into_iter().map(|outgoing| outgoing.id).collect();
        assert_eq!(again, [ids[1], ids[4], ids[5]]);
        assert_eq!(sender.take_ack(ids[1], 2), Some(Acked { due_ns: 5, again: true }));
        assert_eq!(sender.unacked(), 2);
    }
}
