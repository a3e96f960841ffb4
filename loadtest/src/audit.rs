//! The audit: which of each sender's messages a member has received, and what was wrong with the rest.
//!
//! A member has one [`Ledger`]. It expects each sender's numbers in order; a number that is skipped is missing until it
//! turns up (then it was reordered) or the run ends (then it was lost). Whether the bytes are right is settled before,
//! in [`message`](crate::message).

use serde::Serialize;

/// How many gaps a ledger keeps open per sender; beyond it the oldest is given up as lost, so that a server that loses
/// every second frame costs bounded memory.
const GAPS_MAX: usize = 4096;

/// Everything that can be wrong with what a member received, counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Sent while the member was in the room, never received.
    pub(crate) lost: u64,
    /// Received more than once: each time after the first.
    pub(crate) duplicated: u64,
    /// Received after a later message of the same sender.
    pub(crate) reordered: u64,
    /// Not from this run, or from a room or a sender that this member must not hear.
    pub(crate) foreign: u64,
    /// The member's own message, sent back to it.
    pub(crate) echoed: u64,
    /// From this run, but not the bytes or the kind of message that were sent.
    pub(crate) corrupted: u64,
}

impl Faults {
    /// Whether nothing was wrong.
    pub(crate) fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another member, or another thread, found.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
        self.echoed += other.echoed;
        self.corrupted += other.corrupted;
    }
}

/// What one received number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Later than everything before: the numbers from `first` to this one have now been passed.
    Onward {
        /// This number, or the first of those that were skipped.
        first: u32,
    },
    /// A number that was skipped, or one from before the first that was heard.
    Late,
    /// A number that had been received before.
    Again,
}

/// From when on a member must receive what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// In the room before the first message: everything from number 0.
    FromTheStart,
    /// Joins while others send: everything after the first message that it hears of each sender.
    FromTheFirstHeard,
}

/// What one member has received of each sender of its room.
#[derive(Debug)]
pub(crate) struct Ledger {
    rows: Box<[Row]>,
    /// Allocated with the first gap, which a good run does not have.
    gaps: Option<Box<[Vec<Gap>]>>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// The first number that counts; unset in a row that has heard nothing.
    first: u32,
    next: u32,
}

/// Numbers that were skipped: `from` to `to`, without `to`.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u32,
    to: u32,
}

/// The `first` of a member that joined and has not heard this sender yet. A sender never reaches this number.
const UNHEARD: u32 = u32::MAX;

impl Ledger {
    /// An empty ledger over that many senders.
    pub(crate) fn new(senders: u32, attendance: Attendance) -> Self {
        let row = match attendance {
            Attendance::FromTheStart => Row { first: 0, next: 0 },
            Attendance::FromTheFirstHeard => Row { first: UNHEARD, next: UNHEARD },
        };
        Self { rows: vec![row; senders as usize].into(), gaps: None }
    }

