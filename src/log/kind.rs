//! What a message of the log is: something that a user said, or the word that something is gone.

/// What a message's body means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What a user said.
    #[default]
    Text,
    /// Nobody is to see some earlier messages any more: `{"seqs": […]}`.
    Redact,
    /// Nobody is to see any message up to a position any more: `{"to": …}`.
    Clear,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Text, Self::Redact, Self::Clear];

    /// What everybody reads.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Redact => "redact",
            Self::Clear => "clear",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a database keeps, for good.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Text => 0,
            Self::Redact => 1,
            Self::Clear => 2,
        }
    }

    /// The one of that number.
    pub(crate) fn numbered(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Whether nobody said it.
    pub(crate) fn is_event(self) -> bool {
        self != Self::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_there_and_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert_eq!(Kind::numbered(kind.number()), Some(kind));
        }
        assert_eq!((Kind::named("edit"), Kind::numbered(3)), (None, None));
    }
}
