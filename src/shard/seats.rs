//! What a shard keeps of those sessions that are bounded by address, user or rate. It is apart from the slab, so that
//! a session that is bounded by none of them, as all are on an open loopback address, costs nothing here.

use std::time::Instant;

use crate::gate::rate::{Debt, Rate};
use crate::gate::turnstile::Place;

/// The bounds on what one session may send. `None` is no bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) messages: Option<Rate>,
    pub(crate) bytes: Option<Rate>,
    /// Messages that are answered with an error before the session ends.
    pub(crate) strikes_max: u32,
}

/// One session's.
pub(crate) struct Seat {
    /// Given back when the session is gone.
    place: Box<Place>,
    messages: Debt,
    bytes: Debt,
    /// Messages too many, less those that were not.
    strikes: u32,
}

impl Seat {
    fn new(place: Box<Place>) -> Self {
        Self { place, messages: Debt::default(), bytes: Debt::default(), strikes: 0 }
    }
}

/// Those of a shard's sessions, by slot.
pub(crate) struct Seats {
    seats: Vec<Option<Box<Seat>>>,
    /// What moments are counted from.
    began: Instant,
}

/// Why a message was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// `limits.messages_per_sec`.
    Messages,
    /// `limits.bytes_per_sec`.
    Bytes,
}

impl Limited {
    pub(crate) const LABELS: [&'static str; 2] = ["messages", "bytes"];
}

/// What becomes of a message.
pub(crate) enum Verdict {
    Taken,
    /// Too many: in how many nanoseconds it would not be.
    Refused(Limited, u64),
    /// And there were too many of those.
    Over(Limited),
}

impl Seats {
    pub(crate) fn new(began: Instant) -> Self {
        Self { seats: Vec::new(), began }
    }

    /// Gives the session in `slot` a seat.
    pub(crate) fn put(&mut self, slot: u32, place: Box<Place>) {
        *self.at(slot) = Some(Box::new(Seat::new(place)));
    }

    fn at(&mut self, slot: u32) -> &mut Option<Box<Seat>> {
        let slot = slot as usize;
        if self.seats.len() <= slot {
            self.seats.resize_with(slot + 1, || None);
        }
        &mut self.seats[slot]
    }

    /// The session in `slot` is gone.
    pub(crate) fn take(&mut self, slot: u32) {
        if let Some(seat) = self.seats.get_mut(slot as usize) {
            *seat = None;
        }
    }

    /// The places of the session in `slot`, made if it has none.
    pub(crate) fn place(&mut self, slot: u32) -> &mut Place {
        let seat = self.at(slot);
        &mut seat.get_or_insert_with(|| Box::new(Seat::new(Box::new(Place::exempt())))).place
    }

    /// Notes that the session in `slot` failed to authenticate.
    pub(crate) fn note_failure(&self, slot: u32) {
        if let Some(Some(seat)) = self.seats.get(slot as usize) {
            seat.place.note_failure();
        }
    }

    /// Gives memory back that a crowd left behind; no slot from `slots` on is in use.
    pub(crate) fn shrink(&mut self, slots: usize) {
        if self.seats.len() > slots {
            self.seats.truncate(slots);
            self.seats.shrink_to(slots);
        }
    }

    /// Takes a message of so many bytes, unless it is one too many.
    pub(crate) fn judge(&mut self, slot: u32, rates: &Rates, now: Instant, bytes: u64) -> Verdict {
        let Some((seat, now)) = self.bounded(slot, now) else { return Verdict::Taken };
        let messages = rates.messages.map_or(Ok(()), |rate| rate.take(&mut seat.messages, now, 1));
        let taken = messages.map_err(|early| (Limited::Messages, early)).and_then(|()| {
            let taken = rates.bytes.map_or(Ok(()), |rate| rate.take(&mut seat.bytes, now, bytes));
            taken.map_err(|early| (Limited::Bytes, early))
        });
        match taken {
            Ok(()) => {
                seat.strikes = seat.strikes.saturating_sub(1);
                Verdict::Taken
            }
            Err((limited, early)) => {
                seat.strikes += 1;
                match seat.strikes > rates.strikes_max {
                    true => Verdict::Over(limited),
                    false => Verdict::Refused(limited, early),
                }
            }
        }
    }

