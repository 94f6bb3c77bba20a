//! The verdict tables: how the timeline of a source is found in shared memory.
//!
//! What is read here is written by the daemon (`filter-user`,
//! `datapath/table`) while packets come. So a reader follows words of 8
//! bytes, each written in one store, to rows that don't change as long as any
//! reader can hold them: it sees the state before a change or the one after it,
//! and nothing in between. Both families keep their tables twice; one [word](active)
//! says which of the two holds, for both.
//!
//! * IPv4 ([`ipv4`]): a prefilter of /21s, and a word for each /18 that says which of its
//!   /23s have anything, and where the block of its cells lies: most misses end
//!   there, most hits in one line of 64 bytes. (With room for more than two million
//!   prefixes all of these are narrower.)
//! * IPv6 ([`ipv6`]): a prefilter of /32s that ends most misses, and behind it a
//!   tree whose nodes are 256 bytes.
//! * A timeline of more than one stage lies apart, in quads of four stages.
//!
//! A **cell** is a place, a length and a value: it says what holds for the
//! addresses from its place on that agree with it in the first `length` bits. Of
//! the cells of a block or leaf the last one that isn't behind an address speaks
//! for it. Why these structures: `docs/decisions/0015-verdict-tables.md`.

use crate::{
    decide::Clock,
    rate::all_if_negative,
    source::{Address, Family},
    verdict::{NEVER, STAGES, Stage},
};

pub mod ipv4;
pub mod ipv6;

/// The memory of the tables: maps in the kernel (`filter-ebpf`), the same maps
/// mapped into the daemon, or plain memory in tests.
pub trait Storage {
    /// A line, node or quad.
    type Row: Row;

    /// A word of those that say what is [in force](active).
    fn active(&self, at: usize) -> u64;
    /// The word of an IPv4 group, or of the prefilter before them.
    fn group(&self, at: u32) -> u64;
    /// A line of [`ipv4::LINE`] words.
    fn line(&self, at: u32) -> Option<Self::Row>;
    /// A word of the IPv6 prefilter.
    fn prefilter(&self, at: u32) -> u64;
    /// A node of [`ipv6::NODE`] words.
    fn node(&self, at: u32) -> Option<Self::Row>;
    /// Four stages of a timeline.
    fn quad(&self, at: u32) -> Option<Self::Row>;

    /// All ones if the highest bit of a word is set, else 0. The compiler must not
    /// see through it, or it makes branches of what is done with the answer: a
    /// search would mispredict every second one, and the verifier follow both.
    #[inline(always)]
    fn sign(word: u64) -> u64 {
        all_if_negative(word)
    }

    /// The same number: see [`Tables::forget`](crate::decide::Tables::forget).
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        number
    }
}

/// Words that lie together.
pub trait Row: Copy {
    /// The word at a place that is a constant.
    fn fixed(self, at: usize) -> u64;

    /// One of the first `N` words, whatever the place, as
    /// [`within`](crate::rate::Cell::within) has it.
    fn word<const N: usize>(self, at: usize) -> u64;
}

/// The words that say what is in force. The first changes, in one store; the
/// others stay as they were made.
pub mod active {
    /// The root of the IPv6 tree (lower half), and of each family whether its second
    /// half holds: [`IPV4_SECOND`] and [`IPV6_SECOND`].
    pub const IN_FORCE: usize = 0;
    /// How far behind the first half's the IPv4 prefilter of the second half begins (lower
    /// half), and how many bits of an address its group leaves open.
    pub const IPV4: usize = 1;
    /// How far behind the first half's the IPv6 prefilter of the second half begins.
    pub const IPV6: usize = 2;
    /// One less than the words of an IPv6 prefilter's hashed part, a power of two.
    pub const PREFILTER: usize = 3;
    /// How many words there are.
    pub const WORDS: usize = 8;

    /// The bit of the word in force that says that the second half of the IPv4 tables
    /// holds.
    pub const IPV4_SECOND: u32 = 32;
    /// The same for IPv6.
    pub const IPV6_SECOND: u32 = 33;

