//! What a request brings: its body as strict JSON, its query, the names in both; and what is wrong with them.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::{Body, Incoming},
    header,
};
use serde::{Deserialize, Deserializer, de};
use serde_json::Number;
use tokio::time;

use crate::{
    gate::auth::present,
    http::api::{endpoints::decode, problem::Problem},
    protocol::chat::{GUEST_PREFIX, Identity, SEQ_MAX, check_name, check_user_id},
    rooms::name,
};

/// The body of a request that has one.
pub(super) async fn body(
    headers: &HeaderMap,
    body: Incoming,
    bytes_max: usize,
    patience: Duration,
) -> Result<String, Problem> {
    if !is_json(headers) {
        let detail = "the body must be JSON: Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
    }
    let too_large = || Problem::too_large("the body is larger than api.body_bytes_max");
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let Ok(read) = time::timeout(patience, Limited::new(body, bytes_max).collect()).await else {
        let detail = "the body took too long";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail));
    };
    let bytes = match read {
        Ok(read) => read.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Err(_) => return Err(Problem::malformed("the body ends too early")),
    };
    String::from_utf8(bytes.into()).map_err(|_| Problem::malformed("the body is not UTF-8"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Ok(line) = line.to_str() else { return false };
    let (kind, parameters) = line.split_once(';').unwrap_or((line, ""));
    let parameters = parameters.trim();
    let is_utf8 = parameters.is_empty()
        || parameters.eq_ignore_ascii_case("charset=utf-8")
        || parameters.eq_ignore_ascii_case("charset=\"utf-8\"");
    kind.trim().eq_ignore_ascii_case("application/json") && is_utf8
}

/// An object with those fields and no others, each of them once.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // A struct is also read from an array of its fields.
    if !text.starts_with('{') && serde_json::from_str::<de::IgnoredAny>(text).is_ok() {
        return Err(Problem::invalid("an object is needed"));
    }
    serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => Problem::invalid(error.to_string()),
        false => Problem::malformed(format!("not JSON: {error}")),
    })
}

/// A whole number below 2^53, however JSON writes it.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let in_full = number.as_f64().filter(|float| float.fract() == 0.0);
    let whole = number.as_u64().or_else(|| {
        in_full.filter(|float| (0.0..=SEQ_MAX as f64).contains(float)).map(|float| float as u64)
    });
    let whole = whole.filter(|whole| *whole <= SEQ_MAX);
    whole.map(Some).ok_or_else(|| de::Error::custom("a whole number below 2^53 is needed"))
}

/// A user in whose name something is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Author {
    user: String,
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
}

/// The same, checked: no guest, because those are the server's own.
pub(super) fn author(text: &str) -> Result<Identity, Problem> {
    let Author { user, name } = object(text)?;
    self::user(&user)?;
    if user.starts_with(GUEST_PREFIX) {
        return Err(Problem::invalid("`from.user` is the id of a guest"));
    }
    let name = name.unwrap_or_else(|| user.chars().take(NAME_CHARACTERS).collect());
    check_name(&name)
        .map_err(|error| Problem::invalid(format!("`from.name`: {}", error.text())))?;
    Ok(Identity { user: user.into(), name: name.into(), is_guest: false })
}

/// What a display name has at most.
const NAME_CHARACTERS: usize = 64;

/// A user's id that can be one.
pub(super) fn user(id: &str) -> Result<(), Problem> {
    check_user_id(id).map_err(|error| Problem::invalid(format!("the user's id: {}", error.text())))
}

/// A room's name that can be one.
pub(super) fn room(room: &str) -> Result<(), Problem> {
    match name::check(room.as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::invalid(format!("the room's name: {}", error.text()))),
    }
}

/// The parameters of a query, each there once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let text = |text: &str| Ok::<_, Problem>(decode(&text.replace('+', " "))?.into_owned());
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (text(name)?, text(value)?);
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid("a parameter is there twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn whole(
        &mut self,
        name: &str,
        (min, max): (u64, u64),
    ) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && (min..=max).contains(number));
        let problem = || Problem::invalid(format!("`{name}` must be from {min} to {max}"));
        number.map(Some).ok_or_else(problem)
    }

    /// Nothing else may be there.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid("there is a parameter that this path does not take")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default, deserialize_with = "whole")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "present")]
        text: Option<String>,
    }

    fn number(text: &str) -> Option<Option<u64>> {
        object::<Sample>(text).ok().inspect(|sample| drop(sample.text.clone())).map(|it| it.number)
    }

    #[test]
    fn bodies_are_strict() {
        assert_eq!(number(" {\"number\": 7}\r\n"), Some(Some(7)));
        assert_eq!(number(r#"{"number": 7.0, "text": "a"}"#), Some(Some(7)));
        assert_eq!(number("{}"), Some(None));
        for wrong in [
            "",
            "7",
            "[7]",
            "[]",
            "null",
            "{",
            "{}{}",
            r#"{"number": null}"#,
            r#"{"text": null}"#,
            r#"{"number": -1}"#,
            r#"{"number": 7.5}"#,
            r#"{"number": 1e300}"#,
            r#"{"number": 9007199254740992}"#,
            r#"{"other": 1}"#,
            r#"{"number": 1, "number": 1}"#,
        ] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn queries_are_strict() {
        let read = |text| -> Result<(Option<String>, Option<u64>), Problem> {
            let mut query = Query::read(Some(text))?;
            let found = (query.text("prefix"), query.whole("limit", (1, 10))?);
            query.end().map(|()| found)
        };
        let (prefix, limit) = read("prefix=a%2Fb+c&limit=10").expect("right");
        assert_eq!((prefix.as_deref(), limit), (Some("a/b c"), Some(10)));
        for wrong in
            ["limit=0", "limit=11", "limit=", "limit=+1", "limit=1&limit=1", "x=1", "prefix=%zz"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
