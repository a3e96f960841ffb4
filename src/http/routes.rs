//! The WebSocket paths: which route a request's path belongs to and which room it names.

use std::borrow::Cow;

use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::{
    gate::permissions::{Permissions, Right},
    http::refusal::Refusal,
    rooms::name,
};

/// The last segment of a pattern that takes any room.
const ROOM: &str = "{room}";

/// One WebSocket path as it is configured.
#[derive(Clone, Debug)]
pub struct Route {
    /// A path such as `/echo`, or one such as `/relay/{room}` whose last segment names a room.
    pub pattern: String,
    /// The subprotocols that its handler speaks (RFC 6455, section 1.9); the peer's order decides.
    pub subprotocols: Vec<String>,
    /// Who may open a session there.
    pub entrance: Entrance,
}

/// Who may open a session at a path of a server that asks who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// Whoever shows a token that is right.
    Token,
    /// The same, or whoever shows none yet: the first message may.
    Hello,
    /// And may join the room that the path names, or this one where it names none.
    Member(&'static str),
}

/// Why a table of routes is wrong.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// Not a path, or with braces elsewhere than in a last segment of `{room}`.
    #[error(
        "route \"{0}\" is neither a path such as \"/echo\" nor one such as \"/relay/{{room}}\""
    )]
    Pattern(String),
    /// The same pattern twice: the second would never be reached.
    #[error("route \"{0}\" is there twice")]
    Twice(String),
    /// Not a token (RFC 9110, section 5.6.2), so no handshake could name it.
    #[error("route \"{pattern}\": \"{subprotocol}\" cannot be the name of a subprotocol")]
    Subprotocol {
        /// The route's pattern.
        pattern: String,
        /// The name in question.
        subprotocol: String,
    },
}

/// The table of routes, in order: the first match counts.
#[derive(Clone, Debug)]
pub struct Routes(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// Where the pattern takes a room, up to and with the slash before it.
    path: String,
    takes_room: bool,
    subprotocols: Vec<HeaderValue>,
    entrance: Entrance,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The position in the table.
    pub(super) route: usize,
    /// The room that the path names.
    pub(super) room: Option<String>,
}

impl Routes {
    /// Checks the table.
    ///
    /// # Errors
    ///
    /// The first route that cannot be.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(routes.len());
        for route in routes {
            let entry = Entry::new(&route)?;
            if entries
                .iter()
                .any(|other| other.path == entry.path && other.takes_room == entry.takes_room)
            {
                return Err(RouteError::Twice(route.pattern));
            }
            entries.push(entry);
        }
        Ok(Self(entries))
    }

    /// Finds the route of a path as it stands in the request, still percent-encoded.
    pub(super) fn find(&self, path: &str) -> Result<Match, Refusal> {
        for (route, entry) in self.0.iter().enumerate() {
            match path.strip_prefix(entry.path.as_str()) {
                Some("") if !entry.takes_room => return Ok(Match { route, room: None }),
                Some(room) if entry.takes_room && !room.is_empty() && !room.contains('/') => {
                    return Ok(Match { route, room: Some(decode(room)?) });
                }
                _ => {}
            }
        }
        Err(Refusal::NotFound)
    }

    /// Whether somebody with these permissions may open a session there.
    pub(super) fn admits(&self, found: &Match, permissions: &Permissions) -> bool {
        match self.0.get(found.route).map(|entry| entry.entrance) {
            Some(Entrance::Member(default)) => {
                let room = found.room.as_deref().unwrap_or(default);
                permissions.of_room(room).has(Right::Join)
            }
            Some(Entrance::Token | Entrance::Hello) => true,
            None => false,
        }
    }

    /// Whether a session may open there before it has shown a token.
    pub(super) fn waits_for_token(&self, found: &Match) -> bool {
        self.0.get(found.route).is_some_and(|entry| entry.entrance == Entrance::Hello)
    }

    /// Picks the first subprotocol of the peer's list that the route speaks.
    pub(super) fn negotiate<'a>(
        &self,
        route: usize,
        mut offered: impl Iterator<Item = &'a [u8]>,
    ) -> Option<&HeaderValue> {
        let spoken = &self.0.get(route)?.subprotocols;
        offered.find_map(|offer| spoken.iter().find(|spoken| spoken.as_bytes() == offer))
    }
}

impl Entry {
    fn new(route: &Route) -> Result<Self, RouteError> {
        let path = route.pattern.strip_suffix(ROOM);
        let takes_room = path.is_some();
        let path = path.unwrap_or(&route.pattern);
        if !path.starts_with('/')
            || (takes_room && !path.ends_with('/'))
            || !path.bytes().all(is_path)
        {
            return Err(RouteError::Pattern(route.pattern.clone()));
        }
        let subprotocols = route.subprotocols.iter().map(|subprotocol| {
            let value = HeaderValue::from_str(subprotocol).ok();
            let value =
                value.filter(|_| !subprotocol.is_empty() && subprotocol.bytes().all(is_token));
            value.ok_or_else(|| RouteError::Subprotocol {
                pattern: route.pattern.clone(),
                subprotocol: subprotocol.clone(),
            })
        });
        Ok(Self {
            path: path.to_owned(),
            takes_room,
            subprotocols: subprotocols.collect::<Result<_, _>>()?,
            entrance: route.entrance,
        })
    }
}

