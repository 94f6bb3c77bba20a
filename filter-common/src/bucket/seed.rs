//! The place of a bucket: a keyed hash of its owner.

use super::CLASSES;
use crate::rate::{Kind, TOGETHER};

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey {
    /// [`Address::source`](crate::source::Address::source) or
    /// [`Address::neighbourhood`](crate::source::Address::neighbourhood).
    pub prefix: u64,
    /// [`Family`](crate::source::Family) of the prefix.
    pub family: u8,
    /// [`SOURCE`](Self::SOURCE), [`NEIGHBOURHOOD`](Self::NEIGHBOURHOOD) or
    /// [`TOGETHER`](Self::TOGETHER).
    pub level: u8,
    /// The service.
    pub service: u8,
    /// The tier.
    pub tier: u8,
    /// 1 for a shadow's bucket: what is only counted must not use up what is
    /// enforced.
    pub shadow: u8,
}

impl BucketKey {
    /// The level of the source.
    pub const SOURCE: u8 = 0;
    /// The level of the neighbourhood.
    pub const NEIGHBOURHOOD: u8 = 1;
    /// The level of all sources together.
    pub const TOGETHER: u8 = 2;

    /// The bucket of all sources together at a service, whatever their tiers.
    #[inline(always)]
    #[must_use]
    pub const fn together(service: u8, shadow: u8) -> Self {
        Self {
            prefix: 0,
            family: 0,
            level: Self::TOGETHER,
            service,
            tier: 0,
            shadow,
        }
    }

    /// The number of a rate of this bucket: those of the source come first. All
    /// together have but one.
    #[must_use]
    pub const fn number(&self, kind: Kind) -> u32 {
        if self.level == Self::TOGETHER {
            TOGETHER
        } else {
            self.level as u32 * 3 + kind as u32
        }
    }
}

/// The key and the ticks by which buckets are found. Lives as long as they do.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Seed {
    /// Random, and known to nobody: who doesn't know it can't aim at a line.
    pub key: [u64; 4],
    /// The longest burst in these ticks, by class: a word that seems to be further
    /// ahead is an old one.
    pub reach: [u32; CLASSES],
    /// Nanoseconds of a tick, by class, as powers of two.
    pub shifts: [u8; CLASSES],
    /// Lines of the table.
    pub lines: u32,
}

/// Without the key, which nobody is to read in a log.
impl core::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Seed")
            .field("reach", &self.reach)
            .field("shifts", &self.shifts)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

/// The line of all buckets that a source has at a service: one, whatever
/// their tiers.
///
/// So a packet's line can be asked for before its verdict is known, and comes
/// while the verdict is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The line's index.
    pub line: u32,
    /// The hash from which tags are made.
    pub rest: u32,
}

/// The place of a bucket: its line and its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line's index.
    pub line: u32,
    /// The tag by which its words are found.
    pub tag: u32,
}

impl Seed {
    /// The place of a bucket: its line and its tag.
    #[inline(always)]
    #[must_use]
    pub const fn place(&self, key: &BucketKey) -> Place {
        self.home(key.prefix, key.family, key.level, key.service)
            .place(key.tier, key.shadow)
    }

    /// Mixes a word into another, by the secret: for any two pairs of words the chance
    /// of one result is that of random numbers, over the keys.
    #[inline(always)]
    #[must_use]
    pub const fn blend(&self, into: u64, word: u64) -> u64 {
        let mut mixed = (into ^ self.key[0]).wrapping_mul(self.key[1] | 1);
        mixed ^= mixed >> 32;
        mixed = (mixed ^ word ^ self.key[2]).wrapping_mul(self.key[3] | 1);
        mixed ^ mixed >> 29
    }

    /// The place of the buckets of a source or a neighbourhood; the parameters are
    /// the fields of a [`BucketKey`].
    ///
    /// Two multiplications by secret odd numbers, what is secret mixed in before
    /// each, and a third that spreads what they did. For any two buckets the
    /// chance of a common line is that of two random numbers, over the keys; and
    /// nothing that a sender sees depends on the key but a drop.
    #[inline(always)]
    #[must_use]
    pub const fn home(&self, prefix: u64, family: u8, level: u8, service: u8) -> Home {
        let rest = family as u64 | (level as u64) << 8 | (service as u64) << 16;
        let mut mixed = (prefix ^ self.key[0]).wrapping_mul(self.key[1] | 1);
        mixed ^= mixed >> 32;
        mixed = (mixed ^ rest ^ self.key[2]).wrapping_mul(self.key[3] | 1);
        mixed ^= mixed >> 29;
        mixed = mixed.wrapping_mul(SPREAD);
        mixed ^= mixed >> 32;
        Home {
            line: (((mixed >> 32) * self.lines as u64) >> 32) as u32,
            rest: mixed as u32,
        }
    }
}

impl Home {
    /// The place of one of the buckets. No two of a home have the same tag.
    #[inline(always)]
    #[must_use]
    pub const fn place(self, tier: u8, shadow: u8) -> Place {
        let own = (tier as u64 | (shadow as u64) << 8) << 32;
        Place {
            line: self.line,
            tag: ((own | self.rest as u64).wrapping_mul(SPREAD) >> 32) as u32,
        }
    }
}

/// An odd number without a pattern, from the mixer of SplitMix64.
const SPREAD: u64 = 0xbf58_476d_1ce4_e5b9;
