//! The token that a handshake shows: found wherever it may be, and taken out of the request, so that neither a handler
//! nor a log ever sees it.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;

use crate::http::refusal::Refusal;

/// A subprotocol that begins so is not one: what follows is a token. The answer never names it.
const SUBPROTOCOL_PREFIX: &[u8] = b"uproar.token.";

/// The subprotocol that is spoken where a client offers it beside its token and nothing else that the path speaks:
/// browsers want one of what they offer to be taken.
pub(super) const SUBPROTOCOL: &str = "uproar.token";

/// Where tokens may be, beside `Authorization` and `Sec-WebSocket-Protocol`; empty names are of nothing.
#[derive(Clone, Debug, Default)]
pub struct TokenPlaces {
    /// The name of a cookie.
    pub cookie: String,
    /// The name of a query parameter.
    pub query_parameter: String,
}

/// Takes the token out of a request; `None` if there is none.
///
/// # Errors
/// More than one: which of them is meant is not guessed.
pub(super) fn take(
    headers: &mut HeaderMap,
    uri: &mut Uri,
    places: &TokenPlaces,
) -> Result<Option<String>, Refusal> {
    let mut found = bearer(headers);
    found.extend(subprotocol(headers));
    if !places.cookie.is_empty() {
        found.extend(cookie(headers, &places.cookie));
    }
    if !places.query_parameter.is_empty() {
        found.extend(query_parameter(uri, &places.query_parameter)?);
    }
    if found.len() > 1 { Err(Refusal::TwoTokens) } else { Ok(found.pop()) }
}

/// From `Authorization: Bearer …`; other schemes are not ours and stay.
fn bearer(headers: &mut HeaderMap) -> Vec<String> {
    without(headers, &header::AUTHORIZATION, None, |line| {
        let (scheme, token) = line.split_at_checked(6)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer") && token.first() == Some(&b' ');
        is_bearer.then(|| token.trim_ascii())
    })
}

/// From the offered subprotocols.
fn subprotocol(headers: &mut HeaderMap) -> Vec<String> {
    without(headers, &header::SEC_WEBSOCKET_PROTOCOL, Some(b','), |offer| {
        offer.trim_ascii().strip_prefix(SUBPROTOCOL_PREFIX)
    })
}

/// From the cookie of that name (RFC 6265, section 5.4).
fn cookie(headers: &mut HeaderMap, name: &str) -> Vec<String> {
    without(headers, &header::COOKIE, Some(b';'), |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start();
        let value = value.strip_prefix(b"=")?.trim_ascii();
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// From the query, which is left without it.
fn query_parameter(uri: &mut Uri, name: &str) -> Result<Vec<String>, Refusal> {
    let Some(query) = uri.query() else { return Ok(Vec::new()) };
    let mut tokens = Vec::new();
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let value = match pair.split_once('=') {
                Some((key, value)) if key == name => value,
                None if *pair == name => "",
                _ => return true,
            };
            tokens.push(percent_decode_str(value).decode_utf8_lossy().into_owned());
            false
        })
        .collect();
    if tokens.is_empty() {
        return Ok(tokens);
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    let rest = format!("{}{mark}{}", uri.path(), kept.join("&"));
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).map_err(|_| Refusal::Malformed)?);
    *uri = Uri::from_parts(parts).map_err(|_| Refusal::Malformed)?;
    Ok(tokens)
}

