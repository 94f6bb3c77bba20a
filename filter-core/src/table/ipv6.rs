//! The IPv6 table as it is written: the prefilter, and a tree whose nodes are
//! replaced and never changed, but for the numbers of their children.

use filter_common::table::{
    active,
    ipv6::{self, CELLS, DEPTH, LEAF, LOWER, NODE, UPPER, VALUE},
};

use super::{
    Active, Memory,
    cells::{Cell, Cells, of_span},
    free_list::{FreeList, Halves, Run},
    mirror::{Key, Mirror, V6},
    storage::{Shape, Words},
};

pub(super) struct Ipv6<W> {
    pub(super) prefilter: W,
    pub(super) nodes: W,
    halves: Halves,
    root: u32,
    /// Words of a prefilter, and of its hashed part less one.
    prefilter_rows: u32,
    prefilter_mask: u64,
    /// Kept so that a change needs no memory.
    cells: Vec<Cell>,
}

/// A node below another, and where it begins.
type Child = (u128, u32);

/// The way to a leaf: each node with the number of the cell that leads on.
struct Way {
    above: Vec<(u32, usize)>,
    leaf: u32,
    /// The first and the last address that lead here.
    first: u128,
    last: u128,
}

impl<W: Words> Ipv6<W> {
    pub(super) fn new(prefilter: W, nodes: W, shape: &Shape) -> Self {
        let mut halves = Halves::new(shape.nodes());
        let root = halves.take(1).expect("a half has a node");
        write(&nodes, root, true, &[]);
        Self {
            prefilter,
            nodes,
            halves,
            root,
            prefilter_rows: shape.prefilter(),
            prefilter_mask: u64::from(shape.prefilter_words()) - 1,
            cells: Vec::new(),
        }
    }

    const fn first_of_prefilter(&self, second: bool) -> u32 {
        if second { self.prefilter_rows } else { 0 }
    }

    /// Lets a prefix through the prefilter that begins at this word.
    fn let_through(&self, prefilter: u32, key: V6) {
        let set = |word: u32, bit: u32| {
            self.prefilter.set((prefilter + word) as usize, 1 << bit);
        };
        if key.length() >= 32 {
            let (word, bit) = ipv6::prefilter_bit((key.start() >> 64) as u64, self.prefilter_mask);
            set(word, bit);
            return;
        }
        let (first, last) = ((key.start() >> 112) as u32, (key.end() >> 112) as u32);
        for wide in first..=last {
            set(wide >> 6, wide & 63);
        }
    }

    fn word(&self, node: u32, at: usize) -> u64 {
        self.nodes.get(node as usize * NODE + at)
    }

    /// The first address of a cell of a node; cells are numbered from 1.
    fn start(&self, node: u32, cell: usize) -> u128 {
        let half = |part| u128::from(self.word(node, ipv6::word(cell, part)));
        half(UPPER) << 64 | half(LOWER)
    }

    /// The node that a cell leads to.
    fn child(&self, node: u32, cell: usize) -> u32 {
        self.word(node, ipv6::word(cell, VALUE)) as u32
    }

    fn count(&self, node: u32) -> usize {
        (self.word(node, 0) & 0xff) as usize
    }

    /// The way to the leaf that speaks for an address.
    fn way(&self, address: u128) -> Way {
        let mut way = Way {
            above: Vec::with_capacity(DEPTH),
            leaf: self.root,
            first: 0,
            last: u128::MAX,
        };
        while self.word(way.leaf, 0) & LEAF == 0 {
            let node = way.leaf;
            let count = self.count(node);
            let next = (2..=count).find(|cell| self.start(node, *cell) > address);
            let cell = next.map_or(count, |next| next - 1);
            if let Some(next) = next {
                way.last = self.start(node, next) - 1;
            }
            if cell > 1 {
                way.first = self.start(node, cell);
            }
            way.above.push((node, cell));
            way.leaf = self.child(node, cell);
        }
        way
    }

    /// Makes a leaf anew; `false` if there is no room.
    fn renew(&mut self, way: &Way, mirror: &Mirror<V6>, active: &Active<W>) -> bool {
        let mut cells = std::mem::take(&mut self.cells);
        of_span(mirror, way.first, way.last, &mut cells);
        let mut taken = Vec::new();
        let done = self.replace(way, &cells, &mut taken, active);
        self.cells = cells;
        if !done {
            // Nobody has seen them.
            for at in taken {
                self.halves.give_back(Run { at, rows: 1 });
            }
        }
        done
    }

