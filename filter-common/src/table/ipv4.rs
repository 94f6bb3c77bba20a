//! IPv4: a prefilter, a group for each /18 (or narrower), and in its block one cell for
//! each prefix and for each place where a wider one goes on.
//!
//! How many bits of an address its group leaves **open** is up to whoever makes the
//! tables: 14 up to two million prefixes, fewer for more, so that a block stays
//! short. A word beside the one in force says it.
//!
//! The prefilter has a bit for each eighth of a group that has anything: with groups of
//! a /18 256 KiB, which stay in a core's own cache, where the groups' 2 MiB don't.
//!
//! A group's word: which of its 32 units have anything (upper half), and the
//! line at which its block begins (lower half). 0: nothing at all.
//!
//! A block, as halves of words: a header (cells in the lower 16 bits, the
//! largest power of two that isn't more than these above), then the cells in
//! order; and behind them the values, as whole words. Where there are fewer than five
//! cells, halves of ones stand for those that are missing. A cell: the place in the
//! group (14 bits), how many bits of the place it leaves open (4), and the number
//! of its value (14). So up to five cells with their values are one line.

use super::{Row, Storage, active, less};

/// Groups of one table, by what they leave open.
#[must_use]
pub const fn groups(open: u32) -> u32 {
    1 << (32 - open)
}

/// Words of the prefilter, which stands before the groups: a byte for each group.
#[inline(always)]
#[must_use]
pub const fn prefilter(open: u32) -> u32 {
    1 << (29_u32.wrapping_sub(open) & 31)
}

/// The [`active::IPV4`] of tables whose groups leave so much open.
#[must_use]
pub const fn made(open: u32) -> u64 {
    (open as u64) << 32 | (prefilter(open) + groups(open)) as u64
}

/// Most bits of an address that a group leaves open.
pub const OPEN: u32 = 14;
/// Of what its group leaves open a unit leaves so many bits less, and an eighth of a
/// group, which is a bit of the prefilter, [`HOLE`] less.
pub const UNIT: u32 = 5;
/// See [`UNIT`].
pub const HOLE: u32 = 3;
/// Words of a line.
pub const LINE: usize = 8;
/// Cells of a block that is one line.
pub const SHORT: u32 = 5;
/// Most cells, and most values, of a block.
pub const CELLS: usize = 1 << OPEN;

/// The value for an address; 0: none.
#[inline(always)]
pub fn find<S: Storage>(storage: &S, address: u32) -> u64 {
    let made = storage.active(active::IPV4);
    let open = (made >> 32) as u32 & 31;
    let first = active::first(storage.active(active::IN_FORCE), active::IPV4_SECOND, made);
    let hole = address >> (open.wrapping_sub(HOLE) & 31);
    let word = storage.group(first.wrapping_add(hole >> 6));
    if word >> (hole & 63) & 1 == 0 {
        return 0;
    }
    let first = first.wrapping_add(prefilter(open));
    let group = storage.group(first.wrapping_add(address >> open));
    let unit = address >> (open.wrapping_sub(UNIT) & 31) & 31;
    if group >> 32 >> unit & 1 == 0 {
        return 0;
    }
    let block = group as u32;
    let Some(line) = storage.line(block) else {
        return 0;
    };
    let header = line.fixed(0) as u32;
    let cells = header & 0xffff;
    let place = address & ((1 << open) - 1) & ((1 << OPEN) - 1);
    if cells <= SHORT {
        return short::<S>(line, cells, place);
    }
    long(storage, block, cells, header >> 16, place)
}

