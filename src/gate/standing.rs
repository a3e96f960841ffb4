//! Users who may not come in, or may not speak, for a while or for good. The one table of a server; the shards know of
//! it what they need for each message by heart.

use std::sync::Arc;

use dashmap::DashMap;
use thiserror::Error;

/// Users that have a restriction at once: about 20 MB of ids of usual length.
const USERS_MAX: usize = 100_000;

/// What is done to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Measure {
    /// May not come in: turned away, and put out, with 4403.
    Ban = 0,
    /// What the user showed does not count any more: turned away, and put out, with 4401.
    Revocation = 1,
    /// May listen, and say nothing.
    Mute = 2,
}

impl Measure {
    pub(crate) const ALL: [Self; 3] = [Self::Ban, Self::Revocation, Self::Mute];

    /// The values of the label `measure`.
    pub(crate) const LABELS: [&'static str; 3] = ["ban", "revocation", "mute"];
}

/// A measure that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Whom it is taken against.
    pub user: Arc<str>,
    /// What it is.
    pub measure: Measure,
    /// When it ends, in milliseconds since 1970 UTC; `None` for never.
    pub until: Option<u64>,
}

/// As many users as can be are restricted already; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{USERS_MAX} users are restricted already")]
pub struct Full;

/// The ends of a user's measures, each at its position; 0 for none.
type Ends = [u64; Measure::ALL.len()];

/// The end of what does not end.
const NEVER: u64 = u64::MAX;

/// Who is restricted, and until when.
pub(crate) struct Standings {
    users: DashMap<Arc<str>, Ends>,
    users_max: usize,
}

impl Standings {
    pub(crate) fn new() -> Self {
        Self { users: DashMap::new(), users_max: USERS_MAX }
    }

    /// Takes a measure, in place of the same one that was in force.
    pub(crate) fn impose(&self, restriction: &Restriction, now: u64) -> Result<(), Full> {
        if !self.users.contains_key(&restriction.user) && self.users.len() >= self.users_max {
            self.users.retain(|_, ends| ends.iter().any(|end| *end > now));
            if self.users.len() >= self.users_max {
                return Err(Full);
            }
        }
        let mut ends = self.users.entry(Arc::clone(&restriction.user)).or_default();
        ends[restriction.measure as usize] = restriction.until.unwrap_or(NEVER);
        Ok(())
    }

    /// Ends a measure.
    pub(crate) fn lift(&self, user: &str, measure: Measure) {
        if let Some(mut ends) = self.users.get_mut(user) {
            ends[measure as usize] = 0;
        }
        self.users.remove_if(user, |_, ends| *ends == Ends::default());
    }

    /// Why a user may not come in; `None` for who may.
    pub(crate) fn keeps_out(&self, user: &str, now: u64) -> Option<Measure> {
        let ends = self.users.get(user)?;
        [Measure::Ban, Measure::Revocation]
            .into_iter()
            .find(|measure| ends[*measure as usize] > now)
    }

    /// When a user may say something again: not before that, `u64::MAX` being never.
    pub(crate) fn muted_until(&self, user: &str) -> Option<u64> {
        let ends = self.users.get(user)?;
        Some(ends[Measure::Mute as usize]).filter(|end| *end > 0)
    }

    /// Whether nothing that a user has said is to be heard, whichever measure it is for.
    pub(crate) fn silences(&self, user: &str, now: u64) -> bool {
        self.users.get(user).is_some_and(|ends| ends.iter().any(|end| *end > now))
    }

    /// What is in force against one user, each measure with its end.
    pub(crate) fn of(&self, user: &str, now: u64) -> Vec<(Measure, Option<u64>)> {
        let ends = self.users.get(user).map_or_else(Ends::default, |ends| *ends);
        let measures = Measure::ALL.into_iter().zip(ends).filter(|(_, end)| *end > now);
        measures.map(|(measure, end)| (measure, (end != NEVER).then_some(end))).collect()
    }

    /// Everything that is in force.
    pub(crate) fn all(&self, now: u64) -> Vec<Restriction> {
        let of_user = |entry: dashmap::mapref::multiple::RefMulti<'_, Arc<str>, Ends>| {
            let (user, ends) = (Arc::clone(entry.key()), *entry.value());
            Measure::ALL.into_iter().filter(move |measure| ends[*measure as usize] > now).map(
                move |measure| {
                    let end = ends[measure as usize];
                    let until = (end != NEVER).then_some(end);
                    Restriction { user: Arc::clone(&user), measure, until }
                },
            )
        };
        self.users.iter().flat_map(of_user).collect()
    }

    /// How many measures of each kind are in force.
    pub(crate) fn counts(&self, now: u64) -> [usize; Measure::ALL.len()] {
        let mut counts = [0; Measure::ALL.len()];
        for entry in &self.users {
            for (count, end) in counts.iter_mut().zip(entry.value()) {
                *count += usize::from(*end > now);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restriction(user: &str, measure: Measure, until: Option<u64>) -> Restriction {
        Restriction { user: user.into(), measure, until }
    }

    #[test]
    fn measures_end_by_time_and_by_word_each_for_itself() {
        let standings = Standings::new();
        for (measure, until) in
            [(Measure::Ban, Some(20)), (Measure::Revocation, Some(30)), (Measure::Mute, None)]
        {
            standings.impose(&restriction("ann", measure, until), 10).expect("there is room");
        }
        assert_eq!(standings.keeps_out("ann", 10), Some(Measure::Ban));
        assert_eq!(standings.keeps_out("ann", 20), Some(Measure::Revocation));
        assert_eq!(standings.keeps_out("ann", 30), None);
        assert_eq!(standings.keeps_out("bob", 10), None);
        assert!(standings.silences("ann", 40) && !standings.silences("bob", 10));
        assert_eq!(standings.counts(20), [0, 1, 1]);
        assert_eq!(standings.all(30), [restriction("ann", Measure::Mute, None)]);
        standings.lift("ann", Measure::Ban);
        assert_eq!(standings.keeps_out("ann", 10), Some(Measure::Revocation));
        standings.lift("ann", Measure::Revocation);
        assert!(standings.silences("ann", 40));
        standings.lift("ann", Measure::Mute);
        assert!(!standings.silences("ann", 40));
        assert!(standings.users.is_empty());
        standings.lift("ann", Measure::Mute);
    }

    #[test]
    fn the_table_is_bounded_and_what_has_ended_makes_room() {
        let standings = Standings { users_max: 2, ..Standings::new() };
        let ban = |user, until| restriction(user, Measure::Ban, until);
        assert_eq!(standings.impose(&ban("ann", Some(20)), 10), Ok(()));
        assert_eq!(standings.impose(&ban("bob", None), 10), Ok(()));
        assert_eq!(standings.impose(&ban("cid", None), 10), Err(Full));
        assert_eq!(standings.keeps_out("cid", 10), None);
        // Who is in it already needs no room.
        assert_eq!(standings.impose(&ban("bob", Some(15)), 10), Ok(()));
        assert_eq!(standings.impose(&ban("cid", None), 15), Ok(()));
        assert_eq!(standings.keeps_out("ann", 15), Some(Measure::Ban));
        assert!(standings.silences("ann", 15) && !standings.silences("ann", 20));
        assert_eq!(standings.keeps_out("bob", 15), None);
    }
}
