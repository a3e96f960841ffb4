//! A set of shards that every core may read and change without a lock.
//!
//! A room's entry in the directory says which shards have members, which are behind with the room, and which have
//! publishers that wait for those; a mailbox says which shards found it full and wait for room. Waiting is a protocol
//! like the doorbell's, model-checked below for the mailbox: a sender that was turned away enters the set and tries once
//! more; the receiver makes room and then looks at the set.

#[cfg(uproar_loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(uproar_loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The most shards that a node can have: the width of a [`ShardSet`].
pub(crate) const SHARDS_MAX: usize = 128;

/// A set of shards that every core may read and change.
#[derive(Debug)]
pub(crate) struct ShardSet([AtomicU64; SHARDS_MAX / 64]);

impl Default for ShardSet {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl ShardSet {
    pub(crate) fn insert(&self, shard: usize) {
        self.0[shard / 64].fetch_or(1 << (shard % 64), Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, shard: usize) {
        self.0[shard / 64].fetch_and(!(1 << (shard % 64)), Ordering::SeqCst);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::SeqCst) == 0)
    }

    /// Takes all of it, leaving the set empty. What the caller did before is seen by whoever is not found here.
    pub(crate) fn take(&self) -> impl Iterator<Item = usize> + use<> {
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return bits([0; SHARDS_MAX / 64]);
        }
        bits(std::array::from_fn(|word| self.0[word].swap(0, Ordering::SeqCst)))
    }

    /// The shards in the set just now, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        bits(std::array::from_fn(|word| self.0[word].load(Ordering::Acquire)))
    }
}

fn bits(mut words: [u64; SHARDS_MAX / 64]) -> impl Iterator<Item = usize> {
    let mut word = 0;
    std::iter::from_fn(move || {
        while words.get(word) == Some(&0) {
            word += 1;
        }
        let bit = words.get(word)?.trailing_zeros() as usize;
        words[word] &= words[word] - 1;
        Some(word * 64 + bit)
    })
}

#[cfg(all(test, not(uproar_loom)))]
mod tests {
    use super::*;

    #[test]
    fn taking_a_set_empties_it() {
        let set = ShardSet::default();
        for shard in [0, 63, 64, 100] {
            set.insert(shard);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 100]);
        assert_eq!(set.take().collect::<Vec<_>>(), [0, 63, 64, 100]);
        assert!(set.is_empty());
        assert_eq!(set.take().count(), 0);
    }
}

#[cfg(all(test, uproar_loom))]
mod model {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::*;

    /// A queue of one place. Where it finds itself full it has the fence that crossbeam's bounded channel has there.
    #[derive(Default)]
    struct Queue(AtomicUsize);

    impl Queue {
        fn try_send(&self) -> bool {
            let sent = self.0.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if !sent {
                fence(Ordering::SeqCst);
            }
            sent
        }

        fn try_recv(&self) -> bool {
            self.0.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        }
    }

    /// A sender that found the queue full and sleeps, while the queue has room and no wake is on the way, would sleep
    /// for ever, which loom reports.
    #[test]
    fn whoever_was_turned_away_is_woken() {
        loom::model(|| {
            let waiting = Arc::new(ShardSet::default());
            let queue = Arc::new(Queue::default());
            let poll = Arc::new(Notify::new());
            assert!(queue.try_send());
            let sender = {
                let (waiting, queue, poll) = (waiting.clone(), queue.clone(), poll.clone());
                thread::spawn(move || {
                    // As a shard does at the end of each turn.
                    while !queue.try_send() {
                        waiting.insert(1);
                        if queue.try_send() {
                            break;
                        }
                        poll.wait();
                    }
                })
            };
            assert!(queue.try_recv());
            waiting.take().for_each(|_| poll.notify());
            sender.join().unwrap();
        });
    }

    /// A shard that leaves a room while another enters it takes nobody else out.
    #[test]
    fn leaving_and_entering_do_not_disturb_each_other() {
        loom::model(|| {
            let set = Arc::new(ShardSet::default());
            set.insert(0);
            let other = {
                let set = set.clone();
                thread::spawn(move || set.insert(1))
            };
            set.remove(0);
            other.join().unwrap();
            assert_eq!(set.iter().collect::<Vec<_>>(), [1]);
        });
    }
}
