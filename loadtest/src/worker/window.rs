//! Which messages are outstanding in saturation: for each sender, how many of this thread's receivers have each of its
//! last messages.

use super::board::{Board, audiences};
use crate::plan::{Pace, Plan};

/// The receivers of one thread, as the senders of all threads wait for them.
#[derive(Debug)]
pub(crate) struct Window {
    worker: usize,
    rings: Box<[Ring]>,
    /// Whether anything was passed by all since [`Self::take_moved`].
    moved: bool,
}

#[derive(Clone, Debug)]
struct Ring {
    /// Receivers that must have a message before it is no longer outstanding here.
    audience: u32,
    /// Messages before this one are outstanding no longer.
    low: u32,
    /// For each message from `low` on, how many receivers have it; a power of two of them.
    heard: Box<[u32]>,
}

impl Window {
    /// The window of that thread; `None` where senders keep to a timetable.
    pub(crate) fn new(plan: &Plan, worker: usize) -> Option<Self> {
        let Pace::Window(size) = plan.pace_of(worker) else { return None };
        let length = size.next_power_of_two() as usize;
        let ring = |audience| Ring {
            audience,
            low: 0,
            heard: vec![0; if audience == 0 { 1 } else { length }].into(),
        };
        let rings = audiences(plan, worker).into_iter().map(ring).collect();
        Some(Self { worker, rings, moved: false })
    }

    /// Notes that a receiver has the messages `first` to `last` of a sender, or will never have them.
    #[inline]
    pub(crate) fn pass(&mut self, sender: usize, first: u32, last: u32, board: &Board) {
        let ring = &mut self.rings[sender];
        let length = ring.heard.len();
        for seq in first..=last {
            // What is not outstanding was never sent: the audit speaks of it, the window does not.
            if seq >= ring.low && ((seq - ring.low) as usize) < length {
                ring.heard[seq as usize & (length - 1)] += 1;
            }
        }
        if ring.heard[ring.low as usize & (length - 1)] >= ring.audience {
            self.advance(sender, board);
        }
    }

    /// Takes a receiver out of the audience of a sender, of which it had every message before `next`.
    pub(crate) fn retire(&mut self, sender: usize, next: u32, board: &Board) {
        let ring = &mut self.rings[sender];
        let length = ring.heard.len();
        for seq in (ring.low..next).take(length) {
            let heard = &mut ring.heard[seq as usize & (length - 1)];
            *heard = heard.saturating_sub(1);
        }
        ring.audience -= 1;
        self.advance(sender, board);
    }

    /// Whether a sender may have become free to send since the last call.
    pub(crate) const fn take_moved(&mut self) -> bool {
        std::mem::replace(&mut self.moved, false)
    }

    fn advance(&mut self, sender: usize, board: &Board) {
        let ring = &mut self.rings[sender];
        let mask = ring.heard.len() - 1;
        if ring.audience == 0 {
            ring.low = u32::MAX;
        }
        while ring.audience > 0 && ring.heard[ring.low as usize & mask] >= ring.audience {
            ring.heard[ring.low as usize & mask] = 0;
            ring.low += 1;
        }
        board.set_passed(self.worker, sender, ring.low);
        self.moved = true;
    }
}

#[cfg(test)]
mod tests {
    use fastwebsockets::OpCode;
    use mio::{Poll, Token, Waker};

    use super::*;
    use crate::message::Codec;
    use crate::plan::main_rooms;

    /// Three receivers of one sender, a window of 4.
    fn window() -> (Window, Board, Poll) {
        let plan = Plan {
            codec: Codec::new(1, 64, OpCode::Text),
            rooms: main_rooms("r", 4, 1, 1),
            main_workers: 1,
            pace: Pace::Window(4),
            quiet_rate: 1.0,
        };
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        (Window::new(&plan, 0).unwrap(), Board::new(&plan, vec![waker]), poll)
    }

    #[test]
    fn a_message_is_outstanding_until_the_last_receiver_has_it() {
        let (mut window, board, _poll) = window();
        for _ in 0..2 {
            window.pass(0, 0, 0, &board);
            window.pass(0, 1, 1, &board);
        }
        assert!(!window.take_moved());
        // The third skips the first: it will not come, so it holds nobody up.
        window.pass(0, 0, 1, &board);
        assert!(window.take_moved());
        assert_eq!(board.passed_by_all(0), 2);
    }

    #[test]
    fn the_ring_is_used_again_and_again() {
        let (mut window, board, _poll) = window();
        for seq in 0..100 {
            for _ in 0..3 {
                assert_eq!(board.passed_by_all(0), seq);
                window.pass(0, seq, seq, &board);
            }
        }
        assert_eq!(board.passed_by_all(0), 100);
    }

    #[test]
    fn a_receiver_that_is_lost_holds_nobody_up() {
        let (mut window, board, _poll) = window();
        window.pass(0, 0, 0, &board);
        window.pass(0, 0, 0, &board);
        window.pass(0, 1, 1, &board);
        // One receiver has 0 and 1, one has 0, and the third, which has nothing, goes; then the first.
        window.retire(0, 0, &board);
        assert_eq!(board.passed_by_all(0), 1);
        window.retire(0, 2, &board);
        assert_eq!(board.passed_by_all(0), 1);
        window.pass(0, 1, 1, &board);
        assert_eq!(board.passed_by_all(0), 2);
        window.retire(0, 2, &board);
        assert_eq!(board.passed_by_all(0), u32::MAX);
    }

    #[test]
    fn numbers_that_were_never_sent_change_nothing() {
        let (mut window, board, _poll) = window();
        for _ in 0..3 {
            window.pass(0, 1_000_000, 1_000_000, &board);
        }
        assert_eq!(board.passed_by_all(0), 0);
    }
}