    fn replace(
        &mut self,
        way: &Way,
        cells: &[Cell],
        taken: &mut Vec<u32>,
        active: &Active<W>,
    ) -> bool {
        let Some(mut children) = self.make(true, way.first, cells, taken) else {
            return false;
        };
        let mut gone = vec![way.leaf];
        let mut above = way.above.iter().rev();
        while children.len() > 1 {
            let Some((node, cell)) = above.next() else {
                // The tree grows by a level.
                if way.above.len() + 1 >= DEPTH {
                    return false;
                }
                let Some(roots) = self.make(false, 0, &inner(&children), taken) else {
                    return false;
                };
                children = roots;
                continue;
            };
            let mut all: Vec<Child> = (1..=self.count(*node))
                .map(|one| (self.start(*node, one), self.child(*node, one)))
                .collect();
            // The first cell of a node begins wherever the node does.
            let first = all[*cell - 1].0;
            children[0].0 = first;
            all.splice(*cell - 1..*cell, children);
            let Some(nodes) = self.make(false, all[0].0, &inner(&all), taken) else {
                return false;
            };
            gone.push(*node);
            children = nodes;
        }
        let child = children[0].1;
        if let Some((node, cell)) = above.next() {
            let at = *node as usize * NODE + ipv6::word(*cell, VALUE);
            self.nodes.publish(at, u64::from(child));
        } else {
            self.root = child;
            active.publish_root(child);
        }
        for at in gone {
            self.halves.give_up(Run { at, rows: 1 });
        }
        true
    }

    /// Makes as many nodes of cells as it takes; the first begins at `first`.
    fn make(
        &mut self,
        leaf: bool,
        first: u128,
        cells: &[Cell],
        taken: &mut Vec<u32>,
    ) -> Option<Vec<Child>> {
        let nodes = if cells.len() <= CELLS {
            1
        } else {
            cells.len().div_ceil(FILL)
        };
        let each = cells.len().div_ceil(nodes).max(1);
        let mut children = Vec::with_capacity(nodes);
        let mut rest = cells;
        loop {
            let (chunk, behind) = rest.split_at(each.min(rest.len()));
            let at = self.halves.take(1)?;
            taken.push(at);
            write(&self.nodes, at, leaf, chunk);
            let start = match chunk.first() {
                Some(cell) if !children.is_empty() => cell.start,
                _ => first,
            };
            children.push((start, at));
            rest = behind;
            if rest.is_empty() {
                return Some(children);
            }
        }
    }
}

impl<W: Words> Memory for Ipv6<W> {
    type Key = V6;
    type Words = W;

    fn active_bits(&self) -> u64 {
        u64::from(self.halves.is_second()) << active::IPV6_SECOND | u64::from(self.root)
    }

    fn is_small(&self, mirror: &Mirror<V6>, touched: impl Iterator<Item = V6>) -> bool {
        let few = super::few(mirror.len());
        let mut leaves = 0;
        for key in touched {
            let within = mirror.within(key.start(), key.end());
            let room = (few.saturating_sub(leaves) as usize + 1) * CELLS;
            leaves += 1 + (within.take(room).count() / FILL) as u64;
            if leaves > few {
                return false;
            }
        }
        true
    }

    fn in_place(&mut self, mirror: &Mirror<V6>, touched: &[V6], active: &Active<W>) -> usize {
        let prefilter = self.first_of_prefilter(self.halves.is_second());
        for key in touched {
            if mirror.value(key).is_some() {
                self.let_through(prefilter, *key);
            }
        }
        let mut next = 0;
        for (done, key) in touched.iter().enumerate() {
            let mut address = key.start().max(next);
            while address <= key.end() {
                let way = self.way(address);
                if !self.renew(&way, mirror, active) {
                    return done;
                }
                let Some(behind) = way.last.checked_add(1) else {
                    return touched.len();
                };
                next = behind;
                address = behind;
            }
        }
        touched.len()
    }

