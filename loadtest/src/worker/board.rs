//! What the threads of a run tell each other: how far each sender's messages have got, how many it sent in the end, how
//! much has arrived so far. Plain atomics; a thread that sleeps is woken once, however much has changed.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

use mio::Waker;

use crate::plan::{Pace, Plan, Seat};

/// Shared by all threads of a run. Senders are numbered through all rooms.
#[derive(Debug)]
pub(crate) struct Board {
    /// Messages that each sender sent; final once every thread has stopped sending.
    sent: Box<[AtomicU32]>,
    /// For each thread, and there for each sender: how many of its messages all of that thread's receivers have.
    passed: Box<[AtomicU32]>,
    /// Threads that have stopped sending.
    stopped: AtomicUsize,
    /// Deliveries that each thread has counted, for the progress line.
    delivered: Box<[AtomicU64]>,
    doors: Box<[Door]>,
}

/// How a thread is woken.
#[derive(Debug)]
struct Door {
    waker: Waker,
    asleep: AtomicBool,
}

impl Board {
    /// A board for that plan, with one waker for each thread.
    pub(crate) fn new(plan: &Plan, wakers: Vec<Waker>) -> Self {
        let senders = plan.senders();
        let passed = (0..wakers.len()).flat_map(|worker| audiences(plan, worker)).map(|audience| {
            // Whoever has no receivers holds nobody up.
            AtomicU32::new(if audience == 0 { u32::MAX } else { 0 })
        });
        Self {
            sent: (0..senders).map(|_| AtomicU32::new(0)).collect(),
            passed: passed.collect(),
            stopped: AtomicUsize::new(0),
            delivered: wakers.iter().map(|_| AtomicU64::new(0)).collect(),
            doors: wakers
                .into_iter()
                .map(|waker| Door { waker, asleep: AtomicBool::new(false) })
                .collect(),
        }
    }

    /// Says that all receivers of a thread now have that many messages of a sender.
    pub(crate) fn set_passed(&self, worker: usize, sender: usize, count: u32) {
        self.passed[worker * self.sent.len() + sender].store(count, Ordering::Release);
    }

    /// How many messages of a sender every receiver has.
    pub(crate) fn passed_by_all(&self, sender: usize) -> u32 {
        let of_each = self.passed.iter().skip(sender).step_by(self.sent.len());
        of_each.map(|passed| passed.load(Ordering::Acquire)).min().unwrap_or(u32::MAX)
    }

    /// Says how many messages a sender has sent in all.
    pub(crate) fn set_sent(&self, sender: usize, count: u32) {
        self.sent[sender].store(count, Ordering::Release);
    }

    /// How many messages a sender has sent in all, once [`Self::all_stopped`].
    pub(crate) fn sent(&self, sender: usize) -> u32 {
        self.sent[sender].load(Ordering::Acquire)
    }

    /// Says that one more thread has stopped sending.
    pub(crate) fn stop(&self) {
        self.stopped.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether nobody sends any more.
    pub(crate) fn all_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire) == self.doors.len()
    }

    /// Says how many deliveries a thread has counted.
    pub(crate) fn set_delivered(&self, worker: usize, count: u64) {
        self.delivered[worker].store(count, Ordering::Relaxed);
    }

    /// Deliveries of all threads.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Says that a thread is about to wait. It must look at the board once more before it does.
    pub(crate) fn fall_asleep(&self, worker: usize) {
        self.doors[worker].asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that a thread does not wait any more.
    pub(crate) fn stay_awake(&self, worker: usize) {
        self.doors[worker].asleep.store(false, Ordering::Relaxed);
    }

    /// Wakes every other thread that waits, after something changed on the board.
    pub(crate) fn wake_others(&self, worker: usize) {
        fence(Ordering::SeqCst);
        for (index, door) in self.doors.iter().enumerate() {
            if index != worker && door.asleep.swap(false, Ordering::Relaxed) {
                self.wake(index);
            }
        }
    }

    /// Wakes one thread, for its inbox.
    pub(crate) fn wake(&self, worker: usize) {
        // Fails only when the eventfd's counter is full, and then the thread is awake anyway.
        let _ = self.doors[worker].waker.wake();
    }
}

/// For each sender, how many members that stay a thread drives that are to receive its messages. Zero for a sender that
/// keeps to a timetable, which waits for nobody.
pub(crate) fn audiences(plan: &Plan, worker: usize) -> Vec<u32> {
    let mut audiences = vec![0; plan.senders()];
    if matches!(plan.pace_of(worker), Pace::Rate(_)) {
        return audiences;
    }
    for (room, index) in plan.rooms.iter().zip(0..) {
        let here = |place: &u32| plan.worker_of(Seat { room: index, place: *place }) == worker;
        let members = (0..room.members).filter(here).count();
        for place in 0..room.senders {
            let others = members - usize::from(here(&place));
            audiences[room.first_sender + place as usize] =
                u32::try_from(others).unwrap_or(u32::MAX);
        }
    }
    audiences
}

#[cfg(test)]
mod tests {
    use fastwebsockets::OpCode;
    use mio::{Poll, Token};

    use super::*;
    use crate::message::Codec;
    use crate::plan::main_rooms;

    #[test]
    fn a_sender_has_got_as_far_as_the_slowest_thread() {
        let plan = Plan {
            codec: Codec::new(1, 64, OpCode::Text),
            rooms: main_rooms("r", 5, 1, 2),
            main_workers: 2,
            pace: Pace::Window(4),
            quiet_rate: 1.0,
        };
        // Places 0, 2 and 4 on the first thread, 1 and 3 on the second.
        assert_eq!(audiences(&plan, 0), [2, 3]);
        assert_eq!(audiences(&plan, 1), [2, 1]);
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let wakers = polls.iter().map(|poll| Waker::new(poll.registry(), Token(0)).unwrap());
        let board = Board::new(&plan, wakers.collect());
        board.set_passed(0, 1, 7);
        assert_eq!(board.passed_by_all(1), 0);
        board.set_passed(1, 1, 5);
        assert_eq!((board.passed_by_all(0), board.passed_by_all(1)), (0, 5));
        board.stop();
        assert!(!board.all_stopped());
        board.stop();
        assert!(board.all_stopped());
    }
}
