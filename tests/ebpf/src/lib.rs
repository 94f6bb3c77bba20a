//! Where the bench's packets come from.
//!
//! Every source and every listed prefix follows from its number, so that nobody
//! keeps a list: the generator reads no memory that the filter would miss, and
//! the host makes a list of the same prefixes. What is drawn follows from a
//! count, so that each run is alike.

#![no_std]

/// What packets are drawn from, as the words of a map's value. Of 65,536 packets
/// so many come from each class, the others from [`OTHER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// Index of the interface that they are sent to.
    pub interface: u32,
    /// 4 or 6.
    pub family: u32,
    /// Packets of [`HEAVY`].
    pub heavy: u32,
    /// Packets of [`LISTED`].
    pub listed: u32,
    /// Packets of [`HONEST`].
    pub honest: u32,
    /// How many heavy sources there are.
    pub heavy_sources: u32,
    /// How many honest sources there are.
    pub honest_sources: u32,
    /// How many prefixes are listed.
    pub list: u32,
    /// How many other sources there are; 0: all addresses of the family.
    pub others: u32,
    /// 1: only addresses are listed, nothing wider.
    pub exact: u32,
    /// The sum of the IPv4 header's words without the source.
    pub checksum: u32,
}

impl Draw {
    /// Words of a value.
    pub const WORDS: usize = 11;

    /// From a map's value.
    #[inline(always)]
    #[must_use]
    pub const fn of(words: &[u32; Self::WORDS]) -> Self {
        Self {
            interface: words[0],
            family: words[1],
            heavy: words[2],
            listed: words[3],
            honest: words[4],
            heavy_sources: words[5],
            honest_sources: words[6],
            list: words[7],
            others: words[8],
            exact: words[9],
            checksum: words[10],
        }
    }

    /// As a map's value.
    #[must_use]
    pub const fn words(&self) -> [u32; Self::WORDS] {
        [
            self.interface,
            self.family,
            self.heavy,
            self.listed,
            self.honest,
            self.heavy_sources,
            self.honest_sources,
            self.list,
            self.others,
            self.exact,
            self.checksum,
        ]
    }

    /// The source of the packet of this number.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self, number: u64) -> Drawn {
        let random = mix(number);
        let share = random as u32 & 0xffff;
        let pick = (random >> 32) as u32;
        let (class, [high, low]) = if share < self.heavy {
            (HEAVY, one_of(HEAVY, self.heavy_sources, pick))
        } else if share < self.heavy + self.listed {
            let listed = listed(self.family, below(self.list, pick), self.exact != 0);
            (LISTED, listed.with_host(mix(random)))
        } else if share < self.heavy + self.listed + self.honest {
            (HONEST, one_of(HONEST, self.honest_sources, pick))
        } else if self.others == 0 {
            (OTHER, [mix(random), mix(!random)])
        } else {
            (OTHER, one_of(OTHER, self.others, pick))
        };
        Drawn { class, high, low }
    }
}

/// A source that was drawn: an IPv6 address, or an IPv4 address in the first 32
/// bits of `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Of which class.
    pub class: u8,
    /// The first 64 bits; an IPv6 address still lacks its first three.
    pub high: u64,
    /// The last 64 bits.
    pub low: u64,
}

/// A listed prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The first 64 bits; IPv4: the address in the first 32.
    pub high: u64,
    /// The last 64 bits.
    pub low: u64,
    /// Bits that count.
    pub length: u8,
    /// Host bits there are in `high` and in `low`, as masks.
    host: [u64; 2],
}

impl Listed {
    #[inline(always)]
    const fn with_host(&self, random: u64) -> [u64; 2] {
        let [high, low] = self.host;
        [
            self.high & !high | random & high,
            self.low & !low | mix(random) & low,
        ]
    }
}

/// The prefix of this number in the lists.
///
/// IPv4: 90 % addresses, 10 % /20 to /29. IPv6: 70 % addresses, 20 % /64, 10 %
/// /48 to /56, in 2000::/3. Random over the whole space, which is the worst case
/// for locality.
#[inline(always)]
#[must_use]
pub const fn listed(family: u32, number: u32, exact: bool) -> Listed {
    let high = mix(number as u64 | LIST);
    let low = mix(high);
    let share = low as u32 & 0xffff;
    let step = (low >> 16) as u32 & 0xffff;
    let length = if family == 4 {
        if exact || share >= TENTH {
            32
        } else {
            20 + ((step * 10) >> 16)
        }
    } else if exact || share >= 3 * TENTH {
        128
    } else if share >= TENTH {
        64
    } else {
        48 + ((step * 9) >> 16)
    };
    let host = if length >= 128 {
        [0, 0]
    } else if length == 64 {
        [0, u64::MAX]
    } else {
        [u64::MAX >> (length & 63), u64::MAX]
    };
    Listed {
        high: if family == 4 { high } else { global(high) },
        low,
        length: length as u8,
        host,
    }
}

/// The first 64 bits of an address of 2000::/3, the only ones that are routed.
#[inline(always)]
#[must_use]
pub const fn global(high: u64) -> u64 {
    high >> 3 | 1 << 61
}

#[inline(always)]
const fn one_of(class: u8, many: u32, pick: u32) -> [u64; 2] {
    let high = mix(below(many, pick) as u64 | (class as u64) << 40);
    [high, mix(high)]
}

/// A number below `many`, for a random one.
#[inline(always)]
const fn below(many: u32, random: u32) -> u32 {
    ((many as u64 * random as u64) >> 32) as u32
}

/// A number that looks random, and no two are alike (the finalizer of
/// `SplitMix64`).
#[inline(always)]
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Sources that nobody knows.
pub const OTHER: u8 = 0;
/// Few sources with many packets each.
pub const HEAVY: u8 = 1;
/// Sources of listed prefixes.
pub const LISTED: u8 = 2;
/// Sources that keep to their rate.
pub const HONEST: u8 = 3;
/// How many classes there are.
pub const CLASSES: usize = 4;

const LIST: u64 = 1 << 48;
/// A tenth of 65,536.
const TENTH: u32 = 6_554;
