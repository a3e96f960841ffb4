//! What is asked of a body besides being JSON: that every reader can read it.
//!
//! The grammar of JSON allows more than its readers take: some end at a depth, most refuse half a surrogate pair or a
//! number that no double can hold. Such a body would be stored and fail in the programs of others.

/// How deep arrays and objects may lie in one another. Common readers end at 128, and put bodies into something.
pub(crate) const BODY_DEPTH_MAX: usize = 64;

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More than [`BODY_DEPTH_MAX`].
    TooDeep,
    /// An escape of half a surrogate pair.
    Surrogate,
    /// A number beyond those of double precision.
    Number,
}

impl BodyError {
    /// The rule, in words for the peer.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::TooDeep => "`body` is nested more than 64 deep",
            Self::Surrogate => "`body` contains half a surrogate pair",
            Self::Number => "`body` contains a number beyond those of double precision",
        }
    }
}

/// Checks a body that is known to be JSON, from its start to its end; its depth costs no stack.
pub(crate) fn check(body: &str) -> Result<(), BodyError> {
    let has_escapes = body.contains('\\');
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = body.as_bytes().get(at) {
        at += 1;
        match byte {
            b'"' if has_escapes => at = escaped_string_end(body.as_bytes(), at)?,
            b'"' => at += body[at..].find('"').map_or(body.len(), |end| end + 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > BODY_DEPTH_MAX {
                    return Err(BodyError::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => at = number_end(body, at - 1)?,
            _ => {}
        }
    }
    Ok(())
}

/// The position behind the quote that ends the string whose content begins here.
fn escaped_string_end(body: &[u8], mut at: usize) -> Result<usize, BodyError> {
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => return Ok(at),
            b'\\' if body.get(at) == Some(&b'u') => match unit(body, at + 1) {
                Some(0xd800..0xdc00) => {
                    let low = body[at + 5..].starts_with(b"\\u").then(|| unit(body, at + 7));
                    let Some(Some(0xdc00..0xe000)) = low else { return Err(BodyError::Surrogate) };
                    at += 11;
                }
                Some(0xdc00..0xe000) | None => return Err(BodyError::Surrogate),
                Some(_) => at += 5,
            },
            b'\\' => at += 1,
            _ => {}
        }
    }
    Ok(at)
}

/// The code unit of UTF-16 that these four digits name.
fn unit(body: &[u8], at: usize) -> Option<u32> {
    let digits = body.get(at..at + 4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// The position behind the number that begins here.
fn number_end(body: &str, start: usize) -> Result<usize, BodyError> {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = body.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
    let number = &body[start..start + length];
    // 308 digits without an exponent are below the largest double.
    let may_be_large = length > 308 || number.contains(['e', 'E']);
    if may_be_large && !number.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(BodyError::Number);
    }
    Ok(start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(body: &str, expected: Result<(), BodyError>) {
        serde_json::from_str::<serde::de::IgnoredAny>(body).expect("JSON");
        assert_eq!(check(body), expected, "{body}");
        // What is taken is what the strictest of the usual readers can read.
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).is_ok(), expected.is_ok());
    }

    #[test]
    fn bodies_that_every_reader_can_read() {
        for body in [
            "null",
            "true",
            "-0.5e-3",
            "1e308",
            "\"\"",
            r#""plain""#,
            r#""[{[{\"}]}]\\""#,
            r#"{"a\\":["\ud83d\udE00","é\n",{"b":[]}],"c":{}}"#,
            r#"["\\ud800","]",1]"#,
        ] {
            is(body, Ok(()));
        }
        is(&"9".repeat(308), Ok(()));
    }

    #[test]
    fn bodies_that_some_reader_could_not_read() {
        for body in
            [r#""\ud800""#, r#""\ud800x""#, r#"["\uDFFF"]"#, r#""\ud83d\ud83d""#, r#""\ud83d\n""#]
        {
            is(body, Err(BodyError::Surrogate));
        }
        is("1e309", Err(BodyError::Number));
        is("[-1E+400]", Err(BodyError::Number));
        is(&"9".repeat(400), Err(BodyError::Number));
    }

    #[test]
    fn depth_is_bounded_and_costs_no_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&nested(64)), Ok(()));
        assert_eq!(check(&nested(65)), Err(BodyError::TooDeep));
        assert_eq!(check(&nested(400_000)), Err(BodyError::TooDeep));
        assert_eq!(check(&"{\"a\":".repeat(65)), Err(BodyError::TooDeep));
        assert_eq!(check(&format!("[{}]", vec!["[]"; 1000].join(","))), Ok(()));
        assert_eq!(check(&format!("\"{}\"", "[".repeat(1000))), Ok(()));
    }
}
