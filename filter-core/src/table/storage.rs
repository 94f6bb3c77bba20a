//! The memory that the kernel reads while it is written.

use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

use filter_common::table::{
    self, QUAD, active,
    ipv4::{self, LINE, OPEN},
    ipv6::{NODE, WIDE},
};

/// How large the tables are: what their maps are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// IPv4 prefixes.
    pub ipv4: u32,
    /// IPv6 prefixes.
    pub ipv6: u32,
}

impl Shape {
    /// Bits of an address that its IPv4 group leaves open. Fewer would make a
    /// lookup among a million somewhat cheaper, and cost memory.
    #[must_use]
    pub const fn open(&self) -> u32 {
        match self.ipv4 {
            0..=2_000_000 => OPEN,
            2_000_001..=4_000_000 => OPEN - 1,
            4_000_001..=8_000_000 => OPEN - 2,
            _ => OPEN - 3,
        }
    }

    /// Words of the IPv4 prefilters and groups, both halves.
    #[must_use]
    pub const fn groups(&self) -> u32 {
        2 * (ipv4::prefilter(self.open()) + ipv4::groups(self.open()))
    }

    /// Lines of a half. A prefix that is alone in its group needs one; where
    /// more share a group, up to five do with one line, and ten with two. A million
    /// at random need 330,000 of 440,000; where nearly all lie inside of wider ones
    /// there may be room for a sixth less than a million.
    #[must_use]
    pub fn lines(&self) -> u32 {
        let alone = self.ipv4.min(ipv4::groups(self.open()));
        self.ipv4 / 100 * 23 + alone / 5 * 4 + SPARE
    }

    /// Words of a prefilter.
    #[must_use]
    pub fn prefilter(&self) -> u32 {
        WIDE + self.prefilter_words()
    }

    /// Words of a prefilter's hashed part: eight to sixteen bits a prefix.
    #[must_use]
    pub fn prefilter_words(&self) -> u32 {
        (self.ipv6 / 8).next_power_of_two().clamp(1 << 6, 1 << 24)
    }

    /// Nodes of a half. They are made with eight of ten cells, and are half full
    /// where they were split; a prefix inside of a wider one takes two cells.
    #[must_use]
    pub const fn nodes(&self) -> u32 {
        self.ipv6 / 4 + SPARE
    }

    /// Pairs of claims whose hits are counted: a quarter more than there are
    /// prefixes, for those that rest and those that share one.
    #[must_use]
    pub const fn hits(&self) -> u32 {
        let claims = self.ipv4 as u64 + self.ipv6 as u64;
        let claims = claims + claims / 4 + SPARE as u64;
        let most = filter_common::verdict::MAX_CLAIM as u64 + 1;
        (if claims < most { claims } else { most } / 2) as u32
    }

    /// Quads of timelines: one for every eighth prefix.
    #[must_use]
    pub const fn quads(&self) -> u32 {
        self.ipv4 / 8 + self.ipv6 / 8 + SPARE
    }
}

/// Rows beyond what a small table needs, so that changes find room while what
/// they replace is still held.
const SPARE: u32 = 1 << 10;

/// All memory of the tables.
pub struct Storage {
    pub(super) active: Words,
    pub(super) groups: Words,
    pub(super) lines: Words,
    pub(super) prefilter: Words,
    pub(super) nodes: Words,
    pub(super) quads: Words,
}

impl Storage {
    /// The memory of maps: what is in force, groups, lines, prefilters, nodes, quads.
    pub fn shared<M>(maps: [M; 6]) -> Self
    where
        M: Deref<Target = [AtomicU64]> + Send + Sync + 'static,
    {
        let [active, groups, lines, prefilter, nodes, quads] =
            maps.map(|map| Words::Shared(Box::new(map)));
        Self {
            active,
            groups,
            lines,
            prefilter,
            nodes,
            quads,
        }
    }

    /// Plain memory, for tests on the host.
    #[must_use]
    pub fn in_memory(shape: &Shape) -> Self {
        let words = |rows: u32, words: usize| Words::Heap(zeros(rows as usize * words));
        Self {
            active: words(1, active::WORDS),
            groups: words(shape.groups(), 1),
            lines: words(2 * shape.lines(), LINE),
            prefilter: words(2 * shape.prefilter(), 1),
            nodes: words(2 * shape.nodes(), NODE),
            quads: words(shape.quads(), QUAD),
        }
    }
}

fn zeros(words: usize) -> Box<[AtomicU64]> {
    std::iter::repeat_with(AtomicU64::default)
        .take(words)
        .collect()
}

/// Words that readers see while they are written.
pub(super) enum Words {
    Shared(Box<dyn Deref<Target = [AtomicU64]> + Send + Sync>),
    Heap(Box<[AtomicU64]>),
}

impl Words {
    /// A word that nobody reads yet.
    pub(super) fn put(&self, at: usize, word: u64) {
        self[at].store(word, Ordering::Relaxed);
    }

    /// A word that puts in force what was written before.
    pub(super) fn publish(&self, at: usize, word: u64) {
        self[at].store(word, Ordering::Release);
    }

    pub(super) fn get(&self, at: usize) -> u64 {
        self[at].load(Ordering::Acquire)
    }

    /// The row of so many words with this number.
    pub(super) fn row(&self, number: u32, words: usize) -> Option<Row<'_>> {
        let at = number as usize * words;
        self.get_row(at, words)
    }

    fn get_row(&self, at: usize, words: usize) -> Option<Row<'_>> {
        Some(Row(self.deref().get(at..at + words)?))
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        match self {
            Self::Shared(memory) => memory,
            Self::Heap(words) => words,
        }
    }
}

/// Words that lie together.
#[derive(Clone, Copy)]
pub struct Row<'a>(&'a [AtomicU64]);

impl table::Row for Row<'_> {
    fn fixed(self, at: usize) -> u64 {
        self.0[at].load(Ordering::Acquire)
    }

    fn word<const N: usize>(self, at: usize) -> u64 {
        self.fixed(at & (N - 1))
    }
}
