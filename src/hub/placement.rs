//! Which shard a new session is for: the one that has the fewest.
//!
//! The kernel spreads connections over the shards' listeners by a hash of their addresses, which knows nothing of how
//! many each shard has already; and sessions end as they like. An upgraded connection goes through the control runtime
//! in any case, so it costs nothing to look once where it is wanted most. Once adopted a session stays where it is.

use std::sync::atomic::{AtomicUsize, Ordering};

/// For each shard how many sessions it has, those on their way to it included.
pub(crate) struct Placement(Box<[AtomicUsize]>);

impl Placement {
    /// No session on any of so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Takes a place on the shard with the fewest sessions: on `own`, whose listener accepted the connection, unless
    /// another has fewer. Those who ask at the same moment may get the same answer; whoever asks next makes up for it.
    pub(crate) fn take(&self, own: usize) -> usize {
        let (mut fewest, mut shard) = (self.count(own), own);
        for other in 0..self.0.len() {
            let count = self.count(other);
            if count < fewest {
                (fewest, shard) = (count, other);
            }
        }
        self.take_on(shard);
        shard
    }

    /// Takes a place on that shard.
    pub(crate) fn take_on(&self, shard: usize) {
        self.0[shard].fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a place back: of a session that ended, or of a connection that the shard did not take.
    pub(crate) fn release(&self, shard: usize) {
        self.0[shard].fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self, shard: usize) -> usize {
        self.0[shard].load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn counts(&self) -> Vec<usize> {
        (0..self.0.len()).map(|shard| self.count(shard)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_as_many_as_any_other_whichever_listener_accepts() {
        for shards in [1, 2, 3, 8, 64, 128] {
            let placement = Placement::new(shards);
            for _ in 0..10 * shards {
                placement.take(shards / 2);
            }
            assert_eq!(placement.counts(), vec![10; shards]);
        }
    }

    #[test]
    fn a_shard_that_has_no_more_than_others_keeps_what_it_accepts() {
        let placement = Placement::new(4);
        assert_eq!([2, 3, 0, 1].map(|own| placement.take(own)), [2, 3, 0, 1]);
    }

    #[test]
    fn who_comes_makes_up_for_who_left() {
        let placement = Placement::new(4);
        for _ in 0..40 {
            placement.take(0);
        }
        for (shard, left) in [(0, 1), (1, 10), (3, 4)] {
            (0..left).for_each(|_| placement.release(shard));
        }
        assert_eq!(placement.counts(), [9, 0, 10, 6]);
        for _ in 0..15 {
            placement.take(2);
        }
        assert_eq!(placement.counts(), [10; 4]);
    }
}
