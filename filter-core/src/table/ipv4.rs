//! The IPv4 table as it is written: groups and their blocks.

use std::collections::HashMap;

use filter_common::table::{
    active,
    ipv4::{self, LINE, UNIT},
};

use super::{
    Active, Memory,
    cells::{Cell, Cells, of_span},
    free_list::{FreeList, Halves, Run},
    mirror::{Key as _, Mirror, V4},
    storage::{Shape, Words},
};

pub(super) struct Ipv4<W> {
    pub(super) groups: W,
    pub(super) lines: W,
    halves: Halves,
    /// Bits of an address that its group leaves open.
    open: u32,
    wide: Wide,
    /// Kept so that a change needs no memory.
    cells: Vec<Cell>,
    words: Vec<u64>,
}

/// The blocks of groups that lie wholly in one prefix, by its value: all groups
/// of a prefix share one. With the number of groups.
type Wide = HashMap<u64, (u32, u32)>;

impl<W: Words> Ipv4<W> {
    pub(super) fn new(groups: W, lines: W, shape: &Shape) -> Self {
        Self {
            groups,
            lines,
            halves: Halves::new(shape.lines()),
            open: shape.open(),
            wide: Wide::new(),
            cells: Vec::new(),
            words: Vec::new(),
        }
    }

    /// The first word of a half: the prefilter begins there, behind it the groups.
    const fn first_word(&self, second: bool) -> u32 {
        if second { self.words_of_half() } else { 0 }
    }

    const fn words_of_half(&self) -> u32 {
        ipv4::prefilter(self.open) + ipv4::groups(self.open)
    }

    /// Makes the block of a group anew; `false` if there is no room.
    fn renew(&mut self, group: u32, mirror: &Mirror<V4>) -> bool {
        let first = u128::from(group) << self.open;
        let last = first | ((1 << self.open) - 1);
        of_span(mirror, first, last, &mut self.cells);
        let mut room = Room {
            lines: &self.lines,
            wide: &mut self.wide,
            words: &mut self.words,
            open: self.open,
        };
        let Some(word) = room.block(&self.cells, |rows| self.halves.take(rows)) else {
            return false;
        };
        let first = self.first_word(self.halves.is_second());
        let at = (first + ipv4::prefilter(self.open) + group) as usize;
        let before = self.groups.get(at);
        let (prefilter, shift) = hole(first, group);
        let holes = u64::from(ipv4::holes((word >> 32) as u32)) << shift;
        let others = self.groups.get(prefilter) & !(0xff << shift);
        // Whoever is let through may see the group before or after; but nobody may
        // be held back from what is in force.
        self.groups.set(prefilter, holes);
        self.groups.publish(at, word);
        self.groups.publish(prefilter, others | holes);
        if before != 0 {
            self.give_up(before as u32);
        }
        true
    }

    /// Retires a block that a group's word doesn't name any more.
    fn give_up(&mut self, block: u32) {
        let halves =
            |at: u32| self.lines.get(block as usize * LINE + at as usize / 2) >> (at % 2 * 32);
        let cells = halves(0) as u32 & 0xffff;
        let first = ipv4::Cell(halves(1) as u32);
        if cells == 1 && first.is_whole(self.open) {
            let value = block as usize * LINE + ipv4::first_value(1) as usize;
            let value = self.lines.get(value);
            let (_, groups) = self.wide.get_mut(&value).expect("the block is shared");
            *groups -= 1;
            if *groups != 0 {
                return;
            }
            self.wide.remove(&value);
        }
        let values = (1..=cells).map(|at| ipv4::Cell(halves(at) as u32).value() + 1);
        let words = ipv4::first_value(cells) + values.max().unwrap_or(0);
        let rows = words.div_ceil(LINE as u32);
        self.halves.give_up(Run { at: block, rows });
    }
}

impl<W: Words> Memory for Ipv4<W> {
    type Key = V4;
    type Words = W;

    fn active_bits(&self) -> u64 {
        u64::from(self.halves.is_second()) << active::IPV4_SECOND
    }

    fn is_small(&self, mirror: &Mirror<V4>, touched: impl Iterator<Item = V4>) -> bool {
        let groups = touched.map(|key| {
            let (first, last) = groups_of(key, self.open);
            u64::from(last - first) + 1
        });
        groups.sum::<u64>() <= super::few(mirror.len())
    }

    fn in_place(&mut self, mirror: &Mirror<V4>, touched: &[V4], _active: &Active<W>) -> usize {
        let mut next = 0;
        for (done, key) in touched.iter().enumerate() {
            let (first, last) = groups_of(*key, self.open);
            for group in first.max(next)..=last {
                if !self.renew(group, mirror) {
                    return done;
                }
                next = group + 1;
            }
        }
        touched.len()
    }

    fn anew(&mut self, mirror: &Mirror<V4>) -> bool {
        let Some(mut free) = self.halves.other() else {
            return false;
        };
        let first = self.first_word(!self.halves.is_second());
        self.groups
            .clear(first as usize..(first + self.words_of_half()) as usize);
        let mut wide = Wide::new();
        let mut builder = Builder {
            room: Room {
                lines: &self.lines,
                wide: &mut wide,
                words: &mut self.words,
                open: self.open,
            },
            free: &mut free,
            groups: &self.groups,
            first,
            group: 0,
            cells: &mut self.cells,
            last: None,
            fits: true,
        };
        builder.begin();
        let mut cells = Cells::new(V4::BITS);
        for (key, value) in mirror.iter() {
            cells.push(key, value, &mut |cell| builder.cell(cell));
        }
        cells.finish(u128::from(u32::MAX), &mut |cell| builder.cell(cell));
        builder.go_on_to(ipv4::groups(self.open));
        if !builder.fits {
            return false;
        }
        self.halves.switch(free);
        self.wide = wide;
        true
    }

