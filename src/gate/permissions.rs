//! What a user may do in which rooms, as a token or the user's own backend grants it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::rooms::name::RoomNameError;
use crate::rooms::pattern::{ANY, Pattern};

/// The most patterns that one user's permissions may have: each is looked at for every message.
const PATTERNS_MAX: usize = 100;

/// Something that is done in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Right {
    /// To be a member, and to hear what is said from then on.
    Join = 1,
    /// To say something.
    Send = 1 << 1,
    /// To tell those who are there something that is not kept.
    Signal = 1 << 2,
    /// To read what was said before.
    History = 1 << 3,
    /// To ask who is there.
    Members = 1 << 4,
}

impl Right {
    const ALL: [Self; 5] = [Self::Join, Self::Send, Self::Signal, Self::History, Self::Members];

    /// As it is written in grants.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Send => "send",
            Self::Signal => "signal",
            Self::History => "history",
            Self::Members => "members",
        }
    }

    /// The right of that name; no other spelling will do.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == name)
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Each of them.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, |all, right| Self(all.0 | right as u8))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Right::ALL.into_iter().filter(|right| self.has(*right))).finish()
    }
}

/// Why a grant grants nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GrantError {
    /// More patterns than are looked at.
    #[error("more than {PATTERNS_MAX} room patterns")]
    TooMany,
    /// No room could be meant.
    #[error("the room pattern \"{pattern}\": {reason}")]
    Pattern {
        /// The pattern in question, as it may be printed.
        pattern: String,
        /// The rule for names that it breaks.
        reason: RoomNameError,
    },
    /// Not one of the five.
    #[error("there is no right \"{0}\"; there are join, send, signal, history and members")]
    Right(String),
}

/// What one user may do. The empty one allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    rooms: Vec<(Pattern, Rights)>,
    direct: bool,
}

/// Permissions as they are written: `{"rooms": {"team-*": ["join", "send"]}, "direct": true}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Grant {
    /// The rights in the rooms of each pattern; what several patterns grant for one room adds up.
    pub rooms: BTreeMap<String, Vec<String>>,
    /// Whether conversations with one other user are allowed.
    pub direct: bool,
}

impl Permissions {
    /// Everything, everywhere.
    #[must_use]
    pub fn all() -> Self {
        Self { rooms: vec![(Pattern::new(&ANY.to_string()), Rights::ALL)], direct: true }
    }

    /// What may be done in a room.
    #[must_use]
    pub fn of_room(&self, room: &str) -> Rights {
        let matching = self.rooms.iter().filter(|(pattern, _)| pattern.matches(room));
        matching.fold(Rights::NONE, |all, (_, rights)| all.union(*rights))
    }

    /// Whether conversations with one other user are allowed.
    #[must_use]
    pub const fn allows_direct(&self) -> bool {
        self.direct
    }
}

impl TryFrom<Grant> for Permissions {
    type Error = GrantError;

    fn try_from(grant: Grant) -> Result<Self, GrantError> {
        if grant.rooms.len() > PATTERNS_MAX {
            return Err(GrantError::TooMany);
        }
        let rooms = grant.rooms.iter().map(|(pattern, names)| {
            Pattern::check(pattern).map_err(|reason| GrantError::Pattern {
                pattern: pattern.escape_debug().take(256).collect(),
                reason,
            })?;
            Ok((Pattern::new(pattern), rights(names)?))
        });
        Ok(Self { rooms: rooms.collect::<Result<_, _>>()?, direct: grant.direct })
    }
}

fn rights(names: &[String]) -> Result<Rights, GrantError> {
    let right = |name: &String| {
        Right::parse(name).ok_or_else(|| GrantError::Right(name.escape_debug().take(256).collect()))
    };
    names.iter().map(right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(json: &str) -> Result<Permissions, GrantError> {
        serde_json::from_str::<Grant>(json).expect("the shape is right").try_into()
    }

    #[test]
    fn what_several_patterns_grant_adds_up() {
        let granted = permissions(
            r#"{"rooms": {"team-*": ["join", "history"], "*-open": ["send"]}, "extra": 1}"#,
        )
        .expect("it is right");
        let of = |room| granted.of_room(room);
        assert_eq!(of("team-a"), [Right::Join, Right::History].into_iter().collect());
        assert_eq!(
            of("team-open"),
            [Right::Join, Right::Send, Right::History].into_iter().collect()
        );
        assert_eq!(of("x-open"), [Right::Send].into_iter().collect());
        assert_eq!(of("lobby"), Rights::NONE);
        assert!(!granted.allows_direct());
    }

    #[test]
    fn nothing_is_allowed_that_was_not_granted() {
        let none = permissions("{}").expect("it is right");
        assert_eq!((none.of_room("lobby"), none.allows_direct()), (Rights::NONE, false));
        assert_eq!(none, Permissions::default());
        let all = Permissions::all();
        assert_eq!((all.of_room("any room/at all"), all.allows_direct()), (Rights::ALL, true));
        assert!(permissions(r#"{"direct": true}"#).expect("it is right").allows_direct());
    }

    #[test]
    fn each_right_is_its_own() {
        for right in Right::ALL {
            let only: Rights = [right].into_iter().collect();
            let has = Right::ALL.into_iter().filter(|other| only.has(*other));
            assert_eq!(has.collect::<Vec<_>>(), [right]);
            assert_eq!(Right::parse(right.as_str()), Some(right));
            assert!(Rights::ALL.has(right) && !Rights::NONE.has(right));
        }
    }

    #[test]
    fn what_is_misspelt_grants_nothing() {
        let wrong = permissions(r#"{"rooms": {"a": ["Join"]}}"#);
        assert_eq!(wrong, Err(GrantError::Right("Join".into())));
        let wrong = permissions(r#"{"rooms": {"": ["join"]}}"#);
        assert!(matches!(wrong, Err(GrantError::Pattern { .. })), "{wrong:?}");
        let many: Vec<_> = (0..=PATTERNS_MAX).map(|n| format!("\"r{n}\": []")).collect();
        let wrong = permissions(&format!("{{\"rooms\": {{{}}}}}", many.join(",")));
        assert_eq!(wrong, Err(GrantError::TooMany));
    }
}
