//! The memory that the kernel reads while it is written.

use std::{
    ops::{Deref, Range},
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
#[derive(Clone)]
pub struct Storage<W> {
    pub(super) active: W,
    pub(super) groups: W,
    pub(super) lines: W,
    pub(super) prefilter: W,
    pub(super) nodes: W,
    pub(super) quads: W,
}

impl<W: Words> Storage<W> {
    /// The memory of the tables' maps: the word in force, groups, lines, prefilters,
    /// nodes, quads.
    pub fn of([active, groups, lines, prefilter, nodes, quads]: [W; 6]) -> Self {
        Self {
            active,
            groups,
            lines,
            prefilter,
            nodes,
            quads,
        }
    }

    /// The words of each of the six, for tables of this shape.
    #[must_use]
    pub fn sizes(shape: &Shape) -> [usize; 6] {
        let words = |rows: u32, words: usize| rows as usize * words;
        [
            words(1, active::WORDS),
            words(shape.groups(), 1),
            words(2 * shape.lines(), LINE),
            words(2 * shape.prefilter(), 1),
            words(2 * shape.nodes(), NODE),
            words(shape.quads(), QUAD),
        ]
    }
}

impl Storage<Plain> {
    /// Plain memory, for tests on the host.
    #[must_use]
    pub fn in_memory(shape: &Shape) -> Self {
        let zeros = |words| std::iter::repeat_with(AtomicU64::default).take(words);
        Self::of(Self::sizes(shape).map(|words| zeros(words).collect()))
    }
}

/// Memory of this process alone.
pub type Plain = Box<[AtomicU64]>;

/// Words of 8 bytes that readers see while one writer changes them: a map's
/// memory, [`Plain`] memory, or the memory of a model that tries every order.
pub trait Words {
    /// How many there are.
    fn count(&self) -> usize;

    /// Reads a word, and sees what was written before it was published (acquire).
    fn get(&self, at: usize) -> u64;

    /// Writes a word that no reader can reach yet (relaxed).
    fn put(&self, at: usize, word: u64);

    /// Writes a word by which readers come to what was written before (release).
    fn publish(&self, at: usize, word: u64);

    /// Sets bits of a word that readers see, and leaves the others (release).
    fn set(&self, at: usize, bits: u64);

    /// Writes zeros into words that no reader can reach.
    fn clear(&self, words: Range<usize>) {
        for at in words {
            self.put(at, 0);
        }
    }

    /// The row of so many words with this number.
    fn row(&self, number: u32, words: usize) -> Option<Row<'_, Self>> {
        let at = number as usize * words;
        (at + words <= self.count()).then_some(Row { words: self, at })
    }
}

impl<M: Deref<Target = [AtomicU64]>> Words for M {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, at: usize) -> u64 {
        self[at].load(Ordering::Acquire)
    }

    fn put(&self, at: usize, word: u64) {
        self[at].store(word, Ordering::Relaxed);
    }

    fn publish(&self, at: usize, word: u64) {
        self[at].store(word, Ordering::Release);
    }

    fn set(&self, at: usize, bits: u64) {
        self[at].fetch_or(bits, Ordering::Release);
    }

    fn clear(&self, words: Range<usize>) {
        for word in &self[words] {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// Words that lie together.
pub struct Row<'a, W: ?Sized> {
    words: &'a W,
    at: usize,
}

impl<W: ?Sized> Clone for Row<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: ?Sized> Copy for Row<'_, W> {}

impl<W: Words + ?Sized> table::Row for Row<'_, W> {
    fn fixed(self, at: usize) -> u64 {
        self.words.get(self.at + at)
    }

    fn word<const N: usize>(self, at: usize) -> u64 {
        self.fixed(at & (N - 1))
    }
}

/// Reading as the kernel does.
impl<'a, W: Words> table::Storage for &'a Storage<W> {
    type Row = Row<'a, W>;

    fn active(&self, at: usize) -> u64 {
        self.active.get(at)
    }

    fn group(&self, at: u32) -> u64 {
        self.groups.get(at as usize)
    }

    fn line(&self, at: u32) -> Option<Row<'a, W>> {
        self.lines.row(at, LINE)
    }

    fn prefilter(&self, at: u32) -> u64 {
        self.prefilter.get(at as usize)
    }

    fn node(&self, at: u32) -> Option<Row<'a, W>> {
        self.nodes.row(at, NODE)
    }

    fn quad(&self, at: u32) -> Option<Row<'a, W>> {
        self.quads.row(at, QUAD)
    }
}
