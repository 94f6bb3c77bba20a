//! A source as a number: an IPv4 /32 or an IPv6 /64 in 64 bits.

use filter_common::source::{Address, Family};

use crate::prefix::Prefix;

/// The number of a source; an IPv6 prefix within a /64 is that /64. `None` for
/// what is wider, and for what no packet can come from.
pub(super) fn key(prefix: &Prefix) -> Option<u64> {
    let address = prefix.address();
    match prefix.family() {
        Family::V4 => prefix.is_address().then_some(V4 | address.low),
        Family::V6 => {
            let source = prefix.length() >= 64 && address.high != 0 && address.high < V4;
            source.then_some(address.high)
        }
    }
}

/// The source of a number.
pub(super) fn prefix(key: u64) -> Prefix {
    if key >= V4 {
        let octets = (key as u32).to_be_bytes();
        return Prefix::of(Address::v4(octets));
    }
    let address = Address {
        family: Family::V6,
        high: key,
        low: 0,
    };
    Prefix::new(address, 64)
}

/// ff00::/8 are groups, which nothing comes from: there is room for IPv4.
const V4: u64 = 0xff << 56;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix::Written;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        for (text, source) in [
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("0.0.0.0", Some("0.0.0.0/32")),
            ("255.255.255.255", Some("255.255.255.255/32")),
            ("192.0.2.0/24", None),
            ("2001:db8:0:7::/64", Some("2001:db8:0:7::/64")),
            ("2001:db8:0:7::9", Some("2001:db8:0:7::/64")),
            ("2001:db8::/48", None),
            ("ff02::1", None),
            ("::1", None),
        ] {
            let written: Written = text.parse().expect(text);
            let found = key(&written.prefix).map(|key| prefix(key).to_string());
            assert_eq!(found.as_deref(), source, "{text}");
        }
    }
}
