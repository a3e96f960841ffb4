//! How often something may happen: so many a second, and so many at once after a quiet time.
//!
//! The generic cell rate algorithm: all that is kept of the past is one moment, at which everything that happened
//! will be paid for. No clock is read here.

/// A second of the clock that the moments are counted on.
const SECOND_NANOS: u128 = 1_000_000_000;

/// So many units a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// In so many seconds,
    secs: u64,
    /// so many units.
    units: u64,
    burst_nanos: u64,
}

/// What somebody has run up, in nanoseconds of the caller's clock: the moment at which it is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Debt(u64);

impl Rate {
    /// `None` for 0 a second, which stands for no bound.
    pub(crate) fn new(per_sec: u64, burst: u64) -> Option<Self> {
        let rate = Self { secs: 1, units: per_sec, burst_nanos: 0 };
        (per_sec > 0).then(|| Self { burst_nanos: rate.nanos(burst.max(1)), ..rate })
    }

    /// So many in any so many seconds, all of them at once if need be; `None` for 0, which stands for no bound.
    pub(crate) fn within(units: u64, secs: u64) -> Option<Self> {
        let rate = Self { secs, units, burst_nanos: 0 };
        (units > 0).then(|| Self { burst_nanos: rate.nanos(units), ..rate })
    }

    /// Takes so many units at that moment.
    ///
    /// # Errors
    /// It is too many, and nothing was taken: in how many nanoseconds it would not be.
    pub(crate) fn take(self, debt: &mut Debt, now: u64, units: u64) -> Result<(), u64> {
        let paid = debt.0.max(now).saturating_add(self.nanos(units));
        match (paid - now).saturating_sub(self.burst_nanos) {
            0 => {
                debt.0 = paid;
                Ok(())
            }
            early => Err(early),
        }
    }

    /// Takes so many units whatever was taken before; in how many nanoseconds that is no longer too many.
    pub(crate) fn charge(self, debt: &mut Debt, now: u64, units: u64) -> u64 {
        debt.0 = debt.0.max(now).saturating_add(self.nanos(units));
        self.excess(*debt, now)
    }

    /// In how many nanoseconds what was taken is no longer too many; 0 where it is not.
    pub(crate) fn excess(self, debt: Debt, now: u64) -> u64 {
        debt.0.saturating_sub(now).saturating_sub(self.burst_nanos)
    }

    /// What so many units cost.
    fn nanos(self, units: u64) -> u64 {
        let nanos = u128::from(units) * u128::from(self.secs) * SECOND_NANOS;
        u64::try_from(nanos / u128::from(self.units)).unwrap_or(u64::MAX)
    }
}

impl Debt {
    /// Whether nothing is left of it: it is as if there had never been any.
    pub(crate) const fn is_paid(self, now: u64) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = SECOND_NANOS as u64;

    fn rate(per_sec: u64, burst: u64) -> Rate {
        Rate::new(per_sec, burst).expect("a bound")
    }

    /// How many of one unit each are taken at that moment.
    fn taken(rate: Rate, debt: &mut Debt, now: u64) -> usize {
        (0..10_000).take_while(|_| rate.take(debt, now, 1).is_ok()).count()
    }

    #[test]
    fn a_burst_is_taken_at_once_and_then_so_many_a_second() {
        let (rate, mut debt) = (rate(10, 50), Debt::default());
        let start = 7 * SECOND;
        assert_eq!(taken(rate, &mut debt, start), 50);
        assert_eq!(taken(rate, &mut debt, start), 0);
        assert_eq!(taken(rate, &mut debt, start + SECOND), 10);
        assert_eq!(taken(rate, &mut debt, start + SECOND + SECOND / 10), 1);
        assert_eq!(taken(rate, &mut debt, start + 100 * SECOND), 50, "no more is saved up");
    }

    #[test]
    fn who_is_early_is_told_how_much() {
        let (rate, mut debt) = (rate(4, 1), Debt::default());
        assert_eq!(rate.take(&mut debt, SECOND, 1), Ok(()));
        let early = rate.take(&mut debt, SECOND, 1).expect_err("one at a time");
        assert_eq!(early, SECOND / 4);
        assert_eq!(rate.take(&mut debt, SECOND + early, 1), Ok(()));
    }

    #[test]
    fn what_is_charged_is_waited_for() {
        let (rate, mut debt) = (rate(1000, 100), Debt::default());
        assert_eq!(rate.charge(&mut debt, SECOND, 100), 0);
        assert_eq!(rate.charge(&mut debt, SECOND, 500), SECOND / 2);
        assert_eq!(rate.excess(debt, SECOND + SECOND / 2), 0);
        assert!(!debt.is_paid(SECOND) && debt.is_paid(2 * SECOND));
    }

    #[test]
    fn so_many_within_so_many_seconds() {
        let (rate, mut debt) = (Rate::within(20, 60).expect("a bound"), Debt::default());
        assert_eq!(taken(rate, &mut debt, SECOND), 20);
        assert_eq!(taken(rate, &mut debt, 4 * SECOND), 1);
        assert_eq!(taken(rate, &mut debt, 64 * SECOND), 20);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Rate::new(0, 5), None);
        let mut debt = Debt::default();
        assert_eq!(rate(1, 1).charge(&mut debt, u64::MAX - 1, u64::MAX), 0, "the clock ends first");
        let fast = rate(u64::MAX, u64::MAX);
        assert_eq!(fast.take(&mut Debt::default(), 1, 1 << 40), Ok(()));
    }
}
