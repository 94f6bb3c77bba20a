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

impl Family {
    /// The family of a number that is one of theirs.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn of(number: u8) -> Self {
        if number == Self::V4 as u8 {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// The index of a family in an array of both: IPv4 first.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize >> 1 & 1
    }
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

    /// The source that an address stands for: an IPv4 node has several IPv6 spellings,
    /// and a verdict or a rate on it holds for all of them.
    ///
    /// * IPv4-mapped, `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2): a server that listens on
    ///   `::` sees the IPv4 node, and answers it by IPv4.
    /// * IPv4-compatible, `::a.b.c.d` (§2.5.5.1): an automatic tunnel answers by IPv4.
    ///   Not where `a` is 0, which no IPv4 node has: `::` and `::1` are IPv6's own.
    /// * `64:ff9b::a.b.c.d` (RFC 6052 §2.1): behind a translator (RFC 7755) all of IPv4
    ///   is in this one /96.
    ///
    /// 6to4, Teredo and a translator's own prefix stay what they are: there the IPv4
    /// address is a relay's or a guess (`docs/threats.md`).
    #[inline(always)]
    #[must_use]
    pub const fn canonical(self) -> Self {
        let middle = self.low >> 32;
        let in_zeros = all_if_0(self.high)
            & (all_if_0(middle ^ 0xffff) | all_if_0(middle) & !all_if_0(self.low >> 24));
        let translated = all_if_0(self.high ^ TRANSLATED) & all_if_0(middle);
        // An IPv4 address looks like a compatible one, and stays what it is.
        let v4 = in_zeros | translated;
        let family = self.family as u64 & !(v4 & (Family::V4 as u64 ^ Family::V6 as u64));
        Self {
            family: Family::of(black_box(family) as u8),
            high: self.high & !v4,
            low: self.low & (!v4 | 0xffff_ffff),
        }
    }

    /// The prefix that a rate at the level of the source belongs to: an IPv4 /32, or an
    /// IPv6 /64, since whoever has one address of a /64 has all of them.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> u64 {
        let v6 = self.all_if_v6();
        self.low & !v6 | self.high & v6
    }

    /// The prefix that a rate at the level of the neighbourhood belongs to: an IPv4 /24,
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

/// All ones for 0, else 0.
#[inline(always)]
const fn all_if_0(number: u64) -> u64 {
    // By a branch the verifier would follow each kind of address apart.
    black_box((!(number | number.wrapping_neg())) >> 63).wrapping_neg()
}

/// The upper half of `64:ff9b::/96`.
const TRANSLATED: u64 = 0x0064_ff9b_0000_0000;

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

    #[test]
    fn an_ipv4_node_is_one_source_in_all_its_spellings() {
        let node = Address::v4([203, 0, 113, 66]);
        let low = [0, 0, 0, 0, 203, 0, 113, 66];
        for (high, low, source) in [
            // Mapped, compatible, behind a translator.
            ([0; 8], [0, 0, 0xff, 0xff, 203, 0, 113, 66], Some(node)),
            ([0; 8], low, Some(node)),
            ([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0], low, Some(node)),
            // A mapped address may have any bits, a compatible one not a first byte of 0.
            (
                [0; 8],
                [0, 0, 0xff, 0xff, 0, 0, 0, 1],
                Some(Address::v4([0, 0, 0, 1])),
            ),
            (
                [0; 8],
                [0, 0, 0, 0, 1, 0, 0, 0],
                Some(Address::v4([1, 0, 0, 0])),
            ),
            ([0; 8], [0, 0, 0, 0, 0, 255, 255, 255], None),
            ([0; 8], [0; 8], None),
            ([0; 8], [0, 0, 0, 0, 0, 0, 0, 1], None),
            // Each bit beside them.
            ([0; 8], [0, 1, 0xff, 0xff, 203, 0, 113, 66], None),
            ([0; 8], [0, 0, 0xff, 0xfe, 203, 0, 113, 66], None),
            (
                [0, 0, 0, 0, 0, 0, 0, 1],
                [0, 0, 0xff, 0xff, 203, 0, 113, 66],
                None,
            ),
            ([0, 0, 0, 0, 0, 0, 0, 1], low, None),
            ([0, 0x64, 0xff, 0x9b, 0, 1, 0, 0], low, None),
            (
                [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0],
                [0, 0, 0xff, 0xff, 1, 2, 3, 4],
                None,
            ),
            // 6to4 and Teredo.
            (
                [0x20, 2, 203, 0, 113, 66, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 1],
                None,
            ),
            ([0x20, 1, 0, 0, 203, 0, 113, 66], [0; 8], None),
        ] {
            let spelled = Address::v6(high, low);
            assert_eq!(
                spelled.canonical(),
                source.unwrap_or(spelled),
                "{spelled:x?}"
            );
            assert_eq!(spelled.canonical().canonical(), spelled.canonical());
        }
        for v4 in [[0; 4], [0, 0, 0, 1], [203, 0, 113, 66], [255; 4]] {
            assert_eq!(Address::v4(v4).canonical(), Address::v4(v4));
        }
    }
}
