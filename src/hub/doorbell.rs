//! The arm and wake protocol: a shard is woken when mail arrives while it sleeps, and only then.
//!
//! The receiver arms the bell, looks at its queue once more and only then waits; a sender puts its mail in the queue
//! and only then looks whether the bell is armed. A fence on each side orders the two steps, so that at least one
//! of them sees the other: no wake is lost. `swap` lets exactly one of many senders pay for the system call.
//! The tests below model-check this very code, and fail without either fence; `tests/run` builds them.

#[cfg(uproar_loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(uproar_loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether the receiver sleeps, or is about to.
#[derive(Debug)]
pub(crate) struct Doorbell {
    armed: AtomicBool,
}

impl Doorbell {
    pub(crate) fn new() -> Self {
        Self { armed: AtomicBool::new(false) }
    }

    /// For the receiver, before it waits: afterwards it must look at its queues once more.
    pub(crate) fn arm(&self) {
        // Swapped, not stored: that puts it behind whatever a late ring wrote, in the model's eyes too, and costs
        // nothing beside the fence.
        self.armed.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// For the receiver, when it is awake: senders need not wake it.
    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// For a sender, after it queued something: true for the one sender that must wake the receiver.
    pub(crate) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(test, uproar_loom))]
mod model {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::Doorbell;

    /// A receiver that sleeps with mail in its queue and no wake on the way would sleep for ever, which loom reports.
    /// The queue is relaxed, so that nothing but the bell's own fences orders it.
    fn deliver(senders: usize) {
        let bell = Arc::new(Doorbell::new());
        let queue = Arc::new(AtomicUsize::new(0));
        let poll = Arc::new(Notify::new());
        for _ in 0..senders {
            let (bell, queue, poll) = (bell.clone(), queue.clone(), poll.clone());
            thread::spawn(move || {
                queue.fetch_add(1, Ordering::Relaxed);
                if bell.ring() {
                    poll.notify();
                }
            });
        }
        let mut taken = 0;
        while taken < senders {
            bell.arm();
            if queue.load(Ordering::Relaxed) == 0 {
                poll.wait();
            }
            bell.disarm();
            taken += queue.swap(0, Ordering::Relaxed);
        }
    }

    #[test]
    fn no_wake_is_lost() {
        loom::model(|| deliver(1));
    }

    #[test]
    fn no_wake_is_lost_between_two_senders() {
        let mut model = loom::model::Builder::new();
        // All interleavings of three threads are too many; those with few switches find what there is to find.
        model.preemption_bound = Some(3);
        model.check(|| deliver(2));
    }

    /// However many senders find the receiver asleep, one of them pays for the system call.
    #[test]
    fn one_wake_is_enough() {
        loom::model(|| {
            let bell = Arc::new(Doorbell::new());
            let wakes = Arc::new(AtomicUsize::new(0));
            bell.arm();
            let ring = {
                let (bell, wakes) = (bell.clone(), wakes.clone());
                move || wakes.fetch_add(usize::from(bell.ring()), Ordering::Relaxed)
            };
            let other = thread::spawn(ring.clone());
            ring();
            other.join().unwrap();
            assert_eq!(wakes.load(Ordering::Relaxed), 1);
        });
    }
}
