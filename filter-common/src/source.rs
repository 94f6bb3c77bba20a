//! Addresses, and what of them a rate belongs to.

use core::hint::black_box;

/// The family of an address. It is part of every key: an IPv4 and an IPv6
/// address with the same words are different sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4
    V4 = 4,
    /// IPv6
    V6 = 6,
}

/// An address of either family as two words in host order: an IPv6 address is
/// `high` then `low`, an IPv4 address is the lower half of `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Which family the words are of.
    pub family: Family,
    /// The first 64 bits of an IPv6 address; 0 for IPv4.
    pub high: u64,
    /// The last 64 bits of an IPv6 address; an IPv4 address as a number.
    pub low: u64,
}

impl Address {
    /// An IPv4 address from its bytes as they stand in a header.
    #[inline(always)]
    #[must_use]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Self {
            family: Family::V4,
            high: 0,
            low: u32::from_be_bytes(bytes) as u64,
        }
    }

    /// An IPv6 address from its two halves as they stand in a header.
    #[inline(always)]
    #[must_use]
    pub const fn v6(high: [u8; 8], low: [u8; 8]) -> Self {
        Self {
            family: Family::V6,
            high: u64::from_be_bytes(high),
            low: u64::from_be_bytes(low),
        }
    }

    /// What a rate at the level of the source belongs to: an IPv4 /32, or an
    /// IPv6 /64, since whoever has one address of a /64 has all of them.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> u64 {
        let v6 = self.all_if_v6();
        self.low & !v6 | self.high & v6
    }

    /// What a rate at the level of the neighbourhood belongs to: an IPv4 /24,
    /// or an IPv6 /48.
    #[inline(always)]
    #[must_use]
    pub const fn neighbourhood(&self) -> u64 {
        let v6 = self.all_if_v6();
        self.low & !0xff & !v6 | self.high & !0xffff & v6
    }

    /// All ones for IPv6, else 0, and no branch: the verifier would follow both
    /// families apart for as long as somebody may still ask.
    #[inline(always)]
    const fn all_if_v6(&self) -> u64 {
        black_box((self.family as u64) >> 1 & 1).wrapping_neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        let v4 = Address::v4([192, 0, 2, 7]);
        assert_eq!(v4.source(), 0xc000_0207);
        assert_eq!(v4.neighbourhood(), 0xc000_0200);

        let one = Address::v6([0x20, 1, 0xd, 0xb8, 0, 1, 0, 2], [1; 8]);
        let two = Address::v6([0x20, 1, 0xd, 0xb8, 0, 1, 0, 2], [9; 8]);
        let near = Address::v6([0x20, 1, 0xd, 0xb8, 0, 1, 0, 3], [1; 8]);
        assert_eq!(one.source(), two.source());
        assert_ne!(one.source(), near.source());
        assert_eq!(one.neighbourhood(), near.neighbourhood());
    }

    #[test]
    fn equal_words_of_two_families_are_two_addresses() {
        let v4 = Address::v4([0, 0, 0, 1]);
        let v6 = Address::v6([0; 8], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((v4.high, v4.low), (v6.high, v6.low));
        assert_ne!(v4, v6);
    }
}
