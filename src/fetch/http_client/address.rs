//! Which addresses are open to everybody. No I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::fetch::BoxError;

/// Where a client may connect to.
#[derive(Debug)]
pub(super) struct Policy {
    /// Networks of the operator's own.
    pub(super) networks: Vec<Network>,
    /// This machine too, and in the clear.
    pub(super) loopback: bool,
}

impl Policy {
    pub(super) fn allows(&self, address: IpAddr, encrypted: bool) -> bool {
        if self.loopback && address.is_loopback() {
            return true;
        }
        encrypted && (is_public(address) || self.networks.iter().any(|network| network.has(address)))
    }
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    first: IpAddr,
    /// How many bits are alike.
    prefix: u32,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32) -> Network {
    Network { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(a: u16, b: u16, prefix: u32) -> Network {
    Network { first: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), prefix }
}

/// Of IPv6 only these were ever given out for use by everybody (RFC 4291 §2.4, RFC 3587 §3). Loopback, mapped and
/// compatible addresses, NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), the private, the local and the multicast ones are all
/// outside.
const UNICAST: Network = v6(0x2000, 0, 3);

/// What the registries of IANA keep for a special purpose, also where a part of a block is reachable from everywhere:
/// nobody publishes keys there.
const SPECIAL: [Network; 25] = [
    v4(0, 0, 0, 0, 8),        // this network (RFC 791)
    v4(10, 0, 0, 0, 8),       // private (RFC 1918)
    v4(100, 64, 0, 0, 10),    // shared by the customers of a provider (RFC 6598)
    v4(127, 0, 0, 0, 8),      // loopback (RFC 1122)
    v4(169, 254, 0, 0, 16),   // link-local, where clouds have their metadata (RFC 3927)
    v4(172, 16, 0, 0, 12),    // private (RFC 1918)
    v4(192, 0, 0, 0, 24),     // protocols (RFC 6890)
    v4(192, 0, 2, 0, 24),     // documentation (RFC 5737)
    v4(192, 31, 196, 0, 24),  // AS112 (RFC 7535)
    v4(192, 52, 193, 0, 24),  // automatic multicast tunnels (RFC 7450)
    v4(192, 88, 99, 0, 24),   // relays of 6to4 (RFC 7526)
    v4(192, 168, 0, 0, 16),   // private (RFC 1918)
    v4(192, 175, 48, 0, 24),  // AS112, directly delegated (RFC 7534)
    v4(198, 18, 0, 0, 15),    // benchmarks (RFC 2544)
    v4(198, 51, 100, 0, 24),  // documentation (RFC 5737)
    v4(203, 0, 113, 0, 24),   // documentation (RFC 5737)
    v4(224, 0, 0, 0, 4),      // multicast (RFC 5771)
    v4(240, 0, 0, 0, 4),      // reserved, and broadcast (RFC 1112, RFC 8190)
    v4(168, 63, 129, 16, 32), // in no registry: what a cloud tells its own machines
    v6(0x2001, 0, 23),        // Teredo, benchmarks, ORCHID and other protocols (RFC 2928)
    v6(0x2001, 0xdb8, 32),    // documentation (RFC 3849)
    v6(0x2002, 0, 16),        // 6to4, which carries an IPv4 address (RFC 3056)
    NAMES_BY_AS112,           // directly delegated (RFC 7534)
    v6(0x3ffe, 0, 16),        // the former 6bone (RFC 3701)
    v6(0x3fff, 0, 20),        // documentation (RFC 9637)
];

/// `2620:4f:8000::/48`
const NAMES_BY_AS112: Network =
    Network { first: IpAddr::V6(Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0)), prefix: 48 };

