//! Counters of the table of buckets, and their encoding.

/// Counts of one charge: numbers of a byte each, to be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes(pub u64);

impl Notes {
    /// An empty word came into use.
    pub const TAKEN: u64 = 1 << 8;
    /// It was the first of its line.
    pub const BEGUN: u64 = 1 << 16;
    /// A word gave way that wasn't idle.
    pub const EVICTED: u64 = 1 << 24;
    /// No word of the line was idle.
    pub const SATURATED: u64 = 1 << 32;
    /// All were as far ahead as the new one would have been, or further: nothing
    /// was charged.
    pub const NONE: u64 = 1 << 40;

    /// How often one of the above was noted.
    #[inline(always)]
    #[must_use]
    pub const fn of(self, which: u64) -> u64 {
        (self.0 / which) & 0xff
    }
}

/// Counters of the table of buckets, one CPU's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Usage {
    /// Words that came into use for the first time: none is ever given back, so
    /// these are the words that hold something.
    pub taken: u64,
    /// Lines that hold something.
    pub begun: u64,
    /// Words that gave way before they were idle.
    pub evicted: u64,
    /// Packets that found no idle word where they needed one.
    pub saturated: u64,
    /// Of these, packets that got none, and weren't charged.
    pub refused: u64,
}

impl Usage {
    /// Counts one packet's notes.
    #[inline(always)]
    pub const fn add(&mut self, notes: Notes) {
        self.taken += notes.of(Notes::TAKEN);
        self.begun += notes.of(Notes::BEGUN);
        self.evicted += notes.of(Notes::EVICTED);
        self.saturated += (notes.of(Notes::SATURATED) != 0) as u64;
        self.refused += (notes.of(Notes::NONE) != 0) as u64;
    }
}

impl core::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.begun += other.begun;
        self.evicted += other.evicted;
        self.saturated += other.saturated;
        self.refused += other.refused;
    }
}
