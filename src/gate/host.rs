//! The authority that a request names: a host, by name or address, and an optional port (RFC 9110, section 7.2).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A `Host` field, or what follows the scheme in an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The machine.
    pub host: Host<'a>,
    /// The port, where one is named: an empty one is legal and means the scheme's own (RFC 3986, section 3.2.3).
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host [":" port]`. `None` for anything else: user information, spaces, empty labels, ports that are no
    /// port.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let port = if port.is_empty() { "" } else { port.strip_prefix(':')? };
            return Some(Self { host: Host::V6(address.parse().ok()?), port: read_port(port)? });
        }
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let port = read_port(port)?;
        if let Ok(address) = host.parse() {
            return Some(Self { host: Host::V4(address), port });
        }
        is_name(host).then_some(Self { host: Host::Name(host), port })
    }
}

/// The host part of an [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A registered name, in the case it came in.
    Name(&'a str),
    /// A dotted IPv4 address of four decimal parts.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// The host of an authority; `None` where it is none.
    #[must_use]
    pub fn parse(authority: &'a str) -> Option<Self> {
        Authority::parse(authority).map(|authority| authority.host)
    }

    /// Whether both are written as the same host, in any case of letters.
    #[must_use]
    pub fn is(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(name), Host::Name(other)) => name.eq_ignore_ascii_case(other),
            (Self::V4(address), Host::V4(other)) => address == other,
            (Self::V6(address), Host::V6(other)) => address == other,
            _ => false,
        }
    }

    /// Whether this can only mean the machine that the asking program runs on: `localhost` and names below it
    /// (RFC 6761, section 6.3), `127.0.0.0/8`, `[::1]`.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        match self {
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
            Self::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
            }
        }
    }
}

/// `None` for what is no port, `Some(None)` for none.
fn read_port(port: &str) -> Option<Option<u16>> {
    if port.is_empty() {
        return Some(None);
    }
    // A number may begin with a plus sign, a port may not.
    port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok().map(Some))?
}

/// Dot-separated labels, the last of which may be empty: what browsers send, names in other scripts as punycode.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None` where it is no host at all, else whether it is loopback.
    fn check(authority: &str, expected: Option<bool>) {
        assert_eq!(Host::parse(authority).map(Host::is_loopback), expected, "{authority:?}");
    }

    #[test]
    fn ports() {
        let port = |text| Authority::parse(text).map(|authority| authority.port);
        assert_eq!(port("a.example"), Some(None));
        assert_eq!(port("a.example:"), Some(None));
        assert_eq!(port("a.example:8443"), Some(Some(8443)));
        assert_eq!(port("[::1]:0"), Some(Some(0)));
        assert_eq!(port("a.example:+1"), None);
    }

    #[test]
    fn hosts_of_this_machine() {
        for loopback in [
            "localhost",
            "LocalHost:8080",
            "localhost:",
            "localhost.",
            "localhost.:80",
            "app.localhost",
            "a.b.LOCALHOST:1",
            "127.0.0.1",
            "127.0.0.1:65535",
            "127.255.255.254:80",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]:8080",
        ] {
            check(loopback, Some(true));
        }
    }

    #[test]
    fn foreign_hosts() {
        for foreign in [
            "example.com",
            "localhost.evil.com",
            "evil-localhost",
            "notlocalhost:80",
            "127.0.0.1.evil.com",
            "127.1",
            "0x7f.0.0.1",
            "0.0.0.0",
            "128.0.0.1",
            "10.0.0.1:80",
            "[::]",
            "[::2]",
            "[2001:db8::1]:80",
            "xn--bcher-kva.example:443",
            "my_host",
        ] {
            check(foreign, Some(false));
        }
    }

    #[test]
    fn what_is_no_host() {
        for bad in [
            "",
            ":80",
            ".",
            ".localhost",
            "a..localhost",
            "localhost..",
            "localhost@evil.com",
            "user:pass@localhost",
            "localhost:80:80",
            "localhost:65536",
            "localhost:+80",
            "localhost:8a",
            "localhost/",
            "localhost evil.com",
            "localhost,evil.com",
            "::1",
            "[::1",
            "[::1]80",
            "[::1]:x",
            "[127.0.0.1]",
            "[::1%lo]",
            "lo\u{441}alhost",
        ] {
            check(bad, None);
        }
    }
}
