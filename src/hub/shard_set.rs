//! A set of shards that every core may read and change without a lock.
//!
//! It serves twice: a room's entry in the directory says which shards have members, and a mailbox says which shards
//! found it full and wait for room. The second use is a protocol like the doorbell's, model-checked below: a sender
//! that was turned away enters the set and tries once more; the receiver makes room and then looks at the set.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
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

#[cfg(all(test, not(loom)))]
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

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    use super::*;

    /// A sender that found the queue full and sleeps, while the queue has room and no wake is on the way, would
    /// sleep for ever.
    #[test]
    fn whoever_was_turned_away_is_woken() {
        loom::model(|| {
            let waiting = Arc::new(ShardSet::default());
            let full = Arc::new(AtomicBool::new(true));
            let sender = {
                let (waiting, full) = (waiting.clone(), full.clone());
                thread::spawn(move || {
                    waiting.insert(1);
                    fence(Ordering::SeqCst); // As the channel has where it finds itself full.
                    !full.load(Ordering::Relaxed)
                })
            };
            full.store(false, Ordering::Relaxed);
            let woken = waiting.take().count() == 1;
            let sent = sender.join().unwrap();
            // Whoever entered after the look is found by the next one, unless it saw the room by itself.
            assert!(woken || sent, "asleep for ever");
        });
    }
}
