//! The arm and wake protocol: a shard is woken when mail arrives while it sleeps, and only then.
//!
//! The receiver arms the bell, looks at its queue once more and only then waits; a sender puts its mail in the queue
//! and only then looks whether the bell is armed. A fence on each side orders the two steps, so that at least one
//! of them sees the other: no wake is lost. `swap` lets exactly one of many senders pay for the system call.
//! The tests below model-check this very code.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
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
        self.armed.store(true, Ordering::Relaxed);
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

#[cfg(all(test, loom))]
mod tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::Doorbell;

    /// A receiver that sleeps with mail in its queue and no wake on the way would sleep for ever.
    #[test]
    fn no_wake_is_lost_and_one_wake_is_enough() {
        loom::model(|| {
            let bell = Arc::new(Doorbell::new());
            let queue = Arc::new(AtomicUsize::new(0));
            let wakes = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let (bell, queue, wakes) = (bell.clone(), queue.clone(), wakes.clone());
                    thread::spawn(move || {
                        queue.fetch_add(1, Ordering::Relaxed);
                        if bell.ring() {
                            wakes.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            bell.arm();
            let seen = queue.load(Ordering::Relaxed);
            for sender in senders {
                sender.join().unwrap();
            }
            let wakes = wakes.load(Ordering::Relaxed);
            assert!(seen == 2 || wakes == 1, "slept on {} unseen, {wakes} wakes", 2 - seen);
            assert!(wakes <= 1, "one wake is enough");
        });
    }
}
