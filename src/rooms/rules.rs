//! How a room's messages are kept and shown, by its name: the first rule whose pattern matches.

use super::name::RoomNameError;
use super::pattern::{ANY, Pattern};

/// How the rooms of some names are kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRule {
    /// The names: `*` stands for any run of characters, everything else for itself.
    pub pattern: String,
    /// Where messages are kept.
    pub engine: Engine,
    /// How long a message is kept, in seconds; without it, as long as the count allows.
    pub retention_secs: Option<u64>,
    /// How many of a room's latest messages are kept; without it, as many as the time allows.
    pub retention_messages: Option<u64>,
    /// How many of the latest messages a join brings that does not say how many it wants.
    pub history: u32,
    /// What the members of a room are told of who is there.
    pub presence: PresenceMode,
}

/// Where the messages of a room are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// On disk: an ack survives the process.
    Durable,
    /// In memory: all of it is gone when the process is.
    Memory,
}

/// What the members of a room are told of who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceMode {
    /// Who is there, who comes and who goes.
    Members,
    /// How many are there.
    Count,
    /// Nothing.
    Off,
}

impl Default for RoomRule {
    /// What holds for a room that no rule is about.
    fn default() -> Self {
        Self {
            pattern: ANY.into(),
            engine: Engine::Durable,
            retention_secs: Some(30 * 24 * 60 * 60),
            retention_messages: None,
            history: 50,
            presence: PresenceMode::Members,
        }
    }
}

impl RoomRule {
    /// Whether rooms of that name are meant.
    #[must_use]
    pub fn matches(&self, room: &str) -> bool {
        Pattern::new(&self.pattern).matches(room)
    }

    /// Whether every name that `other` matches is matched by this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // No character but the other's own `*` stands for any run, and only a `*` of this pattern takes that one.
        self.matches(&other.pattern)
    }

    /// Says why no room could have a name of this pattern.
    ///
    /// # Errors
    /// The first rule for room names that the pattern itself breaks.
    pub fn check_pattern(&self) -> Result<(), RoomNameError> {
        Pattern::check(&self.pattern)
    }
}

/// The rules in force, ready to be looked up by a room's name.
#[derive(Clone, Debug, Default)]
pub struct RoomRules {
    rules: Vec<(Pattern, RoomRule)>,
    default: RoomRule,
}

impl RoomRules {
    /// These rules, the first that matches before the others. Joins bring at most `history_max` messages, whatever a
    /// rule says.
    #[must_use]
    pub fn new(rules: &[RoomRule], history_max: u32) -> Self {
        let capped =
            |rule: &RoomRule| RoomRule { history: rule.history.min(history_max), ..rule.clone() };
        let compiled = |rule: &RoomRule| (Pattern::new(&rule.pattern), capped(rule));
        Self { rules: rules.iter().map(compiled).collect(), default: capped(&RoomRule::default()) }
    }

    /// The rule for a room.
    #[must_use]
    pub fn of(&self, room: &str) -> &RoomRule {
        let first = self.rules.iter().find(|(pattern, _)| pattern.matches(room));
        first.map_or(&self.default, |(_, rule)| rule)
    }

    /// The rule for rooms that no pattern matches, and for direct conversations.
    #[must_use]
    pub const fn default_rule(&self) -> &RoomRule {
        &self.default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str) -> RoomRule {
        RoomRule { pattern: pattern.into(), ..RoomRule::default() }
    }

    #[test]
    fn a_star_stands_for_any_run_and_everything_else_for_itself() {
        let table = [
            ("lobby", "lobby", true),
            ("lobby", "lobbyx", false),
            ("lobby", "Lobby", false),
            ("*", "anything/at all", true),
            ("**", "x", true),
            ("game/*", "game/", true),
            ("game/*", "game/7/red", true),
            ("game/*", "games/7", false),
            ("*/red", "game/7/red", true),
            ("*/red", "game/7/redder", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c-c", true),
            ("a*b*c", "acb", false),
            ("a*b*c", "ab", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("*ab*ba*", "abxaba", true),
            ("*ab*ba*", "aba", false),
            ("a?[b].c", "a?[b].c", true),
            ("a?c", "abc", false),
            ("日*語", "日本語", true),
            ("日*語", "日本", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(rule(pattern).matches(name), expected, "{pattern:?} and {name:?}");
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
    fn a_pattern_covers_another_when_it_matches_all_of_its_names() {
        let names = texts("ab", 6);
        let patterns = texts("ab*", 3);
        for one in &patterns {
            for other in &patterns {
                let all = names.iter().filter(|name| rule(other).matches(name));
                let found = all.clone().all(|name| rule(one).matches(name));
                // With a letter that neither of them has, so that a short list of names cannot deceive.
                let with_c = other.replace('*', "cc");
                let expected = found && rule(one).matches(&with_c);
                assert_eq!(rule(one).covers(&rule(other)), expected, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_and_a_default_is_left() {
        let rules = [
            RoomRule { history: 7, ..rule("game/1*") },
            RoomRule { engine: Engine::Memory, history: 500, ..rule("game/*") },
        ];
        let rules = RoomRules::new(&rules, 100);
        assert_eq!(rules.of("game/12").history, 7);
        assert_eq!(rules.of("game/2").engine, Engine::Memory);
        assert_eq!(rules.of("game/2").history, 100, "no more than a join may bring");
        assert_eq!(rules.of("lobby"), rules.default_rule());
        assert_eq!(rules.default_rule(), &RoomRule::default());
        assert_eq!(RoomRules::new(&[], 10).default_rule().history, 10);
    }

    #[test]
    fn a_pattern_that_fits_no_name_is_found() {
        assert_eq!(rule("a/*").check_pattern(), Ok(()));
        assert_eq!(rule("").check_pattern(), Err(RoomNameError::Empty));
        assert_eq!(rule("..").check_pattern(), Err(RoomNameError::Dots));
        assert_eq!(rule("cafe\u{301}*").check_pattern(), Err(RoomNameError::NotNfc));
    }
}
