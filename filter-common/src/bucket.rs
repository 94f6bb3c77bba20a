//! Buckets: where the arrival times of sources are kept, in a table that never
//! grows and that no flood empties.
//!
//! The table is an array of lines, each of eight words: one line of the CPU's
//! cache. A source's line follows from a keyed hash of the source and the service,
//! so that its words (up to three a tier) share it; a word is found in the line by
//! its tag, which says the tier and the rate. The kernel's part is the array alone; finding, choosing what gives way
//! and charging are here, and run the same on the host.
//!
//! A word is 62 bits of `(tag << 30) + arrival` and, lowest, the class of its
//! tick. `arrival` counts ticks since the clock began and overflows into the
//! tag: so a word that is older than its 30 bits can tell has another tag, and
//! counts as gone. A word of any age is therefore right or not found, and
//! what isn't found is idle.
//!
//! The reasons, and what was measured: docs/decisions/0014-buckets.md.

mod seed;
mod usage;

pub use self::{
    seed::{BucketKey, Home, Place, Seed},
    usage::{Notes, Usage},
};
use crate::rate::{Cell, Rate, all_if_negative};

/// Words of a line.
pub const WAYS: usize = 8;

/// Eight words that are read at the cost of one.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Line<C>(pub [C; WAYS]);

/// A rate of a bucket, and a packet that it is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The word of the arrival time 0.
    base: u64,
    /// The same of the oldest arrival time that would be found.
    origin: u64,
    /// Now, in ticks.
    moment: u64,
    /// How old a word may be to be found, in ticks.
    memory: u64,
    /// Cost of the packet, in ticks.
    cost: u64,
}

impl Ask {
    /// `number` is [`BucketKey::number`], `now` in nanoseconds.
    #[inline(always)]
    #[must_use]
    pub const fn new(tag: u32, number: u32, rate: &Rate, now: u64, units: u32) -> Self {
        // The words of one bucket differ by what is mixed into the tag;
        // so are those that were written in other ticks before a reload.
        let own = ((rate.shift as u32) << 8 | (number + 1)).wrapping_mul(GOLDEN);
        let base = ((tag ^ own) as u64) << 32 | rate.class as u64;
        let moment = now >> (rate.shift as u32 & 63);
        let memory = (1 << (TIME_BITS + wide(rate))) - AHEAD;
        Self {
            base,
            origin: base.wrapping_add(moment.wrapping_sub(memory) << CLASS_BITS),
            moment,
            memory,
            cost: rate.cost(units),
        }
    }

    /// The word of an arrival so many ticks from now.
    #[inline(always)]
    const fn word(&self, ahead: u64) -> u64 {
        self.base
            .wrapping_add(self.moment.wrapping_add(ahead) << CLASS_BITS)
    }
}

/// A word that is new without a burst is remembered 16 times as long, so that it
/// comes to have one: its tag counts four bits less.
#[inline(always)]
const fn wide(rate: &Rate) -> u32 {
    ((rate.cold as u32) & 1) << 2
}

/// The ask's word in a line: its way, and above it eight times one more than
/// the word's distance from the origin. 0: it isn't there.
///
/// Should there be two (CPUs can make one each, if a third changes the line in
/// the same moment), it is the one further ahead. By arithmetic: which way it is
/// in can't be guessed by a CPU.
#[inline(always)]
fn find<C: Cell>(line: &Line<C>, ask: &Ask, rate: &Rate) -> u64 {
    let outside = 32 + wide(rate);
    let mut found = 0_u64;
    let mut times = 0_u64;
    for (way, word) in line.0.iter().enumerate() {
        let (one, near) = candidate::<C>(word.load(), way as u64, ask, outside);
        found = found.wrapping_add(one);
        times = times.wrapping_sub(near);
    }
    if times > 1 {
        found = furthest(line, ask, outside);
    }
    found
}

/// The result of [`find`] for one word, and all ones; 0 and 0 if it isn't the ask's.
#[inline(always)]
fn candidate<C: Cell>(word: u64, way: u64, ask: &Ask, outside: u32) -> (u64, u64) {
    let distance = word.wrapping_sub(ask.origin);
    let near = C::all_if_negative((distance >> outside).wrapping_sub(1));
    (((distance << 3).wrapping_add(8) | way) & near, near)
}

/// The largest of the candidates. In a loop that isn't unrolled: it is hardly ever
/// run, and the program would come to be too long.
#[inline(always)]
fn furthest<C: Cell>(line: &Line<C>, ask: &Ask, outside: u32) -> u64 {
    let mut best = 0_u64;
    let mut way = 0;
    while way < C::ways() {
        let word = line.0[C::within::<WAYS>(way as usize)].load();
        let (one, _near) = candidate::<C>(word, way, ask, outside);
        let further = one.wrapping_sub(best);
        best += further & !C::all_if_negative(further);
        way += 1;
    }
    best
}

/// The word that gives way (is evicted) to one that isn't in the line yet.
struct Victim {
    /// Its way.
    way: u64,
    /// The word.
    old: u64,
    /// Nanoseconds it is ahead of now, to the eighth; negative: idle so long.
    ahead: i64,
    /// Bits that any word of the line has.
    all: u64,
}