    fn halves(&mut self) -> &mut Halves {
        &mut self.halves
    }

    fn bytes(&self) -> (u64, u64) {
        let (used, all) = self.halves.fill();
        let line = (LINE * 8) as u64;
        (u64::from(used) * line, u64::from(all) * line)
    }
}

/// A group's byte in the prefilter: the word, and by how many bits it stands there.
const fn hole(first: u32, group: u32) -> (usize, u32) {
    ((first + group / 8) as usize, group % 8 * 8)
}

/// The first and the last group that a prefix touches.
fn groups_of(key: V4, open: u32) -> (u32, u32) {
    ((key.start() >> open) as u32, (key.end() >> open) as u32)
}

/// Makes all groups, one after the other.
struct Builder<'a, W> {
    room: Room<'a, W>,
    free: &'a mut FreeList,
    groups: &'a W,
    /// Index of the half's first word.
    first: u32,
    group: u32,
    /// The cells of the group so far.
    cells: &'a mut Vec<Cell>,
    last: Option<Cell>,
    fits: bool,
}

impl<W: Words> Builder<'_, W> {
    fn cell(&mut self, cell: Cell) {
        self.go_on_to((cell.start >> self.room.open) as u32);
        if cell.start == u128::from(self.group) << self.room.open {
            self.cells.clear();
        }
        self.cells.push(cell);
        self.last = Some(cell);
    }

    /// Closes every group before this one.
    fn go_on_to(&mut self, group: u32) {
        while self.group < group {
            if self.cells.is_empty() {
                self.leave_empty(group);
                return;
            }
            let free = &mut *self.free;
            let word = self.room.block(self.cells, |rows| free.take(rows));
            self.fits &= word.is_some();
            self.put(word.unwrap_or(0));
            self.group += 1;
            self.begin();
        }
    }

    /// Leaves the groups up to this one empty. (The half was cleared
    /// before.)
    const fn leave_empty(&mut self, group: u32) {
        self.group = group;
    }

    fn put(&self, word: u64) {
        let (prefilter, shift) = hole(self.first, self.group);
        let holes = u64::from(ipv4::holes((word >> 32) as u32)) << shift;
        self.groups
            .put(prefilter, self.groups.get(prefilter) | holes);
        let at = (self.first + ipv4::prefilter(self.room.open) + self.group) as usize;
        self.groups.put(at, word);
    }

    /// A group begins with what covers its beginning.
    fn begin(&mut self) {
        self.cells.clear();
        let start = u128::from(self.group) << self.room.open;
        if let Some(last) = self.last
            && last.end(V4::BITS) >= start
        {
            self.cells.push(Cell { start, ..last });
        }
    }
}

/// The memory that blocks are written to.
struct Room<'a, W> {
    lines: &'a W,
    wide: &'a mut Wide,
    words: &'a mut Vec<u64>,
    /// Bits of an address that its group leaves open.
    open: u32,
}

impl<W: Words> Room<'_, W> {
    /// Writes the block of a group with these cells, and gives back the group's
    /// word; `None` if there is no room.
    fn block(&mut self, cells: &[Cell], take: impl FnOnce(u32) -> Option<u32>) -> Option<u64> {
        if cells.is_empty() {
            return Some(0);
        }
        let units = encode(cells, self.open, self.words);
        let whole = match cells {
            [only] if u32::from(32 - only.length) >= self.open => Some(only.value),
            _ => None,
        };
        if let Some((block, groups)) = whole.and_then(|value| self.wide.get_mut(&value)) {
            *groups += 1;
            return Some(u64::from(units) << 32 | u64::from(*block));
        }
        let rows = self.words.len().div_ceil(LINE) as u32;
        let block = take(rows)?;
        for (at, word) in self.words.iter().enumerate() {
            self.lines.put(block as usize * LINE + at, *word);
        }
        if let Some(value) = whole {
            self.wide.insert(value, (block, 1));
        }
        Some(u64::from(units) << 32 | u64::from(block))
    }
}

/// Makes the words of a group's block, and says which units have anything.
fn encode(cells: &[Cell], group_open: u32, words: &mut Vec<u64>) -> u32 {
    let count = cells.len() as u32;
    let values_at = ipv4::first_value(count) as usize;
    words.clear();
    words.resize(values_at, if count < ipv4::SHORT { u64::MAX } else { 0 });
    let put = |words: &mut Vec<u64>, half: usize, what: u32| {
        let shift = half % 2 * 32;
        words[half / 2] &= !(u64::from(u32::MAX) << shift);
        words[half / 2] |= u64::from(what) << shift;
    };
    put(words, 0, ipv4::header(count));
    let mut known: Option<HashMap<u64, u32>> = (cells.len() > FEW).then(HashMap::new);
    let mut units = 0;
    for (at, cell) in (1..).zip(cells) {
        let fresh = (words.len() - values_at) as u32;
        let number = match &mut known {
            Some(known) => *known.entry(cell.value).or_insert(fresh),
            None => words[values_at..]
                .iter()
                .position(|value| *value == cell.value)
                .map_or(fresh, |number| number as u32),
        };
        if number == fresh {
            words.push(cell.value);
        }
        let place = cell.start as u32 & ((1 << group_open) - 1);
        let open = u32::from(32 - cell.length).min(group_open);
        put(words, at, ipv4::Cell::new(place, open, number).0);
        let last = place | ((1 << open) - 1);
        let unit = group_open - UNIT;
        let (first, last) = (place >> unit, last >> unit);
        units |= u32::MAX << first & u32::MAX >> (31 - last);
    }
    units
}

/// So many values are compared one by one.
const FEW: usize = 16;