fn is_public(address: IpAddr) -> bool {
    (address.is_ipv4() || UNICAST.has(address)) && !SPECIAL.iter().any(|network| network.has(address))
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }

    /// Whether there is a prefix, and nothing is set behind it. Everything is no network of anybody's.
    fn is_whole(&self) -> bool {
        match self.first {
            _ if self.prefix == 0 => false,
            IpAddr::V4(first) => self.prefix <= 32 && first.to_bits().trailing_zeros() >= 32 - self.prefix,
            IpAddr::V6(first) => self.prefix <= 128 && first.to_bits().trailing_zeros() >= 128 - self.prefix,
        }
    }
}

impl FromStr for Network {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        let parsed = text.split_once('/').and_then(|(first, prefix)| {
            Some(Self { first: first.parse().ok()?, prefix: prefix.parse().ok()? }).filter(Self::is_whole)
        });
        parsed.ok_or_else(|| format!("`{text}` is not a network such as 10.20.0.0/16 or fd12:3456::/32").into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect("an address"))
    }

    /// <https://www.iana.org/assignments/iana-ipv4-special-registry>,
    /// <https://www.iana.org/assignments/iana-ipv6-special-registry>
    #[test]
    fn a_block_ends_where_the_registry_says() {
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
            ("192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
            ("", "240.0.0.0", "255.255.255.255", ""),
            ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
            ("", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
            (
                "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001::",
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:200::",
            ),
            (
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db9::",
            ),
            ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
            ("2620:4f:7fff::", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::"),
            (
                "3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3ffe::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff:1000::",
            ),
            ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ] {
            assert!(before.is_empty() || public(before), "{before}");
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
            assert!(after.is_empty() || public(after), "{after}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

        /// What the standard library knows to be special.
        #[test]
        fn no_special_ipv4_address_is_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            if address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified()
            {
                prop_assert!(!is_public(address.into()), "{}", address);
            }
        }

        /// RFC 4291 §2.5.5, RFC 6052 §2, RFC 8215, RFC 3056 §2
        #[test]
        fn no_ipv6_address_that_carries_one_of_ipv4_is_public(bits: u32) {
            let low = u128::from(bits);
            for address in [
                low,
                0xffff << 32 | low,
                0xffff << 48 | low,
                0x0064_ff9b << 96 | low,
                0x0064_ff9b_0001 << 80 | low,
                0x2002 << 112 | low << 80,
                0x2001 << 112 | u128::from(!bits),
            ] {
                let address = Ipv6Addr::from_bits(address);
                prop_assert!(!is_public(address.into()), "{}", address);
            }
        }
    }

    #[test]
    fn a_network_is_an_address_and_a_prefix() {
        let network = |text: &str| text.parse::<Network>().ok();
        assert_eq!(network("10.0.0.0/8"), Some(v4(10, 0, 0, 0, 8)));
        assert_eq!(network("10.1.2.3/32"), Some(v4(10, 1, 2, 3, 32)));
        assert_eq!(network("fd12:3456::/32"), Some(v6(0xfd12, 0x3456, 32)));
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.1.0.0/8",
            "10/8",
            "fd00::/129",
            "fd12:3456::/16",
            "a/8",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert_eq!(network(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_opened_is_open_and_nothing_else() {
        let allows = |policy: &Policy, text: &str| policy.allows(text.parse().expect("an address"), true);
        let networks = vec!["10.20.0.0/16".parse().unwrap(), "fd12:3456::/32".parse().unwrap()];
        let own = Policy { networks, loopback: false };
        for (address, open) in [
            ("10.20.255.1", true),
            ("10.21.0.1", false),
            ("fd12:3456::1", true),
            ("fd12:3457::1", false),
            ("::ffff:10.20.0.1", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(allows(&own, address), open, "{address}");
        }
        let local = Policy { networks: Vec::new(), loopback: true };
        for (address, open) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("::1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("10.20.0.1", false),
            ("169.254.169.254", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(allows(&local, address), open, "{address}");
        }
        assert!(local.allows(IpAddr::V4(Ipv4Addr::LOCALHOST), false));
        assert!(!local.allows("8.8.8.8".parse().unwrap(), false));
        assert!(!own.allows("10.20.0.1".parse().unwrap(), false));
    }
}
