//! Prefixes: an address and a length, canonical.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use filter_common::source::{Address, Family};

/// An address and a length, without host bits. Ordered so that a prefix stands
/// before everything it covers, and what it covers stands together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    family: Family,
    /// The address as 128 bits from the left; an IPv4 address in the upper 32.
    high: u64,
    low: u64,
    length: u8,
}

/// A prefix as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The prefix that it means.
    pub prefix: Prefix,
    /// It had host bits, which were masked.
    pub masked: bool,
}

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address and no prefix: write 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or 2001:db8::/32"
)]
pub struct NotAPrefix(String);

impl Prefix {
    /// The prefix of `length` bits that holds `address`. A length beyond the
    /// family's counts as the family's.
    #[must_use]
    pub fn new(address: Address, length: u8) -> Self {
        let (high, low) = match address.family {
            Family::V4 => (address.low << 32, 0),
            Family::V6 => (address.high, address.low),
        };
        Self {
            family: address.family,
            high,
            low,
            length: length.min(bits(address.family)),
        }
        .masked()
    }

    /// The prefix of exactly one address.
    #[must_use]
    pub fn of(address: Address) -> Self {
        Self::new(address, u8::MAX)
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Bits that count.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// The first address.
    #[must_use]
    pub const fn address(&self) -> Address {
        match self.family {
            Family::V4 => Address {
                family: Family::V4,
                high: 0,
                low: self.high >> 32,
            },
            Family::V6 => Address {
                family: Family::V6,
                high: self.high,
                low: self.low,
            },
        }
    }

    /// Whether it is a single address.
    #[must_use]
    pub const fn is_address(&self) -> bool {
        self.length == bits(self.family)
    }

    /// Whether every address of `other` is one of this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.family == other.family
            && self.length <= other.length
            && other.widened(self.length) == *self
    }

    /// The prefix of `length` bits around this one; itself if it is as wide.
    #[must_use]
    pub fn widened(&self, length: u8) -> Self {
        Self {
            length: self.length.min(length),
            ..*self
        }
        .masked()
    }

    /// A prefix that stands after everything this one covers, and before
    /// everything else that follows: the end of a range over sorted prefixes.
    #[must_use]
    pub const fn last(&self) -> Self {
        let (high, low) = mask(self.length);
        Self {
            family: self.family,
            high: self.high | !high,
            low: self.low | !low,
            length: u8::MAX,
        }
    }

    /// Bits of an address in network order, padded with zeros to 16 bytes.
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        self.bits().to_be_bytes()
    }

    /// The address as 128 bits from the left.
    #[must_use]
    pub const fn bits(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The upper half of them, which is more than all of an IPv4 address.
    #[must_use]
    pub const fn upper(&self) -> u64 {
        self.high
    }

    const fn masked(self) -> Self {
        let (high, low) = mask(self.length);
        Self {
            high: self.high & high,
            low: self.low & low,
            ..self
        }
    }
}

/// The source that an address stands for, as
/// [the law](Address::canonical) says.
#[must_use]
pub fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::v4(ip.octets()),
        IpAddr::V6(ip) => spelled(ip).canonical(),
    }
}

/// An IPv6 address as it is written.
fn spelled(ip: Ipv6Addr) -> Address {
    let word = u128::from(ip);
    Address {
        family: Family::V6,
        high: (word >> 64) as u64,
        low: word as u64,
    }
}

/// A library's address of the law's.
#[must_use]
pub fn ip(address: Address) -> IpAddr {
    match address.family {
        Family::V4 => IpAddr::V4((address.low as u32).into()),
        Family::V6 => IpAddr::V6((u128::from(address.high) << 64 | u128::from(address.low)).into()),
    }
}

impl FromStr for Written {
    type Err = NotAPrefix;

    /// Reads an address or a prefix. One within the IPv6 spellings of IPv4 becomes the
    /// IPv4 prefix that the law sees there ([`Address::canonical`]); so is all of `::ffff:0:0/96` and
    /// of `64:ff9b::/96`.
    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (ip, length) =
            network(text).ok_or_else(|| NotAPrefix(text.chars().take(64).collect()))?;
        let (written, length) = match ip {
            IpAddr::V6(ip) => {
                let written = spelled(ip);
                // By its first address: host bits don't make a prefix another's.
                let first = Prefix::new(written, length).address();
                let v4 = first.canonical().family == Family::V4;
                // A wider one holds more than IPv4's spellings.
                match length.checked_sub(96) {
                    Some(length) if v4 => (written.canonical(), length),
                    _ => (written, length),
                }
            }
            IpAddr::V4(_) => (address(ip), length),
        };
        let prefix = Prefix::new(written, length);
        Ok(Self {
            prefix,
            masked: prefix.address() != written,
        })
    }
}