    /// How many senders it is over.
    pub(crate) fn senders(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// Notes the arrival of number `seq` of `sender`, and counts in `faults` what is wrong with it.
    #[inline]
    pub(crate) fn note(&mut self, sender: u32, seq: u32, faults: &mut Faults) -> Arrival {
        let row = &mut self.rows[sender as usize];
        if row.next == seq {
            row.next = seq + 1;
            return Arrival::Onward { first: seq };
        }
        self.note_out_of_turn(sender as usize, seq, faults)
    }

    /// The number that `sender` must show next, if anything of it was heard or everything must be.
    pub(crate) fn next(&self, sender: u32) -> Option<u32> {
        let row = self.rows[sender as usize];
        (row.first != UNHEARD).then_some(row.next)
    }

    /// Whether all that was skipped has turned up since.
    pub(crate) const fn has_no_gaps(&self) -> bool {
        self.gaps.is_none()
    }

    /// Closes the row of a sender that sent `sent` messages: the number of them that never came.
    pub(crate) fn lost(&self, sender: u32, sent: u32) -> u64 {
        let tail = self.next(sender).map_or(0, |next| u64::from(sent.saturating_sub(next)));
        let gaps = self.gaps.as_ref().map_or(0, |gaps| {
            gaps[sender as usize].iter().map(|gap| u64::from(gap.to - gap.from)).sum()
        });
        tail + gaps
    }

    #[cold]
    fn note_out_of_turn(&mut self, sender: usize, seq: u32, faults: &mut Faults) -> Arrival {
        let row = &mut self.rows[sender];
        if row.first == UNHEARD {
            *row = Row { first: seq, next: seq + 1 };
            return Arrival::Onward { first: seq };
        }
        if seq > row.next {
            let gap = Gap { from: row.next, to: seq };
            row.next = seq + 1;
            faults.lost += self.open(sender, gap);
            return Arrival::Onward { first: gap.from };
        }
        if seq < row.first || self.fill(sender, seq) {
            faults.reordered += 1;
            return Arrival::Late;
        }
        faults.duplicated += 1;
        Arrival::Again
    }

    /// Opens a gap; the number of messages given up as lost to make room for it.
    fn open(&mut self, sender: usize, gap: Gap) -> u64 {
        let senders = self.rows.len();
        let gaps = self.gaps.get_or_insert_with(|| vec![Vec::new(); senders].into());
        let open = &mut gaps[sender];
        open.push(gap);
        if open.len() <= GAPS_MAX {
            return 0;
        }
        let oldest = open.remove(0);
        u64::from(oldest.to - oldest.from)
    }

    /// Takes `seq` out of the gap that it is in; `false` if it is in none.
    fn fill(&mut self, sender: usize, seq: u32) -> bool {
        let Some(gaps) = &mut self.gaps else { return false };
        let open = &mut gaps[sender];
        let Some(index) = open.iter().position(|gap| (gap.from..gap.to).contains(&seq)) else {
            return false;
        };
        let gap = open.remove(index);
        let parts = [Gap { from: gap.from, to: seq }, Gap { from: seq + 1, to: gap.to }];
        for part in parts.into_iter().rev().filter(|part| part.from < part.to) {
            open.insert(index, part);
        }
        if gaps.iter().all(Vec::is_empty) {
            self.gaps = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes these numbers of sender 0, of which `sent` were sent, and closes the ledger.
    fn check(attendance: Attendance, seqs: &[u32], sent: u32) -> Faults {
        let mut faults = Faults::default();
        let mut ledger = Ledger::new(1, attendance);
        for &seq in seqs {
            ledger.note(0, seq, &mut faults);
        }
        faults.lost += ledger.lost(0, sent);
        faults
    }

    #[test]
    fn each_fault_is_counted_as_itself() {
        let none = Faults::default();
        let cases: [(&[u32], Faults); 9] = [
            (&[0, 1, 2, 3], none),
            (&[], Faults { lost: 4, ..none }),
            (&[0, 1, 3], Faults { lost: 1, ..none }),
            (&[0, 1, 2], Faults { lost: 1, ..none }),
            (&[3], Faults { lost: 3, ..none }),
            (&[0, 0, 1, 2, 3, 1], Faults { duplicated: 2, ..none }),
            (&[0, 2, 1, 3], Faults { reordered: 1, ..none }),
            (&[3, 2, 1, 0], Faults { reordered: 3, ..none }),
            (&[0, 3, 1, 1], Faults { reordered: 1, duplicated: 1, lost: 1, ..none }),
        ];
        for (seqs, expected) in cases {
            assert_eq!(check(Attendance::FromTheStart, seqs, 4), expected, "{seqs:?}");
        }
    }

    #[test]
    fn a_visitor_owes_nothing_from_before_its_first_message() {
        let none = Faults::default();
        let cases: [(&[u32], u32, Faults); 5] = [
            (&[], 9, none),
            (&[5, 6, 7], 8, none),
            (&[5, 7], 8, Faults { lost: 1, ..none }),
            (&[5, 6, 5], 7, Faults { duplicated: 1, ..none }),
            (&[5, 4, 6], 7, Faults { reordered: 1, ..none }),
        ];
        for (seqs, sent, expected) in cases {
            assert_eq!(check(Attendance::FromTheFirstHeard, seqs, sent), expected, "{seqs:?}");
        }
    }

    #[test]
    fn senders_are_kept_apart() {
        let mut faults = Faults::default();
        let mut ledger = Ledger::new(2, Attendance::FromTheStart);
        assert_eq!(ledger.note(0, 0, &mut faults), Arrival::Onward { first: 0 });
        assert_eq!(ledger.note(1, 2, &mut faults), Arrival::Onward { first: 0 });
        assert_eq!(ledger.note(0, 1, &mut faults), Arrival::Onward { first: 1 });
        assert!(!ledger.has_no_gaps());
        assert_eq!((ledger.lost(0, 2), ledger.lost(1, 3)), (0, 2));
        assert_eq!((ledger.next(0), ledger.next(1)), (Some(2), Some(3)));
    }

    #[test]
    fn a_filled_gap_is_forgotten() {
        let mut faults = Faults::default();
        let mut ledger = Ledger::new(1, Attendance::FromTheStart);
        for seq in [4, 2, 0, 3, 1] {
            ledger.note(0, seq, &mut faults);
        }
        assert!(ledger.has_no_gaps());
        assert_eq!(ledger.lost(0, 5), 0);
        assert_eq!(faults.reordered, 4);
    }

    #[test]
    fn gaps_beyond_the_bound_are_given_up_as_lost_and_still_counted_once() {
        let sent = u32::try_from(GAPS_MAX).unwrap() * 2 + 20;
        let odd: Vec<u32> = (0..sent).filter(|seq| seq % 2 == 1).collect();
        let faults = check(Attendance::FromTheStart, &odd, sent);
        assert_eq!(faults, Faults { lost: u64::from(sent / 2), ..Faults::default() });
    }
}
