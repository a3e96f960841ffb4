//! The origin rule: which sites may speak to the server, and under which names it answers.
//!
//! A WebSocket is not bound by the same-origin policy: any page that a person visits may open one, to that person's
//! own machine or to a server that knows the person by a cookie, and a name that an attacker controls may be pointed
//! anywhere (DNS rebinding). So an open server on a loopback address answers only where the request names a loopback
//! host and the page comes from this machine too, and any other only the pages and names that its operator lists.

use std::sync::Arc;

use hyper::header::HeaderValue;

use crate::gate::allowed::{AllowedHost, AllowedOrigin, Origin};
use crate::gate::host::{Authority, Host};

/// The longest origin that is repeated in the log; the name of a host has at most 253 bytes.
const LOGGED_BYTES_MAX: usize = 300;

/// Whom the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginRule {
    /// Anybody: the network was let in on purpose.
    Any,
    /// Requests to a loopback host, from programs and from pages of loopback hosts.
    Loopback {
        /// Whether pages without an origin of their own are let in, too: files, and frames that some page, whosever
        /// it is, has put into a sandbox.
        files: bool,
    },
    /// What an operator lists.
    Listed(Arc<Listed>),
}

/// What an operator lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The pages.
    pub pages: Pages,
    /// The names that requests may be for; any where it is empty.
    pub hosts: Vec<AllowedHost>,
    /// Whether what is no page, and so names no origin, needs no token.
    pub lets_programs_in: bool,
}

/// The pages that may open sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// All there are.
    Any,
    /// Those of the host that the request is for, by whichever scheme.
    #[default]
    Own,
    /// Those of them that came by https.
    OwnSecure,
    /// Those of these origins.
    Of(Vec<AllowedOrigin>),
}

/// Whose request it is that was not forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// Somebody who may come in as far as the rule goes.
    Welcome,
    /// A program, which may come in if it shows a token: see [`admit`](Self::admit).
    Program,
}

/// Why a request is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It names a host that is not this machine.
    Host,
    /// It comes from a page of a foreign site.
    Origin,
    /// It names a host that is not listed.
    UnlistedHost,
    /// It comes from a page that is not listed.
    UnlistedOrigin,
    /// It names no origin and shows no token.
    NoOrigin,
}

impl OriginRule {
    /// Judges a request by the host that it names and by its `Origin` fields, of which a browser sends one.
    ///
    /// # Errors
    ///
    /// Which of the two is foreign.
    pub fn check<'a>(
        &self,
        authority: Authority<'_>,
        origins: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Visitor, Foreign> {
        let mut origins = origins.into_iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) => Some(origin),
            // No browser does that, so that it says nothing at all.
            (Some(_), Some(_)) => Some(&b""[..]),
        };
        match self {
            Self::Any => Ok(Visitor::Welcome),
            Self::Loopback { .. } if !authority.host.is_loopback() => Err(Foreign::Host),
            Self::Loopback { files } if origin.is_none_or(|origin| is_local(origin, *files)) => {
                Ok(Visitor::Welcome)
            }
            Self::Loopback { .. } => Err(Foreign::Origin),
            Self::Listed(listed) => listed.check(authority, origin),
        }
    }
}

impl Listed {
    fn check(&self, authority: Authority<'_>, origin: Option<&[u8]>) -> Result<Visitor, Foreign> {
        if !self.hosts.is_empty() && !self.hosts.iter().any(|host| host.matches(authority)) {
            return Err(Foreign::UnlistedHost);
        }
        let Some(origin) = origin else {
            return Ok(if self.lets_programs_in { Visitor::Welcome } else { Visitor::Program });
        };
        let named = str::from_utf8(origin).ok().and_then(Origin::parse);
        let is_listed = match &self.pages {
            Pages::Any => true,
            Pages::Own => named.is_some_and(|origin| origin.is_of(authority)),
            Pages::OwnSecure => named.is_some_and(|origin| {
                origin.scheme.eq_ignore_ascii_case("https") && origin.is_of(authority)
            }),
            Pages::Of(list) => {
                named.is_some_and(|origin| list.iter().any(|allowed| allowed.matches(&origin)))
            }
        };
        if is_listed { Ok(Visitor::Welcome) } else { Err(Foreign::UnlistedOrigin) }
    }
}

impl Visitor {
    /// Whether the request opens a session, now that it is known whether it shows a token.
    ///
    /// # Errors
    ///
    /// It is a program's, without one.
    pub const fn admit(self, has_token: bool) -> Result<(), Foreign> {
        match self {
            Self::Program if !has_token => Err(Foreign::NoOrigin),
            _ => Ok(()),
        }
    }
}