    /// Counts what was taken in any case; by which bound and for how many nanoseconds nothing more is to be taken.
    pub(crate) fn charge(
        &mut self,
        slot: u32,
        rates: &Rates,
        now: Instant,
        bytes: u64,
    ) -> Option<(Limited, u64)> {
        let (seat, now) = self.bounded(slot, now)?;
        let messages = rates.messages.map_or(0, |rate| rate.charge(&mut seat.messages, now, 1));
        let bytes = rates.bytes.map_or(0, |rate| rate.charge(&mut seat.bytes, now, bytes));
        match (messages, bytes) {
            (0, 0) => None,
            _ if messages >= bytes => Some((Limited::Messages, messages)),
            _ => Some((Limited::Bytes, bytes)),
        }
    }

    /// The seat of a session whose rates are bounded, and the moment in nanoseconds.
    fn bounded(&mut self, slot: u32, now: Instant) -> Option<(&mut Seat, u64)> {
        let seat = self.seats.get_mut(slot as usize)?.as_deref_mut();
        let seat = seat.filter(|seat| !seat.place.is_exempt)?;
        let since = now.saturating_duration_since(self.began).as_nanos();
        Some((seat, u64::try_from(since).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::gate::addresses::AddressLimits;
    use crate::gate::turnstile::Turnstile;

    fn place() -> Box<Place> {
        let limits = AddressLimits { exempts_loopback: false, ..AddressLimits::NONE };
        let turnstile = Turnstile::new(limits);
        let arrival = Arc::clone(&turnstile.addresses).arrive([10, 0, 0, 1].into());
        let arrival = arrival.expect("there is room");
        turnstile.admit(&arrival, 0).expect("there is room").expect("it is counted")
    }

    fn rates() -> Rates {
        Rates { messages: Rate::new(10, 2), bytes: Rate::new(1000, 100), strikes_max: 3 }
    }

    #[test]
    fn a_burst_is_taken_the_next_are_refused_and_then_it_is_over() {
        let now = Instant::now();
        let mut seats = Seats::new(now);
        seats.put(3, place());
        let mut judge = |after| seats.judge(3, &rates(), now + Duration::from_millis(after), 1);
        assert!(matches!(judge(0), Verdict::Taken) && matches!(judge(0), Verdict::Taken));
        for _ in 0..3 {
            let Verdict::Refused(Limited::Messages, early) = judge(0) else {
                panic!("not refused")
            };
            assert_eq!(early, 100_000_000);
        }
        assert!(matches!(judge(0), Verdict::Over(Limited::Messages)));
    }

    #[test]
    fn who_waits_is_forgiven() {
        let now = Instant::now();
        let mut seats = Seats::new(now);
        seats.put(0, place());
        for turn in 0..100 {
            let at = now + Duration::from_secs(turn);
            let taken = (0..4).map(|_| seats.judge(0, &rates(), at, 1));
            let verdicts: Vec<_> = taken.collect();
            assert!(matches!(verdicts[1], Verdict::Taken), "turn {turn}");
            assert!(matches!(verdicts[3], Verdict::Refused(..)), "turn {turn}");
        }
    }

    #[test]
    fn bytes_count_too() {
        let now = Instant::now();
        let mut seats = Seats::new(now);
        seats.put(0, place());
        assert_eq!(seats.charge(0, &rates(), now, 100), None);
        let rest = seats.charge(0, &rates(), now, 1000);
        assert_eq!(rest, Some((Limited::Bytes, 1_000_000_000)));
    }

    #[test]
    fn who_has_no_seat_is_not_bounded() {
        let now = Instant::now();
        let mut seats = Seats::new(now);
        for _ in 0..100 {
            assert!(matches!(seats.judge(7, &rates(), now, 1 << 30), Verdict::Taken));
        }
        assert!(seats.seats.is_empty());
        // A place that counts a user and nothing else.
        assert!(seats.place(1).is_exempt);
        assert_eq!(seats.charge(1, &rates(), now, 1 << 30), None);
    }
}