/// Looks at all cells at once.
#[inline(always)]
fn short<S: Storage>(line: S::Row, cells: u32, place: u32) -> u64 {
    let sought = u64::from(Cell::last_at(place));
    let (one, two) = (line.fixed(1), line.fixed(2));
    let not_behind = |cell: u64| less::<S>(cell & HALF, sought + 1) & 1;
    let mut count = not_behind(line.fixed(0) >> 32)
        + not_behind(one)
        + not_behind(one >> 32)
        + not_behind(two)
        + not_behind(two >> 32);
    // At the last place of all also what fills the halves behind the last cell.
    if count > u64::from(cells) {
        count = u64::from(cells);
    }
    if count == 0 {
        return 0;
    }
    let pair = line.word::<LINE>((count >> 1) as usize);
    let cell = Cell((pair >> ((count & 1) * 32)) as u32);
    if !cell.covers(place) {
        return 0;
    }
    line.word::<LINE>((first_value(cells) + cell.value()) as usize)
}

/// Searches for the last cell that isn't behind the place.
#[inline(always)]
fn long<S: Storage>(storage: &S, block: u32, cells: u32, power: u32, place: u32) -> u64 {
    let line = |word: u32| storage.line(block.wrapping_add(word / LINE as u32));
    let half = |word: u64, at: u32| word >> ((at & 1) * 32) & HALF;
    let sought = u64::from(Cell::last_at(place));
    let mut count = 0_u32;
    let mut step = power;
    for _ in 0..=OPEN {
        if step == 0 {
            break;
        }
        let probe = count + step;
        // Not a 0 for what isn't there: the verifier would follow the search
        // once more for each.
        let Some(row) = line(probe >> 1) else {
            return 0;
        };
        let cell = half(row.word::<LINE>((probe >> 1) as usize), probe);
        let exists = less::<S>(u64::from(probe), u64::from(cells) + 1);
        count += step & (exists & less::<S>(cell, sought + 1)) as u32;
        step >>= 1;
    }
    let count = storage.forget(u64::from(count)) as u32;
    if count == 0 {
        return 0;
    }
    let Some(row) = line(count >> 1) else {
        return 0;
    };
    let cell = Cell(half(row.word::<LINE>((count >> 1) as usize), count) as u32);
    if !cell.covers(place) {
        return 0;
    }
    let value = first_value(cells) + cell.value();
    match line(value) {
        Some(row) => row.word::<LINE>(value as usize),
        None => 0,
    }
}

/// The word of a block at which its values begin.
#[inline(always)]
#[must_use]
pub const fn first_value(cells: u32) -> u32 {
    let cells = if cells < SHORT { SHORT } else { cells };
    cells / 2 + 1
}

/// A group's byte in the prefilter, by which of its units have anything.
#[must_use]
pub const fn holes(units: u32) -> u8 {
    let mut holes = 0;
    let mut hole = 0;
    while hole < 8 {
        if units >> (hole * 4) & 15 != 0 {
            holes |= 1 << hole;
        }
        hole += 1;
    }
    holes
}

/// The header of a block.
#[must_use]
pub const fn header(cells: u32) -> u32 {
    let power = if cells == 0 { 0 } else { 1 << cells.ilog2() };
    power << 16 | cells
}

/// A cell: the value in force from a place on, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(pub u32);

impl Cell {
    /// The cell of a place in its group.
    ///
    /// # Panics
    /// If a number has too many bits.
    #[must_use]
    pub const fn new(place: u32, open: u32, value: u32) -> Self {
        assert!(place < 1 << OPEN && open <= OPEN && value < 1 << 14);
        Self(place << 18 | open << 14 | value)
    }

    /// The greatest that a cell at this place can be.
    #[inline(always)]
    const fn last_at(place: u32) -> u32 {
        place << 18 | 0x3_ffff
    }

    #[inline(always)]
    const fn covers(self, place: u32) -> bool {
        (self.0 >> 18 ^ place) >> (self.0 >> 14 & 15) == 0
    }

    /// Whether it speaks for the whole of a group that leaves so much open.
    #[must_use]
    pub const fn is_whole(self, open: u32) -> bool {
        self.0 >> 14 & 15 == open
    }

    /// The number of the value among the block's.
    #[inline(always)]
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0 & 0x3fff
    }
}

const HALF: u64 = u32::MAX as u64;
