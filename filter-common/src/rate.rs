//! Rates: GCRA, one arrival time a rate, exact across CPUs.
//!
//! A bucket's word is the moment (nanoseconds, wrapping) up to which what was
//! admitted so far has used up the rate. What is admitted pushes it on by its
//! cost; nothing may push it further ahead of now than the burst. So in any
//! window `admitted <= burst + rate * window`.
//!
//! See ITU-T I.371 (03/2004) annex A, "virtual scheduling".

/// A rate and its burst, as the packet path uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rate {
    /// What one unit costs, in nanoseconds times 1,024. 0: no rate is set.
    pub interval: u64,
    /// How far ahead of now the word may be, in nanoseconds: the burst.
    pub limit: u64,
    /// 1: a bucket that is new begins without a burst, so that moving to a
    /// stricter tier gives nothing away. 0: with the whole burst.
    pub cold: u64,
}

impl Rate {
    /// No rate.
    pub const NONE: Self = Self {
        interval: 0,
        limit: 0,
        cold: 0,
    };

    /// A rate of `units` in `per_nanoseconds`, `burst` of them at once.
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
            cold: 0,
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

    /// Nanoseconds that `units` use up, rounded up. Of `units` the lower 16 bits
    /// count (see [`MAX_UNITS`]).
    #[inline(always)]
    #[must_use]
    pub const fn cost(&self, units: u32) -> u64 {
        let units = units as u64 & MAX_UNITS as u64;
        (units * self.interval + ((1 << FRACTION) - 1)) >> FRACTION
    }

    /// The word of a new bucket, for a packet that costs `cost`.
    #[inline(always)]
    #[must_use]
    pub const fn fresh(&self, now: u64, cost: u64) -> u64 {
        if self.cold == 0 {
            now
        } else {
            now.wrapping_add(self.limit.saturating_sub(cost))
        }
    }

    /// The word after a packet that costs `cost`, or the same word and `false`
    /// if it is over the rate.
    ///
    /// A word in the past, of whatever age, is idle. One far beyond the limit was
    /// written under a larger one: it leaves room for this packet, no more, so
    /// that a source never waits for what a rate before a reload has left.
    #[inline(always)]
    #[must_use]
    pub const fn step(&self, word: u64, now: u64, cost: u64) -> (u64, bool) {
        let ahead = word.wrapping_sub(now);
        // All ones if `ahead` isn't negative. Without a branch: each one would
        // double what the verifier has to follow.
        let ahead = ahead & (ahead >> 63).wrapping_sub(1);
        let ahead = if ahead > self.limit + LATE {
            self.limit.saturating_sub(cost)
        } else {
            ahead
        };
        let next = ahead + cost;
        if next > self.limit {
            (word, false)
        } else {
            (now.wrapping_add(next), true)
        }
    }
}

/// One word of a bucket, shared by all CPUs: a map's memory in the kernel, an
/// atomic on the host.
pub trait Cell {
    /// The word as it is now.
    fn load(&self) -> u64;

    /// Puts `new` where `old` still stands; `false` if it doesn't.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// Whether a packet that costs `cost` would be admitted now. Changes nothing.
#[inline(always)]
pub fn conforms<C: Cell>(cell: &C, rate: &Rate, now: u64, cost: u64) -> bool {
    rate.step(cell.load(), now, cost).1
}

/// Charges a packet that costs `cost`; `false` if it is over the rate, or if
/// the race for the word was lost [`RACES`] times.
#[inline(always)]
pub fn charge<C: Cell>(cell: &C, rate: &Rate, now: u64, cost: u64) -> bool {
    for _ in 0..RACES {
        let word = cell.load();
        let (next, admitted) = rate.step(word, now, cost);
        if !admitted {
            return false;
        }
        if cell.replace(word, next) {
            return true;
        }
    }
    false
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

/// A word may be so far beyond the limit because the clock was read before
/// another CPU wrote it: 4.3 s, longer than a virtual CPU stands still.
const LATE: u64 = 1 << 32;

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
    /// Of the neighbourhood: an IPv4 /24 or an IPv6 /48.
    pub neighbourhood: Rates,
}

impl Tier {
    /// No rate is set.
    pub const NONE: Self = Self {
        source: Rates::NONE,
        neighbourhood: Rates::NONE,
    };
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct BucketKey {
    /// [`Address::source`](crate::source::Address::source) or
    /// [`Address::neighbourhood`](crate::source::Address::neighbourhood).
    pub prefix: u64,
    /// [`Family`](crate::source::Family) of the prefix.
    pub family: u8,
    /// [`SOURCE`](Self::SOURCE) or [`NEIGHBOURHOOD`](Self::NEIGHBOURHOOD).
    pub level: u8,
    /// The service.
    pub service: u8,
    /// The tier.
    pub tier: u8,
    /// 1 for a shadow's bucket: what is only counted must not use up what is
    /// enforced.
    pub shadow: u8,
    /// Always 0.
    pub reserved: [u8; 3],
}

impl BucketKey {
    /// The level of the source.
    pub const SOURCE: u8 = 0;
    /// The level of the neighbourhood.
    pub const NEIGHBOURHOOD: u8 = 1;
}

/// The words of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket<C> {
    /// Of the packets' rate.
    pub packets: C,
    /// Of the bytes' rate.
    pub bytes: C,
    /// Of the new connections' rate.
    pub connections: C,
}

#[cfg(test)]
mod tests;
