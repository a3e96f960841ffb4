//! Which addresses the server may connect to by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that a client may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Networks {
    /// All of them.
    Any,
    /// Those of the public internet: a URL that points inside reaches neither this machine and its network nor what a
    /// cloud tells its machines about themselves.
    Public,
}

impl Networks {
    /// Whether that address is one of them.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        self == Self::Any || is_public(address)
    }
}

/// By the registries of special addresses (RFC 6890 and later ones).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        0 | 10 | 127 | 224.. => true,
        // Shared by the customers of a carrier; one cloud has its metadata there.
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    // The last one is public by its number and the metadata of a cloud by its use.
    !is_special && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inner = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        // IPv4 by NAT64 and by 6to4: what is inside counts.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(inner(high, low))
        }
        // Protocols of the IETF with Teredo, and documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &str, public: bool) {
        for address in addresses.split_whitespace() {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(Networks::Public.allows(parsed), public, "{address}");
            assert!(Networks::Any.allows(parsed));
        }
    }

    #[test]
    fn only_public_addresses_are_public() {
        check(
            "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1",
            true,
        );
        check("192.0.1.1 192.167.1.1 198.17.1.1 198.20.1.1 203.0.114.1 223.255.255.255", true);
        check("2606:4700::1111 2001:200::1 2a00::1 64:ff9b::101:101 2002:101:101::1", true);
        check("::ffff:1.1.1.1", true);
    }

    #[test]
    fn addresses_of_the_inside_are_not() {
        check("0.0.0.0 0.1.2.3 10.0.0.1 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1", false);
        check("172.31.255.255 192.168.0.1 100.64.0.1 100.100.100.200 168.63.129.16", false);
        check(
            "192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.19.1.1 198.51.100.1 203.0.113.1",
            false,
        );
        check("224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255", false);
        check(":: ::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 2001:db8::1 3fff::1", false);
        check("2001::1 2001:10::1 100::1 64:ff9b:1::1", false);
    }

    #[test]
    fn an_inner_address_in_other_clothes_is_still_one() {
        check("::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1", false);
        check("64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1::1 2002:a00:1::1", false);
    }
}
