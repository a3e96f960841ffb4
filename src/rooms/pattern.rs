//! Patterns of room names: `*` stands for any run of characters, everything else for itself.

use super::name::{self, RoomNameError};

/// Matches any run of characters, none and `/` among them. Everything else in a pattern is itself.
pub(crate) const ANY: char = '*';

/// A pattern taken apart at its `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Before the first `*`, or the whole pattern where there is none.
    head: Box<str>,
    /// Between two `*` each, and after the last one; `None` where there is none.
    rest: Option<(Vec<Box<str>>, Box<str>)>,
}

impl Pattern {
    /// Says why no room could have a name of this pattern.
    ///
    /// # Errors
    /// The first rule for room names that the pattern itself breaks.
    pub(crate) fn check(pattern: &str) -> Result<(), RoomNameError> {
        name::check(pattern.as_bytes()).map(drop)
    }

    pub(crate) fn new(pattern: &str) -> Self {
        let mut parts = pattern.split(ANY).map(Box::from);
        let head = parts.next().unwrap_or_default();
        let mut rest: Vec<Box<str>> = parts.collect();
        let tail = rest.pop();
        rest.retain(|part| !part.is_empty());
        Self { head, rest: tail.map(|tail| (rest, tail)) }
    }

    /// Whether the name is one of those meant.
    ///
    /// Each part is looked for once, where it first occurs behind the one before: a later place would leave the parts
    /// behind it less room, so that nothing has to be tried twice.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((middle, tail)) = &self.rest else { return name == &*self.head };
        let Some(behind_head) = name.strip_prefix(&*self.head) else { return false };
        let Some(between) = behind_head.strip_suffix(&**tail) else { return false };
        let mut left = between;
        for part in middle {
            let Some((_, behind)) = left.split_once(&**part) else { return false };
            left = behind;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pattern means, by trying everything.
    fn by_trying(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|taken| by_trying(rest, &name[taken..])),
            Some((first, rest)) => name.first() == Some(first) && by_trying(rest, &name[1..]),
        }
    }

    /// All texts of those letters up to that length.
    fn texts(letters: &str, length_max: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..length_max {
            let until = all.len();
            for at in from..until {
                all.extend(
                    letters
                        .chars()
                        .map(|letter| format!("{}{letter}", all[at]))
                        .collect::<Vec<_>>(),
                );
            }
            from = until;
        }
        all
    }

    #[test]
    fn small_patterns_match_what_trying_everything_finds() {
        let names = texts("ab", 5);
        for pattern in texts("ab*", 5) {
            let compiled = Pattern::new(&pattern);
            for name in &names {
                let expected = by_trying(pattern.as_bytes(), name.as_bytes());
                assert_eq!(compiled.matches(name), expected, "{pattern:?} and {name:?}");
            }
        }
    }
}