    fn anew(&mut self, mirror: &Mirror<V6>) -> bool {
        let prefilter = self.first_of_prefilter(!self.halves.is_second());
        // With room for changes in the nodes, or else without.
        let built = [FILL, CELLS].into_iter().find_map(|fill| {
            let mut free = self.halves.other()?;
            let end = prefilter + self.prefilter_rows;
            self.prefilter.clear(prefilter as usize..end as usize);
            Some((self.build(mirror, prefilter, fill, &mut free)?, free))
        });
        let Some((root, free)) = built else {
            return false;
        };
        self.root = root;
        self.halves.switch(free);
        true
    }

    fn halves(&mut self) -> &mut Halves {
        &mut self.halves
    }

    fn bytes(&self) -> (u64, u64) {
        let (used, all) = self.halves.fill();
        let node = (NODE * 8) as u64;
        (u64::from(used) * node, u64::from(all) * node)
    }
}

impl<W: Words> Ipv6<W> {
    /// Makes the whole tree in these rows, of nodes with so many cells; its root,
    /// or `None` if there is no room.
    fn build(
        &self,
        mirror: &Mirror<V6>,
        prefilter: u32,
        fill: usize,
        free: &mut FreeList,
    ) -> Option<u32> {
        let mut level = Level::new(true, fill, mirror.len() / fill + 1);
        let mut cells = Cells::new(V6::BITS);
        for (key, value) in mirror.iter() {
            self.let_through(prefilter, key);
            cells.push(key, value, &mut |cell| level.cell(cell, &self.nodes, free));
        }
        cells.finish(u128::MAX, &mut |cell| level.cell(cell, &self.nodes, free));
        let mut nodes = level.finish(&self.nodes, free)?;
        while nodes.len() > 1 {
            let mut level = Level::new(false, fill, nodes.len() / fill + 1);
            for cell in inner(&nodes) {
                level.cell(cell, &self.nodes, free);
            }
            nodes = level.finish(&self.nodes, free)?;
        }
        nodes.first().map(|(_, root)| *root)
    }
}

/// Makes the nodes of a level, one after the other.
struct Level {
    leaves: bool,
    fill: usize,
    cells: Vec<Cell>,
    nodes: Vec<Child>,
    fits: bool,
}

impl Level {
    fn new(leaves: bool, fill: usize, nodes: usize) -> Self {
        Self {
            leaves,
            fill,
            cells: Vec::with_capacity(fill),
            nodes: Vec::with_capacity(nodes),
            fits: true,
        }
    }

    fn cell(&mut self, cell: Cell, words: &impl Words, free: &mut FreeList) {
        if self.cells.len() == self.fill {
            self.close(words, free);
        }
        self.cells.push(cell);
    }

    fn close(&mut self, words: &impl Words, free: &mut FreeList) {
        let Some(at) = free.take(1) else {
            self.fits = false;
            self.cells.clear();
            return;
        };
        write(words, at, self.leaves, &self.cells);
        let first = self.cells.first().map_or(0, |cell| cell.start);
        let start = if self.nodes.is_empty() { 0 } else { first };
        self.nodes.push((start, at));
        self.cells.clear();
    }

    fn finish(mut self, words: &impl Words, free: &mut FreeList) -> Option<Vec<Child>> {
        if !self.cells.is_empty() || self.nodes.is_empty() {
            self.close(words, free);
        }
        self.fits.then_some(self.nodes)
    }
}

/// Children as cells.
fn inner(children: &[Child]) -> Vec<Cell> {
    let cell = |(start, node): &Child| Cell {
        start: *start,
        length: 0,
        value: u64::from(*node),
    };
    children.iter().map(cell).collect()
}

/// Writes a node that nobody reads yet.
fn write(words: &impl Words, node: u32, leaf: bool, cells: &[Cell]) {
    let mut lengths = [0; CELLS];
    for (length, cell) in lengths.iter_mut().zip(cells) {
        *length = cell.length;
    }
    let at = node as usize * NODE;
    let [first, second] = ipv6::headers(leaf, &lengths[..cells.len()]);
    words.put(at, first);
    words.put(at + 1, second);
    for number in 1..=CELLS {
        let cell = cells.get(number - 1);
        let put = |part, word| words.put(at + ipv6::word(number, part), word);
        put(
            UPPER,
            cell.map_or(u64::MAX, |cell| (cell.start >> 64) as u64),
        );
        put(LOWER, cell.map_or(0, |cell| cell.start as u64));
        put(VALUE, cell.map_or(0, |cell| cell.value));
    }
}

/// Cells of a node that is made: the rest is room for changes.
const FILL: usize = 8;