/// The address and the length of a prefix in CIDR notation (RFC 4632 section 3.1, RFC 4291
/// section 2.3). A length is decimal without a sign, a leading zero or anything around it,
/// and no netmask: of two readers of one list, both must read the same prefix.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = match text.split_once('/') {
        Some((ip, length)) => (ip, Some(length)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().ok()?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        return Some((ip, most));
    };
    let is_plain = length.bytes().all(|byte| byte.is_ascii_digit())
        && (length == "0" || !length.starts_with('0'));
    let length: u8 = is_plain.then(|| length.parse().ok())??;
    (length <= most).then_some((ip, length))
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", ip(self.address()), self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bits of an address of a family.
#[must_use]
pub const fn bits(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

const fn mask(length: u8) -> (u64, u64) {
    match length {
        0 => (0, 0),
        1..=64 => (u64::MAX << (64 - length), 0),
        65..=127 => (u64::MAX, u64::MAX << (128 - length)),
        _ => (u64::MAX, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse::<Written>().expect(text).prefix
    }

    #[test]
    fn prefixes_are_read_masked_and_written() {
        for (text, meant, masked) in [
            ("192.0.2.7", "192.0.2.7/32", false),
            ("192.0.2.7/24", "192.0.2.0/24", true),
            ("0.0.0.0/0", "0.0.0.0/0", false),
            ("2001:db8::7", "2001:db8::7/128", false),
            ("2001:db8::7/64", "2001:db8::/64", true),
            ("2001:db8:0:0:8000::/65", "2001:db8:0:0:8000::/65", false),
            ("::ffff:192.0.2.7", "192.0.2.7/32", false),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24", true),
            ("::ffff:0:0/96", "0.0.0.0/0", false),
            ("::192.0.2.7", "192.0.2.7/32", false),
            ("::192.0.2.7/120", "192.0.2.0/24", true),
            ("::192.0.2.7/95", "::/95", true),
            ("::192.0.2.7/97", "128.0.0.0/1", true),
            ("::1.2.3.4/97", "::/97", true),
            ("::ffff:1.2.3.4/97", "0.0.0.0/1", true),
            ("64:ff9b::192.0.2.0/120", "192.0.2.0/24", false),
            ("64:ff9b::/96", "0.0.0.0/0", false),
            ("64:ff9b::/95", "64:ff9b::/95", false),
            ("64:ff9b:1::192.0.2.7", "64:ff9b:1::c000:207/128", false),
            ("2002:c000:207::1", "2002:c000:207::1/128", false),
            ("2001:0:c000:207::1", "2001:0:c000:207::1/128", false),
            ("::1", "::1/128", false),
            ("::", "::/128", false),
            ("::/96", "::/96", false),
            ("::/0", "::/0", false),
        ] {
            let written: Written = text.parse().expect(text);
            assert_eq!(written.prefix.to_string(), meant, "{text}");
            assert_eq!(written.masked, masked, "{text}");
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "a",
            "192.0.2.1/-1",
            "1.2.3.4 ",
            "1.2.3.4/",
            "192.0.2.0/024",
            "192.0.2.0/00",
            "192.0.2.0/+24",
            "192.0.2.0/ 24",
            "192.0.2.0/24 ",
            "192.0.2.0 /24",
            "192.0.2.0/24.0",
            "192.0.2.0/1e1",
            "192.0.2.0/0x18",
            "192.0.2.0/\u{ff12}\u{ff14}",
            "\u{ff11}92.0.2.0/24",
            "192.0.2.0/\u{0662}\u{0664}",
            "192.0.2.0/24/24",
            "192.0.2.0/256",
            "192.0.2.0/280",
            "192.0.2.0/18446744073709551640",
            "192.0.2.0/255.255.255.0",
            "192.0.02.0/24",
            "192.0.2/24",
            "2001:db8::/032",
            "2001:db8::/+32",
            "2001:db8::/-1",
            "2001:db8::/ 32",
            "2001:db8::/32.0",
            "2001:db8::%1/32",
            "[2001:db8::]/32",
            "2001:db8::/ffff::",
        ] {
            assert!(text.parse::<Written>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        /// `parse(display(p)) == p`, but for a prefix that was built of an IPv6 spelling of IPv4.
        #[test]
        fn what_is_displayed_is_read_as_the_same(bits: u128, length in 0..=140u8, v4: bool) {
            let address = if v4 {
                Address::v4((bits as u32).to_be_bytes())
            } else {
                spelled(bits.into())
            };
            let prefix = Prefix::new(address, length);
            let read: Written = prefix.to_string().parse().expect("it was displayed");
            prop_assert!(!read.masked);
            if read.prefix.family() == prefix.family() {
                prop_assert_eq!(read.prefix, prefix);
            }
            prop_assert_eq!(read.prefix.to_string().parse(), Ok(read));
        }

        /// Each length has one spelling that is accepted.
        #[test]
        fn a_length_that_is_accepted_is_displayed_as_it_was_written(
            length in "[-+ ]?[0-9\u{ff10}-\u{ff19}]{0,4}(\\.0)?[ ]?",
            v4: bool,
        ) {
            let ip = if v4 { "192.0.2.7" } else { "2001:db8::7" };
            if let Ok(written) = format!("{ip}/{length}").parse::<Written>() {
                prop_assert_eq!(length, written.prefix.length().to_string());
            }
        }
    }

    #[test]
    fn what_a_prefix_covers_stands_together_behind_it() {
        let mut all: Vec<_> = [
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.0/32",
            "10.255.255.255/32",
            "11.0.0.0/8",
            "2001:db8::/32",
            "2001:db8::/128",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128",
            "2001:db9::/32",
            "9.255.255.255/32",
        ]
        .map(prefix)
        .to_vec();
        all.sort();
        for wide in &all {
            let within: Vec<_> = all.iter().filter(|narrow| wide.covers(narrow)).collect();
            let range: Vec<_> = all
                .iter()
                .filter(|one| (*wide..=wide.last()).contains(*one))
                .collect();
            assert_eq!(within, range, "{wide}");
        }
    }

    #[test]
    fn families_never_cover_each_other() {
        assert!(!prefix("0.0.0.0/0").covers(&prefix("::/0")));
        assert!(!prefix("::/0").covers(&prefix("10.0.0.0/8")));
        assert!(prefix("::/0").covers(&prefix("2001:db8::/32")));
    }
}
