//! Rates: GCRA, one arrival time a rate, exact across CPUs.
//!
//! An arrival time is the moment up to which what was admitted so far has used
//! up the rate. What is admitted pushes it on by its cost; nothing may push it
//! further ahead of now than the burst. So in any window
//! `admitted <= burst + rate * window`.
//!
//! Here is what a rate says; where arrival times are kept is the room `bucket`,
//! and in which ticks they count `rate/ticks.rs`.
//!
//! See ITU-T I.371 (03/2004) annex A, "virtual scheduling".

use crate::source::Family;

/// A rate and its burst, as the packet path uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rate {
    /// What one unit costs, in ticks times 1,024. 0: no rate is set.
    pub interval: u64,
    /// How far ahead of now the word may be, in ticks: the burst.
    pub limit: u64,
    /// 1: a bucket that is new begins without a burst, so that moving to a
    /// stricter tier gives nothing away. 0: with the whole burst.
    pub cold: u8,
    /// A tick is so many nanoseconds, as a power of two.
    pub shift: u8,
    /// The number by which a word tells its tick.
    pub class: u8,
    /// So far beyond the limit a word may be because another CPU read the clock
    /// later, in ticks, as a power of two.
    pub late: u8,
    /// 1: the burst is too short for a clock that is up to [`COARSE`] late. (So it
    /// is 0 where no rate is set, and rates can be laid over each other.)
    pub hasty: u8,
    /// Always 0.
    pub reserved: [u8; 3],
}

impl Rate {
    /// No rate.
    pub const NONE: Self = Self {
        interval: 0,
        limit: 0,
        cold: 0,
        shift: 0,
        class: 0,
        late: 0,
        hasty: 0,
        reserved: [0; 3],
    };

    /// A rate of `units` in `per_nanoseconds`, `burst` of them at once, in ticks
    /// of a nanosecond.
    ///
    /// `None` where it can't be held: no units, no burst, no time, a unit that
    /// takes longer than about two minutes, or a burst longer than 52 days.
    #[must_use]
    pub const fn new(units: u64, per_nanoseconds: u64, burst: u64) -> Option<Self> {
        if units == 0 || burst == 0 || per_nanoseconds == 0 {
            return None;
        }
        let mut interval = ((per_nanoseconds as u128) << FRACTION).div_ceil(units as u128);
        // What a packet costs is rounded up to nanoseconds. Where that is little
        // the interval is rounded, so that a burst of five admits all five.
        if interval >= WHOLE {
            interval = interval.next_multiple_of(1 << FRACTION);
        }
        if interval > MAX_INTERVAL as u128 {
            return None;
        }
        let limit = (interval * burst as u128).div_ceil(1 << FRACTION);
        if limit > MAX_LIMIT as u128 {
            return None;
        }
        Some(Self {
            interval: interval as u64,
            limit: limit as u64,
            late: LATE,
            hasty: ((limit as u64) < PATIENT) as u8,
            ..Self::NONE
        })
    }

    /// The same rate, whose new buckets begin without a burst.
    #[must_use]
    pub const fn cold(mut self) -> Self {
        self.cold = 1;
        self
    }

    /// Whether a rate is set.
    #[inline(always)]
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.interval != 0
    }

    /// Ticks that `units` use up, rounded up. Of `units` the lower 16 bits
    /// count (see [`MAX_UNITS`]).
    #[inline(always)]
    #[must_use]
    pub const fn cost(&self, units: u32) -> u64 {
        let units = units as u64 & MAX_UNITS as u64;
        (units * self.interval + ((1 << FRACTION) - 1)) >> FRACTION
    }

    /// How far ahead of now the word of a new bucket is, for a packet that costs
    /// `cost`.
    #[inline(always)]
    #[must_use]
    pub const fn fresh(&self, cost: u64) -> u64 {
        (self.cold as u64).wrapping_neg() & self.room(cost)
    }

    /// How far ahead a word may be for a packet that costs `cost`.
    #[inline(always)]
    const fn room(&self, cost: u64) -> u64 {
        let room = self.limit.wrapping_sub(cost);
        room & !all_if_negative(room)
    }

    /// How far ahead a word is after a packet that costs `cost`, if it was
    /// `ahead` before; and whether that is within the rate.
    ///
    /// One far beyond the limit was written under a larger one: it leaves room
    /// for this packet, no more, so that a source never waits for what a rate
    /// before a reload has left.
    #[inline(always)]
    #[must_use]
    pub const fn admit(&self, ahead: u64, cost: u64) -> (u64, bool) {
        // Without a branch: each one would double what the verifier has to follow.
        let latest = self.limit + (1 << (self.late & 63));
        let beyond = all_if_negative(latest.wrapping_sub(ahead));
        let ahead = ahead & !beyond | self.room(cost) & beyond;
        let next = ahead + cost;
        (next, next <= self.limit)
    }

    /// The word after a packet that costs `cost`, or the same word and `false`
    /// if it is over the rate; for a word that holds nothing but its arrival
    /// time. One in the past, of whatever age, is idle.
    #[inline(always)]
    #[must_use]
    pub const fn step(&self, word: u64, now: u64, cost: u64) -> (u64, bool) {
        let ahead = word.wrapping_sub(now);
        let ahead = ahead & !all_if_negative(ahead);
        let (next, admitted) = self.admit(ahead, cost);
        if admitted {
            (now.wrapping_add(next), true)
        } else {
            (word, false)
        }
    }
}

