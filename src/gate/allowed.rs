//! What an operator allows by name: origins of pages and hosts of requests. What is done with them is in `origin`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::gate::host::{Authority, Host};

/// The ports that a browser leaves out.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Labels that a wildcard must leave fixed: `https://*.com` would be next to everybody.
const FIXED_LABELS_MIN: usize = 2;

/// One origin that may open sessions: scheme, host and port as a browser sends them, or all names below a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin {
    scheme: String,
    host: Name,
    /// The scheme's own where none is written; `None` for schemes that have none.
    port: Option<u16>,
}

/// One host that requests may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Name,
    port: Option<u16>,
}

/// Why an entry of a list cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedError {
    /// Not `scheme://host` or `scheme://host:port`.
    #[error("is no origin such as \"https://chat.example.com\" or \"http://localhost:3000\"")]
    Origin,
    /// Not `host` or `host:port`.
    #[error("is no host such as \"chat.example.com\" or \"chat.example.com:8443\"")]
    Host,
    /// A wildcard anywhere but in the place of the first label.
    #[error(
        "a wildcard stands for the first labels of a name with at least two more, as in \"*.example.com\""
    )]
    Wildcard,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Whole(String),
    /// Names that end so, the dot included.
    Below(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl AllowedOrigin {
    /// Whether a browser that sends `origin` means this one.
    #[must_use]
    pub fn matches(&self, origin: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(origin.scheme)
            && self.port == origin.port
            && self.host.matches(origin.host)
    }

    /// Whether it stands for more than one.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host, Name::Below(_))
    }
}

impl AllowedHost {
    /// Whether a request for `authority` means this one. A port that is not written stands for the two that a browser
    /// leaves out, in the request and here.
    #[must_use]
    pub fn matches(&self, authority: Authority<'_>) -> bool {
        let is_default =
            |port: Option<u16>| port.is_none_or(|port| port == HTTP_PORT || port == HTTPS_PORT);
        let is_port = match self.port {
            None => is_default(authority.port),
            port if authority.port.is_none() => is_default(port),
            port => port == authority.port,
        };
        is_port && self.host.matches(authority.host)
    }

    /// Whether it stands for more than one.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host, Name::Below(_))
    }
}

/// An `Origin` field that names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// In the case it came in.
    pub scheme: &'a str,
    /// The host.
    pub host: Host<'a>,
    /// Its port, or the scheme's own.
    pub port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads `scheme "://" host [":" port]`; `None` for anything else, `null` among it.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let Authority { host, port } = Authority::parse(authority)?;
        Some(Self { scheme, host, port: port.or(default_port(scheme)) })
    }

    /// Whether it is the origin of what is served at `authority`, whichever of the two schemes that is.
    #[must_use]
    pub fn is_of(&self, authority: Authority<'_>) -> bool {
        let default = default_port(self.scheme);
        default.is_some() && self.host.is(authority.host) && self.port == authority.port.or(default)
    }
}

impl Name {
    fn parse(host: Host<'_>, is_below: bool) -> Option<Self> {
        match host {
            Host::Name(name) if is_below => {
                let labels = name.split('.').filter(|label| !label.is_empty()).count();
                (labels >= FIXED_LABELS_MIN).then(|| Self::Below(format!(".{name}")))
            }
            _ if is_below => None,
            Host::Name(name) => Some(Self::Whole(name.to_owned())),
            Host::V4(address) => Some(Self::V4(address)),
            Host::V6(address) => Some(Self::V6(address)),
        }
    }

    fn matches(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::Whole(name), Host::Name(other)) => name.eq_ignore_ascii_case(other),
            (Self::Below(end), Host::Name(other)) => {
                let start = other.len().checked_sub(end.len()).filter(|start| *start > 0);
                start.is_some_and(|start| {
                    other.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes())
                })
            }
            (Self::V4(address), Host::V4(other)) => *address == other,
            (Self::V6(address), Host::V6(other)) => *address == other,
            _ => false,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(name) => f.write_str(name),
            Self::Below(end) => write!(f, "*{end}"),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Reads what may begin with `*.`.
fn read(text: &str, otherwise: AllowedError) -> Result<(Name, Option<u16>), AllowedError> {
    let (text, is_below) = match text.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    if text.contains('*') {
        return Err(AllowedError::Wildcard);
    }
    let Authority { host, port } = Authority::parse(text).ok_or(otherwise)?;
    Ok((Name::parse(host, is_below).ok_or(AllowedError::Wildcard)?, port))
}

impl FromStr for AllowedOrigin {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let (scheme, authority) = text.split_once("://").ok_or(AllowedError::Origin)?;
        if !is_scheme(scheme) {
            return Err(AllowedError::Origin);
        }
        let (host, port) = read(authority, AllowedError::Origin)?;
        let scheme = scheme.to_ascii_lowercase();
        let port = port.or(default_port(&scheme));
        Ok(Self { scheme, host, port })
    }
}