/// Takes the tokens out of a field whose lines are lists with that separator, or one element each; what is left of a
/// line stays.
fn without(
    headers: &mut HeaderMap,
    name: &HeaderName,
    separator: Option<u8>,
    token: impl Fn(&[u8]) -> Option<&[u8]>,
) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        let elements = line.as_bytes().split(|byte| Some(*byte) == separator);
        let (mut kept, before) = (Vec::new(), tokens.len());
        for element in elements {
            match token(element) {
                Some(token) => tokens.push(String::from_utf8_lossy(token).into_owned()),
                None => kept.push(element),
            }
        }
        if tokens.len() == before {
            lines.push(line.clone());
        } else if !kept.is_empty() {
            let separator = separator.map_or(Vec::new(), |separator| vec![separator]);
            // Pieces of a value, put together by what separated them, are one again.
            lines.extend(HeaderValue::from_bytes(kept.join(&separator[..]).trim_ascii()).ok());
        }
    }
    if !tokens.is_empty() {
        headers.remove(name);
        for line in lines {
            headers.append(name, line);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a request with those fields and that target, and what is left of both.
    fn taken(fields: &[(&str, &str)], target: &str) -> (Result<Option<String>, Refusal>, String) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        let mut uri: Uri = target.parse().expect("a target");
        let places = TokenPlaces { cookie: "session".into(), query_parameter: "token".into() };
        let found = take(&mut headers, &mut uri, &places);
        let left = headers.values().map(|value| value.to_str().expect("text"));
        let left: Vec<_> = left.map(str::to_owned).chain([uri.to_string()]).collect();
        (found, left.join(" | "))
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], target: &str, token: Option<&str>, left: &str) {
        let (found, rest) = taken(fields, target);
        assert_eq!(found, Ok(token.map(str::to_owned)), "{fields:?} {target}");
        assert_eq!(rest, left, "{fields:?} {target}");
    }

    #[test]
    fn a_token_is_found_wherever_it_is_and_taken_out() {
        check(&[("authorization", "Bearer a.b.c")], "/", Some("a.b.c"), "/");
        check(&[("authorization", "bearer   a.b.c ")], "/", Some("a.b.c"), "/");
        check(&[("cookie", "session=a.b.c")], "/", Some("a.b.c"), "/");
        check(
            &[("cookie", "one=1; session=\"a.b.c\"; two=2")],
            "/",
            Some("a.b.c"),
            "one=1; two=2 | /",
        );
        check(&[("sec-websocket-protocol", "uproar.token.a.b.c")], "/", Some("a.b.c"), "/");
        check(
            &[("sec-websocket-protocol", "uproar.chat.v1, uproar.token.a.b.c, mqtt")],
            "/",
            Some("a.b.c"),
            "uproar.chat.v1, mqtt | /",
        );
        check(&[], "/relay/x?token=a.b.c", Some("a.b.c"), "/relay/x");
        check(&[], "/?one=1&token=a%2Eb.c&two=2", Some("a.b.c"), "/?one=1&two=2");
        check(&[], "http://host:80/?token=a", Some("a"), "http://host:80/");
        check(&[], "/?token", Some(""), "/");
    }

    #[test]
    fn what_is_not_ours_stays() {
        let target = "/?tokens=1&Token=2&x=token=3";
        let fields = [
            ("authorization", "Basic dTpw"),
            ("cookie", "sessions=1; Session=2; x=session=3"),
            ("sec-websocket-protocol", "uproar.token, uproar.tokens.x"),
        ];
        let left = "Basic dTpw | sessions=1; Session=2; x=session=3 | uproar.token, uproar.tokens.x | \
                    /?tokens=1&Token=2&x=token=3";
        check(&fields, target, None, left);
        check(&[("authorization", "Bearer")], "/", None, "Bearer | /");
    }

    #[test]
    fn of_two_tokens_none_is_guessed_at_and_none_is_left() {
        let one = ("authorization", "Bearer a");
        for (fields, target) in [
            (vec![one], "/?token=a"),
            (vec![one, one], "/"),
            (vec![one, ("cookie", "session=b")], "/"),
            (vec![("cookie", "session=a; session=b")], "/"),
            (vec![("sec-websocket-protocol", "uproar.token.a,uproar.token.a")], "/"),
            (vec![], "/?token=a&token=b"),
        ] {
            assert_eq!(taken(&fields, target), (Err(Refusal::TwoTokens), "/".to_owned()));
        }
    }
}