/// The word that has been idle the longest, empty ones before all.
///
/// A word tells its class and 30 bits of its arrival, not whose it is. So an old
/// one may seem to be younger, or, at most for the share that the longest burst
/// is of all 30 bits can tell, even busy: then another gives way.
#[inline(always)]
fn victim<C: Cell>(line: &Line<C>, now: u64, seed: &Seed) -> Victim {
    let mut best = 1 << EMPTY;
    let mut old = 0;
    let mut all = 0;
    for (way, word) in line.0.iter().enumerate() {
        let word = word.load();
        all |= word;
        let class = C::within::<CLASSES>(word as usize);
        let shift = u32::from(seed.shifts[class]) & 31;
        let ticks = (word >> CLASS_BITS).wrapping_sub(now >> shift) & ((1 << TIME_BITS) - 1);
        let old_one = C::all_if_negative(u64::from(seed.reach[class]).wrapping_sub(ticks));
        let ahead = ticks.wrapping_add(old_one << TIME_BITS) as i64;
        let empty = C::all_if_negative(!(word | word.wrapping_neg())) as i64;
        let score = (ahead << shift) & !7 & !empty | empty << EMPTY | way as i64;
        let further = score.wrapping_sub(best);
        let sooner = C::all_if_negative(further as u64);
        best = best.wrapping_add(further & sooner as i64);
        old ^= (old ^ word) & sooner;
    }
    Victim {
        way: best as u64 & 7,
        old,
        ahead: best & !7,
        all,
    }
}

/// An empty word is so far before all others, as a power of two: no arrival is
/// 146 years away.
///
/// (Masks are shifted rather than combined with constants: there the verifier of
/// newer kernels follows both their values.)
const EMPTY: u32 = 62;

/// Whether the packet would be admitted now. Changes nothing.
#[inline(always)]
pub fn conforms<C: Cell>(
    line: &Line<C>,
    ask: &Ask,
    rate: &Rate,
    forget: impl Fn(u64) -> u64,
) -> bool {
    let found = forget(find(line, ask, rate));
    rate.admit(ahead(found, ask, rate), ask.cost).1
}

/// Charges a packet. Gives back [`ADMITTED`] and what is to be counted (see
/// [`Notes`]); 0 if it is over the rate, or if the race for the word was lost
/// [`RACES`](crate::rate::RACES) times.
#[inline(always)]
pub fn charge<C: Cell>(
    line: &Line<C>,
    ask: &Ask,
    rate: &Rate,
    now: u64,
    seed: &Seed,
    forget: impl Fn(u64) -> u64,
) -> u64 {
    for _ in 0..crate::rate::RACES {
        let found = forget(find(line, ask, rate));
        let (next, admitted) = rate.admit(ahead(found, ask, rate), ask.cost);
        if !admitted {
            return 0;
        }
        let mut way = found & 7;
        let mut old = ask.origin.wrapping_add((found >> 3).wrapping_sub(1));
        let mut notes = ADMITTED;
        if found == 0 {
            let victim = victim(line, now, seed);
            (way, old) = (victim.way, victim.old);
            if victim.ahead > 0 {
                // What is as far ahead or further has as much to remember.
                if victim.ahead as u64 >> (rate.shift & 63) >= next {
                    return ADMITTED | Notes::SATURATED | Notes::NONE;
                }
                notes |= Notes::SATURATED | Notes::EVICTED;
            }
            let taken = C::all_if_negative(victim.ahead.wrapping_add(1 << (EMPTY - 2)) as u64);
            let begun = C::all_if_negative(!(victim.all | victim.all.wrapping_neg()));
            notes |= taken.wrapping_neg() * Notes::TAKEN;
            notes |= begun.wrapping_neg() * Notes::BEGUN;
        }
        let way = C::within::<WAYS>(way as usize);
        if line.0[way].replace(old, ask.word(next)) {
            return notes;
        }
    }
    0
}

/// How far a found word is ahead of now, in ticks; what a new one begins with,
/// if none was found.
#[inline(always)]
const fn ahead(found: u64, ask: &Ask, rate: &Rate) -> u64 {
    let ticks = ((found >> 3).wrapping_sub(1) >> CLASS_BITS).wrapping_sub(ask.memory);
    let missing = all_if_negative(found.wrapping_sub(1));
    ticks & !all_if_negative(ticks) & !missing | rate.fresh(ask.cost) & missing
}

/// How far ahead of now the word is, in ticks; what a new one would begin with,
/// if there is none.
#[must_use]
pub fn look<C: Cell>(line: &Line<C>, ask: &Ask, rate: &Rate) -> u64 {
    ahead(find(line, ask, rate), ask, rate)
}

/// The packet is within the rate.
pub const ADMITTED: u64 = 1;

/// Classes of ticks.
pub const CLASSES: usize = 4;

/// Bits of a word that tell the class.
const CLASS_BITS: u32 = 2;

/// Bits of a word that tell the time alone.
const TIME_BITS: u32 = 30;

/// Ticks that a word may be ahead of now.
pub const AHEAD: u64 = 1 << (TIME_BITS - 1);

/// An odd number without a pattern: the golden ratio's 32 bits.
const GOLDEN: u32 = 0x9e37_79b9;

#[cfg(test)]
mod tests;
