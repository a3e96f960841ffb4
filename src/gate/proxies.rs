//! Proxies in front of the server, and the client that they speak for.
//!
//! A header that names the client can be sent by anybody. So it is believed only of proxies whose networks are
//! configured, and only as far as they vouch for each other: read from the right, the first address that is no such
//! proxy's is the client's, and whatever stands before it is hearsay.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::HeaderMap;
use ipnet::IpNet;

/// The network of a proxy: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyNetwork(IpNet);

/// What is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no network such as \"10.0.0.0/8\" or \"2001:db8::/32\", and no address")]
pub struct NoNetwork;

/// The header in which proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// None.
    #[default]
    Off,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies that are configured.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub networks: Vec<ProxyNetwork>,
    /// How they name the client in a request.
    pub header: Header,
    /// Whether their connections begin with a header of the PROXY protocol.
    pub speaks_protocol: bool,
}

impl Header {
    /// Its name; `None` where there is none.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::XForwardedFor => Some("x-forwarded-for"),
            Self::Forwarded => Some("forwarded"),
        }
    }

    /// The address in one element of the header's list, if it names one.
    fn address(self, element: &str) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::XForwardedFor => address(element),
            Self::Forwarded => address(&forwarded_for(element)?),
        }
    }
}

impl Proxies {
    /// Whether none is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether connections from there begin with a header of the PROXY protocol.
    #[must_use]
    pub fn expects_protocol(&self, peer: IpAddr) -> bool {
        self.speaks_protocol && self.trusts(peer)
    }

    /// Whether requests from there may be those of others.
    #[must_use]
    pub fn forwards(&self, peer: IpAddr) -> bool {
        self.header != Header::Off && self.trusts(peer)
    }

    /// Whose request it is that came from `peer`, by the lines of the [header](Self::header). The port is 0 where it
    /// is not told. Where the proxy does not say, it is the proxy's own.
    #[must_use]
    pub fn client<'a>(
        &self,
        peer: SocketAddr,
        lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> SocketAddr {
        let mut client = peer;
        if !self.forwards(peer.ip()) {
            return client;
        }
        let elements = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for element in elements {
            let element = str::from_utf8(element).ok().map(str::trim);
            // What cannot be read is not skipped: beyond it nobody vouches for anything.
            let Some(before) = element.and_then(|element| self.header.address(element)) else {
                break;
            };
            client = before;
            if !self.trusts(client.ip()) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.0.contains(&address))
    }
}

/// An address with or without a port, one of IPv6 in brackets where there is one.
fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|address| SocketAddr::new(address, 0))
}

/// The value of `for` in an element of `Forwarded`, which must be there once.
fn forwarded_for(element: &str) -> Option<String> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            if value.contains(['"', '\\']) || found.replace(value.to_owned()).is_some() {
                return None;
            }
        }
    }
    found
}

impl ProxyNetwork {
    /// Whether it is all there is, so that anybody may say who they are.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for ProxyNetwork {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(|network| Self(network.trunc())).ok_or(NoNetwork)
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fields of which a proxy adds some.
const FORWARDED_FIELDS: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// Whether a request from inside says that it is somebody's outside.
pub(crate) fn is_forwarded(headers: &HeaderMap, peer: IpAddr) -> bool {
    let is_inside = match peer.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    is_inside && FORWARDED_FIELDS.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: Header) -> Proxies {
        let networks = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"];
        let networks = networks.map(|text| text.parse().expect("a network")).into();
        Proxies { networks, header, speaks_protocol: true }
    }

    #[track_caller]
    fn check(header: Header, peer: &str, lines: &[&str], expected: &str) {
        let peer = SocketAddr::new(peer.parse().expect("an address"), 7);
        let lines = lines.iter().map(|line| line.as_bytes());
        let client = proxies(header).client(peer, lines);
        assert_eq!(client.ip().to_string(), expected);
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxys() {
        let check = |peer, lines: &[&str], expected| {
            check(Header::XForwardedFor, peer, lines, expected);
        };
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.7 , 10.9.9.9,192.0.2.1"], "198.51.100.7");
        check("10.0.0.1", &["198.51.100.7:1234"], "198.51.100.7");
        check("10.0.0.1", &["[2001:db9::1]:1234"], "2001:db9::1");
        check("10.0.0.1", &["2001:db9::1"], "2001:db9::1");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        // Nobody vouches for it.
        check("198.51.100.9", &["1.1.1.1"], "198.51.100.9");
        check("192.0.2.2", &["1.1.1.1"], "192.0.2.2");
        // Nothing is said, or nothing that can be read.
        check("10.0.0.1", &[], "10.0.0.1");
        for unread in ["", "unknown", "evil", "1.1.1.1;", "1.1.1.1, ", "1.2.3.4.5", "\u{e9}"] {
            check("10.0.0.1", &["1.1.1.1", unread], "10.0.0.1");
        }
        check("10.0.0.1", &["1.1.1.1, _hidden, 10.0.0.2"], "10.0.0.2");
    }

    #[test]
    fn forwarded() {
        let check = |lines: &[&str], expected| {
            check(Header::Forwarded, "10.0.0.1", lines, expected);
        };
        check(&["for=198.51.100.7"], "198.51.100.7");
        check(&["For=\"198.51.100.7:80\";proto=https;by=10.0.0.1"], "198.51.100.7");
        check(&["for=1.1.1.1, proto=http;for=\"[2001:db9::1]:4711\""], "2001:db9::1");
        check(&["for=1.1.1.1", "for=198.51.100.7, for=10.0.0.3"], "198.51.100.7");
        for unread in
            ["for=unknown", "for=_hidden", "proto=http", "for=1.1.1.1;for=2.2.2.2", "198.51.100.7"]
        {
            check(&[unread], "10.0.0.1");
        }
        // A quote that the client leaves open does not swallow what the proxy adds.
        check(&["for=\"1.1.1.1, for=198.51.100.7"], "198.51.100.7");
    }

    #[test]
    fn without_a_header_the_peer_is_the_client() {
        check(Header::Off, "10.0.0.1", &["1.1.1.1"], "10.0.0.1");
        assert!(proxies(Header::Off).expects_protocol("10.0.0.1".parse().expect("an address")));
        assert!(!proxies(Header::Off).expects_protocol([1, 1, 1, 1].into()));
    }

    #[test]
    fn networks() {
        let read = |text: &str| text.parse::<ProxyNetwork>().map(|network| network.to_string());
        assert_eq!(read("10.1.2.3/8"), Ok("10.0.0.0/8".to_owned()));
        assert_eq!(read("192.0.2.1"), Ok("192.0.2.1/32".to_owned()));
        assert_eq!(read("::1"), Ok("::1/128".to_owned()));
        for bad in ["", "10.0.0.0/33", "localhost", "10.0.0.0/", "10/8"] {
            assert_eq!(read(bad), Err(NoNetwork), "{bad}");
        }
        assert!("::/0".parse::<ProxyNetwork>().is_ok_and(|network| network.is_everything()));
    }
}