    /// The index of the first word of the half that holds: `behind` if the bit is set.
    #[inline(always)]
    #[must_use]
    pub const fn first(in_force: u64, bit: u32, behind: u64) -> u32 {
        (in_force >> bit & 1).wrapping_neg() as u32 & behind as u32
    }
}

/// The stages that hold for a source now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The enforced stage that holds.
    pub stage: Stage,
    /// The shadow stage that holds; none where there is no difference.
    pub shadow: Stage,
}

impl Standing {
    /// No stage holds.
    pub const NONE: Self = Self {
        stage: Stage::NONE,
        shadow: Stage::NONE,
    };
}

/// Looks up the stages that hold for a source now.
#[inline(always)]
pub fn standing<S: Storage, C: Clock>(storage: &S, source: &Address, clock: &C) -> Standing {
    let low = storage.forget(source.low);
    let value = match source.family {
        Family::V4 => ipv4::find(storage, low as u32),
        Family::V6 => ipv6::find(storage, source.high, low),
    };
    Value(storage.forget(value)).standing(storage, clock)
}

/// The payload of a cell: a single stage, or the place of a timeline. 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value(pub u64);

impl Value {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// A single enforced stage.
    #[must_use]
    pub const fn single(stage: Stage) -> Self {
        Self(stage.bits())
    }

    /// So many enforced stages from the beginning of the quad at `at`, and
    /// behind them so many of the shadow.
    ///
    /// # Panics
    /// If these are more than an entry holds.
    #[must_use]
    pub const fn timeline(at: u32, enforced: usize, shadow: usize) -> Self {
        assert!(enforced <= STAGES && shadow <= crate::verdict::SHADOW_STAGES);
        Self((at as u64) << 32 | (shadow as u64) << 16 | (enforced as u64) << 8 | TIMELINE)
    }

    /// Where the timeline lies, and how many enforced and shadow stages it has;
    /// `None` for a single stage.
    #[inline(always)]
    #[must_use]
    pub const fn place(self) -> Option<(u32, usize, usize)> {
        if self.0 & 0xff != TIMELINE {
            return None;
        }
        let enforced = (self.0 >> 8 & 0xf) as usize;
        let shadow = (self.0 >> 16 & 0xf) as usize;
        Some(((self.0 >> 32) as u32, enforced, shadow))
    }

    #[inline(always)]
    fn standing<S: Storage, C: Clock>(self, storage: &S, clock: &C) -> Standing {
        let mut standing = Standing::NONE;
        let Some((at, enforced, shadow)) = self.place() else {
            let stage = Stage::from_bits(self.0);
            // The clock costs 59 ns: only where an end has to be compared.
            if stage.is_none() || stage.until() == NEVER || clock.boot_seconds() < stage.until() {
                standing.stage = stage;
            }
            return standing;
        };
        let now = clock.boot_seconds();
        standing.stage = current(storage, at, 0, enforced, now);
        if shadow != 0 {
            standing.shadow = current(storage, at, enforced, enforced + shadow, now);
        }
        standing
    }
}

/// The first of the stages `from..to` that hasn't ended.
#[inline(always)]
fn current<S: Storage>(storage: &S, at: u32, from: usize, to: usize, now: u32) -> Stage {
    for step in 0..STAGES {
        let index = from + step;
        if index >= to {
            break;
        }
        let Some(quad) = storage.quad(at.wrapping_add((index / QUAD) as u32)) else {
            break;
        };
        let stage = Stage::from_bits(quad.word::<QUAD>(index));
        if stage.until() == NEVER || now < stage.until() {
            return stage;
        }
    }
    Stage::NONE
}

/// Stages of a quad.
pub const QUAD: usize = 4;

/// A [`Verdict`](crate::verdict::Verdict) that no stage has.
const TIMELINE: u64 = 5;

/// All ones if `a` is less than `b`, both below 2^63.
#[inline(always)]
fn less<S: Storage>(a: u64, b: u64) -> u64 {
    S::sign(a.wrapping_sub(b))
}
