//! Which paths the API has, what may be done there, and who may.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::http::api::problem::Problem;

/// Where the API begins.
pub(super) const PREFIX: &str = "/api/v1";

/// What a key may be good for.
pub const API_SCOPES: [&str; 4] = ["publish", "read", "users", "moderate"];

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Document,
    Publish,
    Rooms,
    History,
    Members,
    User,
    Disconnect,
    Mute,
    Unmute,
    Ban,
    Unban,
    Direct,
    Redact,
    RedactDirect,
    Clear,
    Erase,
    Stats,
}

/// One path.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// As the documentation writes it, below the prefix.
    pub(super) template: &'static str,
    pub(super) methods: &'static [(Method, Action)],
}

/// Every path.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    at("/openapi.json", &[(Method::GET, Action::Document)]),
    at("/publish", &[(Method::POST, Action::Publish)]),
    at("/rooms", &[(Method::GET, Action::Rooms)]),
    at("/rooms/{room}/history", &[(Method::GET, Action::History)]),
    at("/rooms/{room}/log", &[(Method::DELETE, Action::Clear)]),
    at("/rooms/{room}/members", &[(Method::GET, Action::Members)]),
    at("/rooms/{room}/redact", &[(Method::POST, Action::Redact)]),
    at("/stats", &[(Method::GET, Action::Stats)]),
    at("/users/{user}", &[(Method::GET, Action::User)]),
    at("/users/{user}/ban", &[(Method::POST, Action::Ban), (Method::DELETE, Action::Unban)]),
    at("/users/{user}/disconnect", &[(Method::POST, Action::Disconnect)]),
    at(
        "/users/{user}/messages",
        &[(Method::POST, Action::Direct), (Method::DELETE, Action::Erase)],
    ),
    at("/users/{user}/mute", &[(Method::POST, Action::Mute), (Method::DELETE, Action::Unmute)]),
    at("/users/{user}/redact", &[(Method::POST, Action::RedactDirect)]),
];

/// The values of the label `route`; the last one is for paths that are none.
pub(crate) const ROUTES: [&str; ENDPOINTS.len() + 1] = routes();

const fn at(template: &'static str, methods: &'static [(Method, Action)]) -> Endpoint {
    Endpoint { template, methods }
}

const fn routes() -> [&'static str; ENDPOINTS.len() + 1] {
    let mut routes = ["none"; ENDPOINTS.len() + 1];
    let mut at = 0;
    while at < ENDPOINTS.len() {
        routes[at] = ENDPOINTS[at].template;
        at += 1;
    }
    routes
}

impl Action {
    /// What a key must be good for; `None` where any key will do.
    pub(super) const fn scope(self) -> Option<&'static str> {
        match self {
            Self::Document => None,
            Self::Publish | Self::Direct => Some("publish"),
            Self::Rooms | Self::History | Self::Members | Self::User | Self::Stats => Some("read"),
            Self::Disconnect | Self::Mute | Self::Unmute | Self::Ban | Self::Unban => Some("users"),
            Self::Redact | Self::RedactDirect | Self::Clear | Self::Erase => Some("moderate"),
        }
    }
}

/// A path that is one of these.
#[derive(Debug)]
pub(super) struct Place<'p> {
    pub(super) endpoint: &'static Endpoint,
    /// The room or user that it names, still percent-encoded.
    named: &'p str,
}

impl<'p> Place<'p> {
    /// Where a path leads that stands below the prefix.
    pub(super) fn find(path: &'p str) -> Option<Self> {
        ENDPOINTS.iter().find_map(|endpoint| {
            let named = matched(endpoint.template, path)?;
            Some(Self { endpoint, named })
        })
    }

    /// The methods that the path takes, as a header writes them.
    pub(super) fn allow(&self) -> String {
        let methods = self.endpoint.methods.iter().map(|(method, _)| method.as_str());
        let mut allow: Vec<_> = methods.collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.push("OPTIONS");
        allow.join(", ")
    }

    /// What is asked for.
    pub(super) fn action(&self, method: &Method) -> Option<Action> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let found = self.endpoint.methods.iter().find(|(taken, _)| taken == method);
        found.map(|(_, action)| *action)
    }

    /// The room or user that the path names.
    pub(super) fn name(&self) -> Result<Cow<'p, str>, Problem> {
        decode(self.named)
    }
}

/// What of a path stands in the place of the template's braces; empty where it has none.
fn matched<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, rest)) = template.split_once('{') else {
        return (template == path).then_some("");
    };
    let (_, after) = rest.split_once('}')?;
    let named = path.strip_prefix(before)?.strip_suffix(after)?;
    (!named.is_empty() && !named.contains('/')).then_some(named)
}

/// The text that is percent-encoded.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    let is_pair =
        |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !text.split('%').skip(1).all(is_pair) {
        return Err(Problem::malformed(
            "there is a percent sign without two hexadecimal digits behind it",
        ));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| Problem::malformed("what is percent-encoded is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let found = |path| {
            let place = Place::find(path)?;
            let name = place.name().map_or_else(|_| "-".to_owned(), |name| name.into_owned());
            Some(format!("{} {name}", place.endpoint.template))
        };
        for (path, expected) in [
            ("/rooms", Some("/rooms ")),
            ("/rooms/a%2Fb/history", Some("/rooms/{room}/history a/b")),
            ("/rooms/a%2/history", Some("/rooms/{room}/history -")),
            ("/rooms/%ff/members", Some("/rooms/{room}/members -")),
            ("/users/caf%C3%A9", Some("/users/{user} caf\u{e9}")),
            ("/users/ann/ban", Some("/users/{user}/ban ann")),
            ("/users/", None),
            ("/users/ann/", None),
            ("/users//ban", None),
            ("/rooms/a/b/history", None),
            ("/rooms/history", None),
            ("", None),
        ] {
            assert_eq!(found(path).as_deref(), expected, "{path}");
        }
        let place = Place::find("/users/ann/ban").expect("a path");
        assert_eq!(place.allow(), "POST, DELETE, OPTIONS");
        assert_eq!(place.action(&Method::DELETE), Some(Action::Unban));
        assert_eq!(place.action(&Method::HEAD), None);
        assert_eq!(Place::find("/rooms").expect("a path").allow(), "GET, HEAD, OPTIONS");
    }

    #[test]
    fn scopes_are_known() {
        let actions = ENDPOINTS.iter().flat_map(|endpoint| endpoint.methods);
        for (_, action) in actions {
            assert!(action.scope().is_none_or(|scope| API_SCOPES.contains(&scope)), "{action:?}");
        }
    }
}
