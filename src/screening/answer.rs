//! What the application's answer means for the message that it was asked about.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Asker;
use crate::log::ruling::Ruling;
use crate::metrics::{PUBLISH_CALLBACKS, PUBLISH_WAITING};
use crate::outbound::{Answer, SIGNATURE};
use crate::protocol::chat::check_body;
use crate::rooms::characters::{Flaw, flaw, is_visible};

/// The longest reason that is passed on, in characters.
const REASON_CHARACTERS_MAX: usize = 200;

/// What becomes of messages, for their label.
pub(crate) const ANSWERS: [&str; 7] =
    ["allowed", "replaced", "denied", "invalid", "failed", FULL, BARRED];

/// Nobody was asked, because too many messages waited.
pub(crate) const FULL: &str = "full";

/// Whatever the answer was: its author may say nothing any more.
pub(super) const BARRED: &str = "barred";

/// Makes every metric exist at zero, whatever is configured.
pub(crate) fn register() {
    for answer in ANSWERS {
        metrics::counter!(PUBLISH_CALLBACKS, "result" => answer).increment(0);
    }
    metrics::gauge!(PUBLISH_WAITING).set(0.0);
}

/// A body in the place of the message's. A field that it misspells must not mean that it was left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Instead<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Words for the sender of a message that is denied. The rest is for whoever else reads such an answer.
#[derive(Deserialize)]
struct Denied {
    reason: String,
}

impl Asker {
    /// Asks that, and says what the answer means; counted.
    pub(super) async fn ask(&self, question: Option<Vec<u8>>) -> Ruling {
        let (result, ruling) = match question {
            Some(json) => self.ruling(json).await,
            None => ("failed", Ruling::Unanswered),
        };
        metrics::counter!(PUBLISH_CALLBACKS, "result" => result).increment(1);
        ruling
    }

    async fn ruling(&self, json: Vec<u8>) -> (&'static str, Ruling) {
        let mut fields = HeaderMap::new();
        fields.insert(SIGNATURE, self.signer.sign(&json));
        match self.client.post(fields, Bytes::from(json)).await {
            Ok(Answer { status, body }) => meaning(status, &body, self.body_bytes_max),
            Err(_) => ("failed", Ruling::Unanswered),
        }
    }
}

fn meaning(status: StatusCode, body: &[u8], body_bytes_max: usize) -> (&'static str, Ruling) {
    let fault = match status {
        StatusCode::NO_CONTENT => return ("allowed", Ruling::Allowed),
        StatusCode::FORBIDDEN => return ("denied", Ruling::Denied(reason(body))),
        StatusCode::OK => match instead(body, body_bytes_max) {
            Ok(body) => return ("replaced", Ruling::Replaced(body)),
            Err(fault) => fault,
        },
        _ => "its status means nothing",
    };
    let status = status.as_u16();
    tracing::debug!(status, fault, "the publish callback's answer is refused");
    ("invalid", Ruling::Unanswered)
}

fn instead(body: &[u8], body_bytes_max: usize) -> Result<Box<str>, &'static str> {
    let instead: Instead<'_> =
        serde_json::from_slice(body).map_err(|_| "it is not an object with a body and no more")?;
    let body = instead.body.get();
    if body.len() > body_bytes_max {
        return Err("its body is longer than a message may be");
    }
    check_body(body).map_err(|error| error.text())?;
    Ok(body.into())
}

/// The application's words, if they can be shown to anybody.
fn reason(body: &[u8]) -> Option<Box<str>> {
    let Denied { reason } = serde_json::from_slice(body).ok()?;
    let is_safe = reason.chars().count() <= REASON_CHARACTERS_MAX
        && is_visible(&reason)
        && !matches!(flaw(&reason), Some(Flaw::Control | Flaw::Bidi));
    is_safe.then(|| reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &(&str, Ruling)) {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(meaning(status, body.as_bytes(), 20), *expected, "{body}");
    }

    #[test]
    fn an_answer_allows_denies_or_replaces() {
        check(204, "", &("allowed", Ruling::Allowed));
        check(200, r#"{"body": {"a": [1.50]}}"#, &replaced(r#"{"a": [1.50]}"#));
        check(200, r#" { "body" : null } "#, &replaced("null"));
        check(403, r#"{"reason": "No, ünwanted."}"#, &denied(Some("No, ünwanted.")));
        check(403, "<html>no</html>", &denied(None));
        check(403, "", &denied(None));
    }

    #[test]
    fn everything_else_is_no_answer() {
        let bodies = [
            "",
            "{}",
            "[]",
            "null",
            "{\"body\": }",
            r#"{"body": 1, "text": 2}"#,
            r#"{"Body": 1}"#,
            r#"{"body": 1, "body": 2}"#,
            r#"{"body": "a body that is too long"}"#,
            r#"{"body": "\ud800"}"#,
            r#"{"body": 1e999}"#,
        ];
        for body in bodies {
            check(200, body, &("invalid", Ruling::Unanswered));
        }
        for status in [201, 202, 205, 301, 400, 401, 404, 418, 429, 500] {
            check(status, r#"{"body": 1}"#, &("invalid", Ruling::Unanswered));
        }
    }

    #[test]
    fn a_reason_that_cannot_be_shown_is_left_out() {
        check(
            403,
            &format!(r#"{{"reason": "{}"}}"#, "é".repeat(200)),
            &denied(Some(&"é".repeat(200))),
        );
        check(403, &format!(r#"{{"reason": "{}"}}"#, "é".repeat(201)), &denied(None));
        for reason in ["", " ", "a\\nb", "a\\u001b[2Jb", "a\u{202e}b", "\u{200b}"] {
            check(403, &format!(r#"{{"reason": "{reason}"}}"#), &denied(None));
        }
        check(403, r#"{"reason": 1}"#, &denied(None));
    }

    fn replaced(body: &str) -> (&'static str, Ruling) {
        ("replaced", Ruling::Replaced(body.into()))
    }

    fn denied(reason: Option<&str>) -> (&'static str, Ruling) {
        ("denied", Ruling::Denied(reason.map(Into::into)))
    }
}
