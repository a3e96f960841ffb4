//! What becomes of a session that sends more than it may: the chat answers that its messages were not taken, and ends
//! it when it goes on; any other session is not read for a while.
//!
//! The relay has no message of its own in which it could say anything, so its senders are held up by TCP: nothing is
//! lost, nothing is decoded that nobody may have yet, and who sends a little too fast never notices.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::gate::addresses::Excess;
use crate::protocol::CloseReason;
use crate::protocol::chat::reply;
use crate::protocol::chat::{ClientId, Code};
use crate::shard::seats::{Limited, Verdict};
use crate::shard::session::flag;
use crate::shard::state::State;

/// A session that is not read until then.
pub(crate) type Rest = Reverse<(Instant, u32, u32)>;

impl State {
    /// Counts what a session sent, and has it rest if that was too much.
    pub(crate) fn charge(&mut self, slot: u32, bytes: usize) {
        let rest = self.seats.charge(slot, &self.bounds.rates, self.now, bytes as u64);
        if let Some((limited, nanos)) = rest {
            self.rest(slot, limited, Duration::from_nanos(nanos));
        }
    }

    #[cold]
    fn rest(&mut self, slot: u32, limited: Limited, how_long: Duration) {
        let session = &self.sessions[slot as usize];
        if session.has(flag::PAUSED_BY_RATE | flag::CLOSING) {
            return;
        }
        let generation = session.generation;
        self.counters.limited[limited as usize] += 1;
        self.resting.push(Reverse((self.now + how_long, slot, generation)));
        self.pause(slot, flag::PAUSED_BY_RATE);
    }

    /// Reads those again that have rested long enough.
    pub(crate) fn end_rests(&mut self) {
        while let Some(&Reverse((until, slot, generation))) = self.resting.peek() {
            if until > self.now {
                break;
            }
            self.resting.pop();
            let session = self.sessions.get(slot as usize);
            if session.is_some_and(|session| session.generation == generation) {
                self.resume(slot, flag::PAUSED_BY_RATE);
            }
        }
    }

    /// When the next one is read again.
    pub(crate) fn next_rest_ends(&self) -> Option<Instant> {
        self.resting.peek().map(|Reverse((until, ..))| *until)
    }

    /// Counts a session for the user that it turns out to be of, once it is open.
    ///
    /// # Errors
    /// The user has too many already.
    pub(crate) fn seat_user(&mut self, slot: u32, user: &Arc<str>) -> Result<(), Excess> {
        let place = self.hub.users.enter(user)?;
        self.seats.place(slot).set_user(place);
        Ok(())
    }

    /// Whether a chat message is taken; if not, in how many milliseconds it would be. The session may be over.
    pub(crate) fn judge_rate(&mut self, slot: u32, bytes: usize) -> Result<(), u64> {
        let verdict = self.seats.judge(slot, &self.bounds.rates, self.now, bytes as u64);
        let (limited, nanos) = match verdict {
            Verdict::Taken => return Ok(()),
            Verdict::Refused(limited, nanos) => (limited, nanos),
            Verdict::Over(limited) => {
                self.doom(slot, CloseReason::RateLimited);
                (limited, 0)
            }
        };
        self.counters.limited[limited as usize] += 1;
        Err(nanos.div_ceil(1_000_000).max(1))
    }

    /// Answers a message that was not taken.
    pub(crate) fn refuse_rate(
        &mut self,
        slot: u32,
        reference: Option<&str>,
        client_id: Option<ClientId>,
        retry_after_ms: u64,
    ) {
        if self.sessions[slot as usize].has(flag::DOOMED) {
            return;
        }
        let error = reply::Error {
            reference,
            client_id,
            retry_after_ms: Some(retry_after_ms),
            ..reply::Error::from(Code::RateLimited)
        };
        self.send_error(slot, &error);
    }
}