/// The room that a path segment names.
fn decode(segment: &str) -> Result<String, Refusal> {
    let after_percent = segment.split('%').skip(1);
    for rest in after_percent {
        if rest.len() < 2 || !rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit) {
            return Err(Refusal::Encoding);
        }
    }
    let bytes: Cow<'_, [u8]> = percent_decode_str(segment).into();
    name::check(&bytes).map(str::to_owned).map_err(Refusal::RoomName)
}

/// What a configured path may hold: nothing that a browser would encode, resolve or cut off.
const fn is_path(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~')
}

const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::name::RoomNameError;

    fn route(pattern: &str) -> Route {
        let (pattern, subprotocols) = (pattern.to_owned(), Vec::new());
        Route { pattern, subprotocols, entrance: Entrance::Token }
    }

    fn table() -> Routes {
        let patterns = ["/", "/relay/{room}", "/relay/lobby", "/echo"];
        Routes::new(patterns.map(route).into()).expect("the table is right")
    }

    fn check(path: &str, expected: Result<(usize, Option<&str>), Refusal>) {
        let expected = expected.map(|(route, room)| Match { route, room: room.map(str::to_owned) });
        assert_eq!(table().find(path), expected, "{path:?}");
    }

    #[test]
    fn paths() {
        check("/", Ok((0, None)));
        check("/echo", Ok((3, None)));
        check("/relay/lobby", Ok((1, Some("lobby"))));
        check("/relay/caf%C3%A9", Ok((1, Some("caf\u{e9}"))));
        check("/relay/caf\u{e9}", Ok((1, Some("caf\u{e9}"))));
        check("/relay/a%2Fb%3f%23", Ok((1, Some("a/b?#"))));
        check("/relay/a+b", Ok((1, Some("a+b"))));
        check("/relay/%25", Ok((1, Some("%"))));
        check("/relay/{room}", Ok((1, Some("{room}"))));
        for nowhere in [
            "",
            "*",
            "/Echo",
            "/echo/",
            "//echo",
            "/relay",
            "/relay/",
            "/relay/a/b",
            "/relay/a/",
            "/ech%6f",
        ] {
            check(nowhere, Err(Refusal::NotFound));
        }
        for malformed in [
            "/relay/%",
            "/relay/%2",
            "/relay/%zz",
            "/relay/a%2gb",
            "/relay/%%41",
            "/relay/%\u{e9}1",
        ] {
            check(malformed, Err(Refusal::Encoding));
        }
        check("/relay/%2e%2e", Err(Refusal::RoomName(RoomNameError::Dots)));
        check("/relay/%00", Err(Refusal::RoomName(RoomNameError::Control)));
        check("/relay/%ff", Err(Refusal::RoomName(RoomNameError::NotUtf8)));
        check("/relay/%E2%80%AE", Err(Refusal::RoomName(RoomNameError::Bidi)));
        check("/relay/cafe%CC%81", Err(Refusal::RoomName(RoomNameError::NotNfc)));
        check(
            &format!("/relay/{}", "x".repeat(201)),
            Err(Refusal::RoomName(RoomNameError::TooLong)),
        );
    }

    #[test]
    fn patterns_that_cannot_be() {
        for pattern in [
            "",
            "echo",
            "{room}",
            "/a{room}",
            "/{room}/b",
            "/{room}/{room}",
            "/a b",
            "/a?b",
            "/a#b",
            "/%41",
        ] {
            let found = Routes::new(vec![route(pattern)]).map(|_| ());
            assert_eq!(found, Err(RouteError::Pattern(pattern.to_owned())));
        }
        let twice = Routes::new(vec![route("/a"), route("/a/{room}"), route("/a")]).map(|_| ());
        assert_eq!(twice, Err(RouteError::Twice("/a".to_owned())));
    }

    #[test]
    fn subprotocols() {
        let speaks = |names: &[&str]| {
            let subprotocols = names.iter().map(|&name| name.to_owned()).collect();
            let pattern = "/".to_owned();
            Routes::new(vec![Route { pattern, subprotocols, entrance: Entrance::Token }])
        };
        let routes = speaks(&["uproar.chat.v2", "uproar.chat.v1"]).expect("the table is right");
        let pick = |offered: &[&str]| {
            let picked = routes.negotiate(0, offered.iter().map(|offer| offer.as_bytes()));
            picked.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(
            pick(&["mqtt", "uproar.chat.v1", "uproar.chat.v2"]).as_deref(),
            Some("uproar.chat.v1")
        );
        assert_eq!(pick(&["UPROAR.CHAT.V1"]), None);
        assert_eq!(pick(&[]), None);
        for bad in ["", "a b", "a,b", "a\r\nb", "caf\u{e9}"] {
            assert!(matches!(speaks(&[bad]), Err(RouteError::Subprotocol { .. })), "{bad:?}");
        }
    }
}