/// All ones if the highest bit is set, else 0.
#[inline(always)]
pub(crate) const fn all_if_negative(number: u64) -> u64 {
    (number as i64 >> 63) as u64
}

/// One word of a bucket, shared by all CPUs: a map's memory in the kernel, an
/// atomic on the host.
pub trait Cell {
    /// The word as it is now.
    fn load(&self) -> u64;

    /// Puts `new` where `old` still stands; `false` if it doesn't.
    fn replace(&self, old: u64, new: u64) -> bool;

    /// All ones if the highest bit is set, else 0. In the kernel the compiler
    /// doesn't see how, or it would turn arithmetic that chooses among words into a
    /// branch for each of them: no CPU can guess those, and the verifier follows
    /// all.
    #[inline(always)]
    #[must_use]
    fn all_if_negative(number: u64) -> u64 {
        all_if_negative(number)
    }

    /// The index, within `N`, a power of two: by this every index into memory goes that
    /// isn't a constant. In the kernel the compiler doesn't see how. Where it knows that
    /// an index can't be larger it drops a mask, and the verifier doesn't know what the
    /// compiler does: that of Linux 6.1 learns nothing from comparing two numbers that
    /// it doesn't know.
    #[inline(always)]
    #[must_use]
    fn within<const N: usize>(at: usize) -> usize {
        const { assert!(N.is_power_of_two()) };
        at & (N - 1)
    }

    /// [`WAYS`](crate::bucket::WAYS). In the kernel the compiler doesn't know how
    /// many that is, or it would unroll the loop over them: the program would be
    /// too long, and its numbers more than there is stack for.
    #[inline(always)]
    #[must_use]
    fn ways() -> u64 {
        crate::bucket::WAYS as u64
    }
}

/// A word that was read, and is only looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Still(pub u64);

impl Cell for Still {
    fn load(&self) -> u64 {
        self.0
    }

    fn replace(&self, _old: u64, _new: u64) -> bool {
        true
    }
}

/// How often a packet tries to write a word that others write too.
pub const RACES: usize = 4;

/// Bits of an interval behind the point.
const FRACTION: u32 = 10;

/// From 1 µs on an interval is a whole number of nanoseconds: 0.1 % at most.
const WHOLE: u128 = 1_000 << FRACTION;

/// 137 s: times the 65,535 units of the longest frame it still fits 63 bits.
const MAX_INTERVAL: u64 = u64::MAX >> 17;

/// About 52 days.
const MAX_LIMIT: u64 = 1 << 52;

/// The most units that one packet may count for.
pub const MAX_UNITS: u32 = 0xffff;

/// Nanoseconds that the coarse clock may be late: one tick of the slowest kernel's
/// timer (100 Hz).
pub const COARSE: u64 = 10_000_000;

/// A burst as long as this hardly changes by what the coarse clock is late: by 4 %
/// at most.
const PATIENT: u64 = 25 * COARSE;

/// A word may be so far beyond the limit because the clock was read before
/// another CPU wrote it: 4.3 s, longer than a virtual CPU stands still.
const LATE: u8 = 32;

/// The three rates of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rates {
    /// Packets.
    pub packets: Rate,
    /// Bytes of the whole frame.
    pub bytes: Rate,
    /// New connections.
    pub connections: Rate,
}

