//! What the threads of a run tell each other: how many sessions are in, how many messages were acknowledged in the end.
//! Plain atomics; nobody waits for anybody.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use mio::Waker;

use super::worker::Command;

#[derive(Debug)]
pub(super) struct Board {
    /// For each slot: how many messages its sender was sure of in the end, and how many of those were refused.
    owed: Box<[(AtomicU32, AtomicU32)]>,
    /// Threads that send no more and wait for no ack.
    answered: AtomicUsize,
    /// Sessions that are in all of their rooms for the first time.
    pub(super) entered: AtomicUsize,
    /// Why the first session that was lost was lost.
    pub(super) first_loss: OnceLock<String>,
    /// Acks and deliveries that each thread has counted, for the progress line.
    progress: Box<[(AtomicU64, AtomicU64)]>,
    doors: Box<[Door]>,
}

#[derive(Debug)]
struct Door {
    inbox: SyncSender<Command>,
    waker: Waker,
}

impl Board {
    pub(super) fn new(slots: usize, doors: Vec<(SyncSender<Command>, Waker)>) -> Self {
        let nothing = || (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            owed: (0..slots).map(|_| nothing()).collect(),
            answered: AtomicUsize::new(0),
            entered: AtomicUsize::new(0),
            first_loss: OnceLock::new(),
            progress: doors.iter().map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect(),
            doors: doors.into_iter().map(|(inbox, waker)| Door { inbox, waker }).collect(),
        }
    }

    pub(super) fn set_owed(&self, slot: usize, sent: u32, refused: u32) {
        self.owed[slot].0.store(sent, Ordering::Release);
        self.owed[slot].1.store(refused, Ordering::Release);
    }

    /// What a slot's sender is sure of, once [`Self::all_answered`].
    pub(super) fn owed(&self, slot: usize) -> (u32, u32) {
        let (sent, refused) = &self.owed[slot];
        (sent.load(Ordering::Acquire), refused.load(Ordering::Acquire))
    }

    /// Says that one more thread waits for no ack.
    pub(super) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn all_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire) == self.doors.len()
    }

    /// Says how many acks and deliveries a thread has counted.
    pub(super) fn set_progress(&self, worker: usize, acks: u64, deliveries: u64) {
        self.progress[worker].0.store(acks, Ordering::Relaxed);
        self.progress[worker].1.store(deliveries, Ordering::Relaxed);
    }

    /// Acks and deliveries of all threads.
    pub(super) fn progress(&self) -> (u64, u64) {
        let all = self.progress.iter();
        all.fold((0, 0), |(acks, deliveries), progress| {
            let of_one = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (acks + of_one(&progress.0), deliveries + of_one(&progress.1))
        })
    }

    /// Tells a thread something. Its inbox has room for everything that can be under way; `false` if it has ended.
    pub(super) fn tell(&self, worker: usize, command: Command) -> bool {
        let door = &self.doors[worker];
        let told = match door.inbox.try_send(command) {
            Ok(()) => true,
            // Never so: sessions ask for one connection at a time.
            Err(TrySendError::Full(command)) => door.inbox.send(command).is_ok(),
            Err(TrySendError::Disconnected(_)) => false,
        };
        // Fails only when the eventfd's counter is full, and then the thread is awake anyway.
        let _ = door.waker.wake();
        told
    }
}
