//! How many bad messages a session may send before it ends: all that a mistake needs, and no more than a mistake.

/// What a bad message costs.
const BAD: u16 = 8;

/// What a session may have run up. A client that makes a mistake with every message ends after 65, one with a mistake
/// in every tenth never.
const DEBT_MAX: u16 = 512;

/// What one session has run up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flood {
    debt: u16,
}

impl Flood {
    /// Counts a good message, which gives back 1.
    pub(crate) const fn good(&mut self) {
        self.debt = self.debt.saturating_sub(1);
    }

    /// Counts a bad message. Whether the session ends with 4400.
    #[must_use]
    pub(crate) const fn bad(&mut self) -> bool {
        self.debt = self.debt.saturating_add(BAD);
        self.debt > DEBT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_alone_end_a_session() {
        let mut flood = Flood::default();
        for _ in 0..64 {
            assert!(!flood.bad());
        }
        assert!(flood.bad());
        assert!(flood.bad(), "and it stays so");
    }

    #[test]
    fn eight_good_ones_make_up_for_a_bad_one() {
        let mut flood = Flood::default();
        for _ in 0..10_000 {
            assert!(!flood.bad());
            for _ in 0..8 {
                flood.good();
            }
        }
        assert_eq!(flood, Flood::default());
        flood.good();
        assert_eq!(flood, Flood::default(), "no credit is saved up");
    }

    #[test]
    fn seven_do_not() {
        let mut flood = Flood::default();
        let rounds = (1..).find(|_| {
            let is_over = flood.bad();
            (0..7).for_each(|_| flood.good());
            is_over
        });
        assert_eq!(rounds, Some(506));
    }
}