impl Rates {
    /// No rate is set.
    pub const NONE: Self = Self {
        packets: Rate::NONE,
        bytes: Rate::NONE,
        connections: Rate::NONE,
    };

    /// The rate of a kind.
    #[inline(always)]
    #[must_use]
    pub const fn of(&self, kind: u32) -> &Rate {
        match kind {
            0 => &self.packets,
            1 => &self.bytes,
            _ => &self.connections,
        }
    }

    /// Whether any rate is set.
    #[inline(always)]
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.packets.is_set() || self.bytes.is_set() || self.connections.is_set()
    }
}

/// A tier as one service sees it: what it doesn't name is already inherited
/// from the service's default tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tier {
    /// Of the source: an IPv4 /32 or an IPv6 /64.
    pub source: Rates,
    /// Of the neighbourhood, by [`Family::index`]: an IPv4 /24, an IPv6 /48.
    pub neighbourhoods: [Rates; 2],
    /// New connections of all sources together, whatever their tiers: the
    /// service's tiers that have such a rate share it.
    pub together: Rate,
    /// Which rates are set, a bit each: those of the source in the lowest. A byte for
    /// each family.
    set: u32,
    /// Which of them are [hasty](Rate::hasty), likewise.
    hasty: u32,
}

impl Tier {
    /// No rate is set.
    pub const NONE: Self = Self::new(Rates::NONE, Rates::NONE);

    /// A tier of these rates, in both families.
    #[must_use]
    pub const fn new(source: Rates, neighbourhood: Rates) -> Self {
        Self {
            source,
            neighbourhoods: [neighbourhood; 2],
            together: Rate::NONE,
            set: 0,
            hasty: 0,
        }
        .marked()
    }

    /// The same tier with these rates of a neighbourhood of one family.
    #[must_use]
    pub const fn with_neighbourhood(mut self, family: Family, rates: Rates) -> Self {
        self.neighbourhoods[family.index()] = rates;
        self.marked()
    }

    /// The same tier with a rate of all sources together.
    #[must_use]
    pub const fn with_together(mut self, connections: Rate) -> Self {
        self.together = connections;
        self.marked()
    }

    /// The same tier, with the bits that say which rates are set.
    const fn marked(mut self) -> Self {
        (self.set, self.hasty) = (0, 0);
        let mut number = 0;
        while number <= TOGETHER {
            let mut index = 0;
            while index < self.neighbourhoods.len() {
                let rate = self.rate(index, number);
                let (set, hasty) = (rate.is_set() as u32, rate.hasty as u32);
                let bit = number + 8 * index as u32;
                self.set |= set << bit;
                self.hasty |= (set & hasty) << bit;
                index += 1;
            }
            number += 1;
        }
        self
    }

    /// Of a family by its index, the rate of a number: see
    /// [`BucketKey::number`](crate::bucket::BucketKey::number).
    const fn rate(&self, index: usize, number: u32) -> &Rate {
        let kinds = Kind::ALL.len() as u32;
        if number < kinds {
            self.source.of(number)
        } else if number < TOGETHER {
            self.neighbourhoods[index].of(number - kinds)
        } else {
            &self.together
        }
    }

    /// The rates of a neighbourhood of this family.
    #[must_use]
    pub const fn neighbourhood(&self, family: Family) -> &Rates {
        &self.neighbourhoods[family.index()]
    }

    /// Which rates are set for a family, by [`Family::index`]: a bit each, by their
    /// numbers.
    #[inline(always)]
    #[must_use]
    pub const fn set(&self, index: usize) -> u32 {
        of_family(self.set, index)
    }

    /// Which of them need an exact clock.
    #[inline(always)]
    #[must_use]
    pub const fn hasty(&self, index: usize) -> u32 {
        of_family(self.hasty, index)
    }
}

#[inline(always)]
const fn of_family(bits: u32, index: usize) -> u32 {
    bits >> ((index as u32 & 1) * 8) & 0xff
}

/// The number of the rate of all sources together: behind those of the source and
/// of the neighbourhood.
pub const TOGETHER: u32 = 2 * Kind::ALL.len() as u32;

mod ticks;

pub use ticks::{Kind, MAX_SHIFT};

#[cfg(test)]
mod tests;
