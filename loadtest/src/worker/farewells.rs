//! When visitors leave, and by when the server must have answered.
//!
//! All visitors stay equally long and all answers have the same time, so both queues are in order of time by
//! themselves.

use std::collections::VecDeque;

/// How long the server may take to answer a Close.
pub(crate) const ANSWER_NS: u64 = 10 * crate::clock::NANOS_PER_SEC;

/// One session at a time to come. Its key may have a new owner by then; the id tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appointment {
    pub(crate) at_ns: u64,
    pub(crate) key: usize,
    pub(crate) id: u64,
}

/// The visitors of one thread; both queues are bounded by its sessions.
#[derive(Debug, Default)]
pub(crate) struct Farewells {
    to_leave: VecDeque<Appointment>,
    to_be_answered: VecDeque<Appointment>,
}

impl Farewells {
    /// A visitor is to leave at that time.
    pub(crate) fn plan(&mut self, at_ns: u64, key: usize, id: u64) {
        self.to_leave.push_back(Appointment { at_ns, key, id });
    }

    /// A session has sent its Close just now.
    pub(crate) fn await_answer(&mut self, now: u64, key: usize, id: u64) {
        self.to_be_answered.push_back(Appointment { at_ns: now + ANSWER_NS, key, id });
    }

    /// The next time at which there is something to do.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        let fronts = [self.to_leave.front(), self.to_be_answered.front()];
        fronts.into_iter().flatten().map(|appointment| appointment.at_ns).min()
    }

    /// The next visitor whose time has come to leave.
    pub(crate) fn take_leaving(&mut self, now: u64) -> Option<Appointment> {
        take_due(&mut self.to_leave, now)
    }

    /// The next session whose Close was not answered in time, if it is still there.
    pub(crate) fn take_unanswered(&mut self, now: u64) -> Option<Appointment> {
        take_due(&mut self.to_be_answered, now)
    }
}

fn take_due(queue: &mut VecDeque<Appointment>, now: u64) -> Option<Appointment> {
    let due = queue.front().is_some_and(|appointment| appointment.at_ns <= now);
    if due { queue.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appointments_are_kept_in_order_and_not_before_their_time() {
        let mut farewells = Farewells::default();
        assert_eq!(farewells.next_ns(), None);
        farewells.plan(100, 1, 1);
        farewells.plan(200, 2, 2);
        assert_eq!(farewells.take_leaving(99), None);
        assert_eq!(farewells.take_leaving(150).map(|appointment| appointment.key), Some(1));
        assert_eq!(farewells.take_leaving(150), None);
        farewells.await_answer(150, 1, 1);
        assert_eq!(farewells.next_ns(), Some(200));
        farewells.take_leaving(200);
        assert_eq!(farewells.next_ns(), Some(150 + ANSWER_NS));
        assert_eq!(farewells.take_unanswered(150 + ANSWER_NS).map(|late| late.id), Some(1));
    }
}
