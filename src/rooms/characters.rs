//! Which characters may be in what people name: rooms, users and themselves.

use unicode_normalization::is_nfc;

/// Why a text cannot be a name of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A C0 or C1 control character, or DEL.
    Control,
    /// A character that reorders the text around it, so that one name can look like another.
    Bidi,
    /// Not in Unicode normalization form C: two names that look the same would be two.
    NotNfc,
}

/// The first rule that the text breaks.
pub(crate) fn flaw(text: &str) -> Option<Flaw> {
    if text.is_ascii() {
        return text.bytes().any(|byte| byte.is_ascii_control()).then_some(Flaw::Control);
    }
    if text.chars().any(char::is_control) {
        Some(Flaw::Control)
    } else if text.chars().any(overrides_direction) {
        Some(Flaw::Bidi)
    } else {
        (!is_nfc(text)).then_some(Flaw::NotNfc)
    }
}

/// Embeddings, overrides and isolates of the bidirectional algorithm (UAX #9, section 2). The plain marks stay
/// allowed: they change nothing but themselves, and right-to-left names need them.
const fn overrides_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether there is anything to be seen: a character that is neither space nor ignored by every font (the property
/// `Default_Ignorable_Code_Point` of the Unicode Character Database).
pub(crate) fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_ignorable(c))
}

const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws() {
        for (text, expected) in [
            ("", None),
            ("plain", None),
            ("caf\u{e9} 日本語 👍🏽", None),
            ("שלום\u{200f}", None),
            ("a\tb", Some(Flaw::Control)),
            ("é\u{85}", Some(Flaw::Control)),
            ("a\u{7f}", Some(Flaw::Control)),
            ("a\u{202e}b", Some(Flaw::Bidi)),
            ("cafe\u{301}", Some(Flaw::NotNfc)),
        ] {
            assert_eq!(flaw(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_can_be_seen() {
        for visible in ["a", " a ", "\u{200b}é", "👍🏽", "\u{301}"] {
            assert!(is_visible(visible), "{visible:?}");
        }
        for nothing in ["", " ", "\u{a0}\u{3000}", "\u{200b}", "\u{3164} \u{feff}", "\u{e0041}"] {
            assert!(!is_visible(nothing), "{nothing:?}");
        }
    }
}
