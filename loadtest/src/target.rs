//! Where the load goes: the server's address, a room's path, and the address that each connection comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Stands for the room's name in a URL.
const ROOM: &str = "{room}";

/// The path of a URL that names none, for a load of the relay.
pub(crate) const RELAY: &str = "/relay/{room}";

/// And for a load of the chat.
pub(crate) const CHAT: &str = "/chat";

/// What RFC 3986 calls unreserved stays as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Source addresses in use: 127.1.0.1 to 127.1.249.250. Each has its own 28,000 ephemeral ports, and a server that
/// limits connections per address sees a crowd, not one client.
const SOURCES: usize = 250 * 250;

/// A server under test.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What the `Host` header says.
    authority: String,
    /// The host's name if TLS is spoken with it.
    tls_host: Option<String>,
    address: SocketAddr,
    path: String,
}

impl Target {
    /// Reads `ws://HOST[:PORT][/PATH]`, or `wss://…`, and resolves the host. A path may hold `{room}`; one that is absent or `/` means
    /// `usual`.
    pub(crate) fn parse(url: &str, usual: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
        let has_tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => bail!("`{url}` does not begin with ws:// or wss://"),
        };
        let authority = uri.authority().with_context(|| format!("`{url}` names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if has_tls { 443 } else { 80 });
        let mut addresses =
            (host, port).to_socket_addrs().with_context(|| format!("cannot resolve `{host}`"))?;
        let first = addresses.next().with_context(|| format!("`{host}` has no address"))?;
        // A name may stand for both; many source addresses exist only on IPv4's loopback.
        let address = if first.is_ipv4() {
            first
        } else {
            addresses.find(SocketAddr::is_ipv4).unwrap_or(first)
        };
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            "/" => usual,
            path => path,
        };
        let tls_host = has_tls.then(|| host.to_owned());
        Ok(Self { authority: authority.to_string(), tls_host, address, path: path.to_owned() })
    }

    /// Where to connect to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name that the server's certificate must have; `None` for one that does not speak TLS.
    pub(crate) fn tls_host(&self) -> Option<&str> {
        self.tls_host.as_deref()
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether a path tells rooms apart.
    pub(crate) fn has_rooms(&self) -> bool {
        self.path.contains(ROOM)
    }

    /// The path and query of a room.
    pub(crate) fn path(&self, room: &str) -> String {
        self.path.replace(ROOM, &utf8_percent_encode(room, ESCAPED).to_string())
    }

    /// The address that connection number `index` comes from; `None` leaves it to the system.
    pub(crate) fn source(&self, index: usize) -> Option<SocketAddr> {
        let loopback = cfg!(target_os = "linux")
            && matches!(self.address.ip(), IpAddr::V4(address) if address.is_loopback());
        loopback.then(|| {
            let index = index % SOURCES;
            let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
            let address = Ipv4Addr::new(127, 1, byte(index / 250), byte(index % 250 + 1));
            SocketAddr::from((address, 0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_rooms_are() {
        let cases = [
            ("ws://127.0.0.1:8080", "/relay/a%20b"),
            ("ws://127.0.0.1:8080/", "/relay/a%20b"),
            ("ws://127.0.0.1:8080/chat/{room}?x=1", "/chat/a%20b?x=1"),
            ("ws://127.0.0.1:8080/one", "/one"),
        ];
        for (url, path) in cases {
            let target = Target::parse(url, RELAY).unwrap();
            assert_eq!(target.path("a b"), path, "{url}");
            assert_eq!(target.authority(), "127.0.0.1:8080");
            assert_eq!(target.address().to_string(), "127.0.0.1:8080");
        }
        assert!(!Target::parse("ws://127.0.0.1/one", RELAY).unwrap().has_rooms());
        assert_eq!(Target::parse("ws://127.0.0.1", RELAY).unwrap().address().port(), 80);
        let secure = Target::parse("wss://localhost", RELAY).unwrap();
        assert_eq!((secure.address().port(), secure.tls_host()), (443, Some("localhost")));
        assert_eq!(Target::parse("ws://127.0.0.1", CHAT).unwrap().path(""), "/chat");
        assert_eq!(Target::parse("ws://[::1]:9", RELAY).unwrap().address().to_string(), "[::1]:9");
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for (url, reason) in
            [("http://127.0.0.1", "ws://"), ("127.0.0.1:8080", "ws://"), ("ws://", "not a URL")]
        {
            let error = format!("{:#}", Target::parse(url, RELAY).unwrap_err());
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_loopback_has_many_sources_and_they_differ() {
        assert_eq!(Target::parse("ws://192.0.2.1", RELAY).unwrap().source(0), None);
        assert_eq!(Target::parse("ws://[::1]", RELAY).unwrap().source(0), None);
        let target = Target::parse("ws://127.0.0.1", RELAY).unwrap();
        let sources: std::collections::HashSet<_> =
            (0..SOURCES).map(|index| target.source(index).unwrap()).collect();
        assert_eq!(sources.len(), SOURCES);
        assert_eq!(target.source(SOURCES), target.source(0));
        assert_eq!(target.source(0).unwrap().to_string(), "127.1.0.1:0");
    }
}