/// A page served by a loopback host on any port; with `files` one whose origin browsers do not tell, too.
fn is_local(origin: &[u8], files: bool) -> bool {
    let Ok(origin) = str::from_utf8(origin) else { return false };
    if origin == "null" {
        return files;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && Host::parse(authority).is_some_and(Host::is_loopback)
}

/// An origin as the log tells it. What is longer than any is not repeated there.
pub(crate) fn told(origin: &HeaderValue) -> Option<&str> {
    let origin = origin.to_str().ok()?;
    (origin.len() <= LOGGED_BYTES_MAX).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: OriginRule = OriginRule::Loopback { files: true };
    const HERE: Authority<'_> = at("localhost");

    const fn at(name: &str) -> Authority<'_> {
        Authority { host: Host::Name(name), port: None }
    }

    fn check(origins: &[&str], expected: Result<(), Foreign>) {
        let found = LOOPBACK.check(HERE, origins.iter().map(|origin| origin.as_bytes()));
        assert_eq!(found, expected.map(|()| Visitor::Welcome), "{origins:?}");
    }

    #[test]
    fn a_foreign_host_is_refused_whatever_the_origin() {
        let rebound = at("rebound.example");
        assert_eq!(LOOPBACK.check(rebound, []), Err(Foreign::Host));
        assert_eq!(LOOPBACK.check(rebound, [&b"http://localhost"[..]]), Err(Foreign::Host));
    }

    #[test]
    fn files_can_be_kept_out() {
        let rule = OriginRule::Loopback { files: false };
        assert_eq!(rule.check(HERE, [&b"null"[..]]), Err(Foreign::Origin));
        assert_eq!(rule.check(HERE, [&b"http://localhost"[..]]), Ok(Visitor::Welcome));
        assert_eq!(rule.check(HERE, []), Ok(Visitor::Welcome));
    }

    #[test]
    fn own_pages_of_a_server_that_speaks_tls_came_by_https() {
        let site = at("chat.example");
        let rule = |pages| {
            let listed = Listed { pages, ..Listed::default() };
            OriginRule::Listed(Arc::new(listed))
        };
        let check = |pages, origin: &str| rule(pages).check(site, [origin.as_bytes()]);
        assert_eq!(check(Pages::OwnSecure, "https://chat.example"), Ok(Visitor::Welcome));
        assert_eq!(
            check(Pages::OwnSecure, "http://chat.example"),
            Err(Foreign::UnlistedOrigin),
            "which whoever is on the way can have made"
        );
        assert_eq!(check(Pages::Own, "http://chat.example"), Ok(Visitor::Welcome));
    }

    #[test]
    fn the_open_network_is_let_in() {
        assert_eq!(
            OriginRule::Any.check(at("chat.example"), [&b"https://evil.example"[..]]),
            Ok(Visitor::Welcome)
        );
    }

    #[test]
    fn origins() {
        check(&[], Ok(()));
        for local in [
            "null",
            "http://localhost",
            "http://localhost:3000",
            "https://LOCALHOST:8443",
            "HTTP://app.localhost",
            "http://127.0.0.1:5500",
            "http://127.8.9.10",
            "http://[::1]:8080",
        ] {
            check(&[local], Ok(()));
        }
        for foreign in [
            "",
            "Null",
            "http://evil.example",
            "http://localhost.evil.com",
            "http://127.0.0.1.evil.com:80",
            "http://localhost@evil.com",
            "http://localhost:80@evil.com",
            "http://evil.com/localhost",
            "http://evil.com#localhost",
            "http://localhost/",
            "http://localhost:99999",
            "http://",
            "localhost",
            "//localhost",
            "ftp://localhost",
            "chrome-extension://localhost",
            "file://",
            "file://localhost",
            "http://localhost http://evil.com",
            "http://lоcalhost",
        ] {
            check(&[foreign], Err(Foreign::Origin));
        }
    }

    #[test]
    fn two_origins_are_one_too_many() {
        check(&["http://localhost", "http://localhost"], Err(Foreign::Origin));
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(LOOPBACK.check(HERE, [&b"http://local\xffhost"[..]]), Err(Foreign::Origin));
    }

    fn listed(pages: Pages, hosts: &[&str], lets_programs_in: bool) -> OriginRule {
        let hosts = hosts.iter().map(|host| host.parse().expect("a host")).collect();
        OriginRule::Listed(Arc::new(Listed { pages, hosts, lets_programs_in }))
    }

    fn judge(rule: &OriginRule, host: &str, origin: Option<&str>) -> Result<Visitor, Foreign> {
        let authority = Authority::parse(host).expect("a host");
        rule.check(authority, origin.map(str::as_bytes))
    }

    #[test]
    fn listed_pages_alone_are_let_in() {
        let pages = Pages::Of(vec!["https://app.example".parse().expect("an origin")]);
        let rule = listed(pages, &["chat.example"], false);
        let check = |host, origin, expected| {
            assert_eq!(judge(&rule, host, origin), expected, "{host} {origin:?}");
        };
        check("chat.example", Some("https://app.example"), Ok(Visitor::Welcome));
        for foreign in
            ["null", "", "http://app.example", "https://app.example:8443", "https://chat.example"]
        {
            check("chat.example", Some(foreign), Err(Foreign::UnlistedOrigin));
        }
        check("other.example", Some("https://app.example"), Err(Foreign::UnlistedHost));
        check("chat.example:8080", Some("https://app.example"), Err(Foreign::UnlistedHost));
        check("chat.example", None, Ok(Visitor::Program));
        let twice = [&b"https://app.example"[..], b"https://app.example"];
        let found = rule.check(at("chat.example"), twice);
        assert_eq!(found, Err(Foreign::UnlistedOrigin));
    }

    #[test]
    fn without_a_list_the_server_answers_its_own_pages() {
        let rule = listed(Pages::Own, &[], false);
        let check = |host, origin, expected| {
            assert_eq!(judge(&rule, host, Some(origin)), expected, "{host} {origin}");
        };
        check("chat.example", "https://chat.example", Ok(Visitor::Welcome));
        check("chat.example:8080", "http://chat.example:8080", Ok(Visitor::Welcome));
        check("chat.example", "https://evil.example", Err(Foreign::UnlistedOrigin));
        check("chat.example", "null", Err(Foreign::UnlistedOrigin));
    }

    #[test]
    fn a_program_needs_a_token_unless_programs_are_let_in() {
        assert_eq!(Visitor::Program.admit(true), Ok(()));
        assert_eq!(Visitor::Program.admit(false), Err(Foreign::NoOrigin));
        assert_eq!(Visitor::Welcome.admit(false), Ok(()));
        let rule = listed(Pages::Own, &[], true);
        assert_eq!(judge(&rule, "chat.example", None), Ok(Visitor::Welcome));
    }
}
