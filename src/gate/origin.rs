//! The origin rule: which sites may speak to a server that asks nobody who they are.
//!
//! A WebSocket is not bound by the same-origin policy: any page that a person visits may open one to that person's
//! own machine, and a name that an attacker controls may be pointed at it (DNS rebinding). So an open server on a
//! loopback address answers only where the request names a loopback host and the page comes from this machine too.

use crate::gate::host::Host;

/// Whom the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginRule {
    /// Anybody: the network was let in on purpose.
    Any,
    /// Requests to a loopback host, from programs, from files and from pages of loopback hosts.
    Loopback,
}

/// Why a request is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It names a host that is not this machine.
    Host,
    /// It comes from a page of a foreign site.
    Origin,
}

impl OriginRule {
    /// Judges a request by the host that it names and by its `Origin` fields, of which a browser sends one.
    ///
    /// # Errors
    ///
    /// Which of the two is foreign.
    pub fn check<'a>(
        self,
        host: Host<'_>,
        origins: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), Foreign> {
        if self == Self::Any {
            return Ok(());
        }
        if !host.is_loopback() {
            return Err(Foreign::Host);
        }
        let mut origins = origins.into_iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) if is_local(origin) => Ok(()),
            _ => Err(Foreign::Origin),
        }
    }
}

/// A page opened from a file, whose origin browsers do not tell, or one served by a loopback host on any port.
fn is_local(origin: &[u8]) -> bool {
    let Ok(origin) = str::from_utf8(origin) else { return false };
    if origin == "null" {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && Host::parse(authority).is_some_and(Host::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Host<'_> = Host::Name("localhost");

    fn check(origins: &[&str], expected: Result<(), Foreign>) {
        let found =
            OriginRule::Loopback.check(HERE, origins.iter().map(|origin| origin.as_bytes()));
        assert_eq!(found, expected, "{origins:?}");
    }

    #[test]
    fn a_foreign_host_is_refused_whatever_the_origin() {
        let rebound = Host::Name("rebound.example");
        assert_eq!(OriginRule::Loopback.check(rebound, []), Err(Foreign::Host));
        assert_eq!(
            OriginRule::Loopback.check(rebound, [&b"http://localhost"[..]]),
            Err(Foreign::Host)
        );
    }

    #[test]
    fn the_open_network_is_let_in() {
        assert_eq!(
            OriginRule::Any.check(Host::Name("chat.example"), [&b"https://evil.example"[..]]),
            Ok(())
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
        assert_eq!(
            OriginRule::Loopback.check(HERE, [&b"http://local\xffhost"[..]]),
            Err(Foreign::Origin)
        );
    }
}