impl FromStr for AllowedHost {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let (host, port) = read(text, AllowedError::Host)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port.filter(|_| self.port != default_port(&self.scheme)) {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |other: &str| scheme.eq_ignore_ascii_case(other);
    if is("http") {
        Some(HTTP_PORT)
    } else if is("https") {
        Some(HTTPS_PORT)
    } else {
        None
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn origin(allowed: &str, given: &[&str], others: &[&str]) {
        let allowed: AllowedOrigin = allowed.parse().expect("an origin");
        let matches =
            |text: &str| Origin::parse(text).is_some_and(|origin| allowed.matches(&origin));
        given.iter().for_each(|given| assert!(matches(given), "{given:?} is {allowed}"));
        others.iter().for_each(|other| assert!(!matches(other), "{other:?} is not {allowed}"));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        origin(
            "https://chat.example.com",
            &[
                "https://chat.example.com",
                "https://chat.example.com:443",
                "HTTPS://Chat.Example.com",
            ],
            &[
                "http://chat.example.com",
                "https://chat.example.com:8443",
                "https://example.com",
                "https://evil.chat.example.com",
                "https://chat.example.com.evil.com",
                "https://chat.example.com.",
                "https://chat.example.com/",
                "https://user@chat.example.com",
                "https://chat.example.com@evil.com",
                "https://chat.example.com https://evil.com",
                "https://chаt.example.com",
                "null",
                "",
            ],
        );
        origin("http://localhost:3000", &["http://localhost:3000"], &["http://localhost"]);
        origin("http://[::1]:3000", &["http://[0:0::1]:3000"], &["http://[::1]"]);
        origin("http://10.0.0.1", &["http://10.0.0.1:80"], &["http://10.0.0.2"]);
        origin("capacitor://localhost", &["capacitor://localhost"], &["http://localhost"]);
    }

    #[test]
    fn a_wildcard_is_for_names_below() {
        origin(
            "https://*.example.com",
            &["https://a.example.com", "https://a.b.EXAMPLE.com"],
            &[
                "https://example.com",
                "https://.example.com",
                "https://evilexample.com",
                "https://a.example.com.evil.com",
                "http://a.example.com",
                "https://a.example.com:444",
            ],
        );
    }

    #[track_caller]
    fn host(allowed: &str, given: &[&str], others: &[&str]) {
        let allowed: AllowedHost = allowed.parse().expect("a host");
        let matches = |text: &str| Authority::parse(text).is_some_and(|host| allowed.matches(host));
        given.iter().for_each(|given| assert!(matches(given), "{given:?} is {allowed}"));
        others.iter().for_each(|other| assert!(!matches(other), "{other:?} is not {allowed}"));
    }

    #[test]
    fn a_host_is_name_and_port() {
        host(
            "chat.example.com",
            &[
                "chat.example.com",
                "Chat.Example.com:443",
                "chat.example.com:80",
                "chat.example.com:",
            ],
            &["chat.example.com:8080", "example.com", "a.chat.example.com", "chat.example.com."],
        );
        host(
            "chat.example.com:8443",
            &["chat.example.com:8443"],
            &["chat.example.com", "chat.example.com:443"],
        );
        host(
            "chat.example.com:443",
            &["chat.example.com", "chat.example.com:443"],
            &["chat.example.com:80"],
        );
        host("*.example.com", &["a.example.com:80"], &["example.com", "a.example.com:81"]);
    }

    #[test]
    fn what_cannot_be_allowed() {
        let origin = |text: &str| text.parse::<AllowedOrigin>().err();
        for bad in
            ["", "null", "*", "example.com", "https://", "https://a/", "https://a:x", "1a://b"]
        {
            assert_eq!(origin(bad), Some(AllowedError::Origin), "{bad}");
        }
        for bad in [
            "https://*",
            "https://*.com",
            "https://a.*.com",
            "https://*.10.0.0.1",
            "https://*a.b.c",
        ] {
            assert!(
                matches!(origin(bad), Some(AllowedError::Wildcard)),
                "{bad}: {:?}",
                origin(bad)
            );
        }
        assert_eq!("a b".parse::<AllowedHost>().err(), Some(AllowedError::Host));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["https://a.example", "http://[::1]:81", "https://*.a.example:1", "app://x"] {
            let origin: AllowedOrigin = text.parse().expect("an origin");
            assert_eq!(origin.to_string(), text);
        }
        for text in ["a.example", "a.example:443", "*.a.example"] {
            assert_eq!(text.parse::<AllowedHost>().expect("a host").to_string(), text);
        }
    }

    #[test]
    fn a_page_of_the_server_itself() {
        let is_of = |origin, host| {
            let authority = Authority::parse(host).expect("a host");
            Origin::parse(origin).is_some_and(|origin| origin.is_of(authority))
        };
        assert!(is_of("https://a.example", "a.example"));
        assert!(is_of("https://a.example", "a.example:443"));
        assert!(is_of("http://a.example:8080", "A.example:8080"));
        assert!(!is_of("http://a.example", "a.example:8080"));
        assert!(!is_of("https://b.example", "a.example"));
        assert!(!is_of("app://a.example", "a.example"));
        assert!(!is_of("null", "a.example"));
    }
}
