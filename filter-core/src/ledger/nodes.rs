//! The prefixes in their order, and what is known of each.
//!
//! Sorted blocks in a sorted list, because most of the work is to go over many
//! prefixes in order: that reads memory as it lies, a list of a million is built
//! or merged in one way through it, and a block that was built is full. A single
//! change moves half a block.

use std::ops::{Bound, RangeBounds};

use crate::prefix::Prefix;

/// The node of a prefix. It stays after its last claim is gone until the
/// patch that takes it out of the tables is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The mark of what the tables hold; 0: they don't hold it.
    pub(super) emitted: u64,
    /// The first of its claims; 0: none.
    pub(super) first: u32,
    pub(super) protected: bool,
}

impl Node {
    /// Whether the prefix belongs into the tables.
    pub(super) const fn is_key(&self) -> bool {
        self.first != 0 || self.protected
    }
}

/// Every prefix with its node.
#[derive(Default)]
pub(super) struct Nodes {
    /// None of them empty.
    blocks: Vec<Vec<Pair>>,
    /// The first prefix of each block: a look-up needs no other of most blocks.
    firsts: Vec<Prefix>,
    len: usize,
}

type Pair = (Prefix, Node);

/// A place in the order: the block, and the place there. It means nothing any
/// more after a node has come or gone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    block: usize,
    at: usize,
}

impl Nodes {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, prefix: &Prefix) -> Option<&Node> {
        self.seek(&mut Place::default(), prefix)
    }

    /// The same from a place on, which moves to where the prefix is or would be.
    /// A search for one prefix after the other in their order costs a step each.
    pub(super) fn seek(&self, place: &mut Place, prefix: &Prefix) -> Option<&Node> {
        let (found, is_there) = self.place(*place, prefix);
        *place = found;
        is_there.then(|| &self.blocks[found.block][found.at].1)
    }

    pub(super) fn seek_mut(&mut self, place: &mut Place, prefix: &Prefix) -> Option<&mut Node> {
        let (found, is_there) = self.place(*place, prefix);
        *place = found;
        is_there.then(|| &mut self.blocks[found.block][found.at].1)
    }

    pub(super) fn get_or_add(&mut self, prefix: Prefix) -> &mut Node {
        let (place, is_there) = self.place(Place::default(), &prefix);
        let place = if is_there {
            place
        } else {
            self.insert(place, (prefix, Node::default()))
        };
        &mut self.blocks[place.block][place.at].1
    }

    /// Adds nodes, none of which is there.
    pub(super) fn add(&mut self, fresh: Self) {
        if self.len == 0 {
            *self = fresh;
            return;
        }
        let few = fresh.len < self.len / FEW;
        let mut fresh = fresh.blocks.into_iter().flatten().peekable();
        if few {
            for pair in fresh {
                let (place, _is_there) = self.place(Place::default(), &pair.0);
                self.insert(place, pair);
            }
            return;
        }
        let mut all = Builder::default();
        for pair in std::mem::take(&mut self.blocks).into_iter().flatten() {
            while let Some(fresh) = fresh.next_if(|fresh| fresh.0 < pair.0) {
                all.push(fresh);
            }
            all.push(pair);
        }
        fresh.for_each(|pair| all.push(pair));
        *self = all.finish();
    }

    /// Removes prefixes, which are sorted, that are keys no more.
    pub(super) fn remove(&mut self, gone: &[Prefix]) {
        if gone.len() > self.len / FEW {
            let mut all = Builder::default();
            for pair in std::mem::take(&mut self.blocks).into_iter().flatten() {
                if pair.1.is_key() {
                    all.push(pair);
                }
            }
            *self = all.finish();
            return;
        }
        for prefix in gone {
            let (place, is_there) = self.place(Place::default(), prefix);
            if is_there {
                self.remove_at(place);
            }
        }
    }

    pub(super) fn range(&self, bounds: impl RangeBounds<Prefix>) -> impl Iterator<Item = &Pair> {
        let (from, to) = self.bounds(bounds);
        let blocks = (from.block..).zip(self.blocks.get(from.block..=to.block).unwrap_or_default());
        blocks.flat_map(move |(block, pairs)| &pairs[from.to(to, block, pairs.len())])
    }

    pub(super) fn range_mut(
        &mut self,
        bounds: impl RangeBounds<Prefix>,
    ) -> impl Iterator<Item = (Prefix, &mut Node)> {
        let (from, to) = self.bounds(bounds);
        let blocks = self.blocks.get_mut(from.block..=to.block);
        let blocks = (from.block..).zip(blocks.unwrap_or_default());
        blocks.flat_map(move |(block, pairs)| {
            let range = from.to(to, block, pairs.len());
            let pairs = pairs[range].iter_mut();
            pairs.map(|(prefix, node)| (*prefix, node))
        })
    }

    /// From where to where a range goes.
    fn bounds(&self, bounds: impl RangeBounds<Prefix>) -> (Place, Place) {
        let place = |prefix| self.place(Place::default(), prefix);
        let behind = |prefix| {
            let (place, is_there) = place(prefix);
            Place {
                at: place.at + usize::from(is_there),
                ..place
            }
        };
        let from = match bounds.start_bound() {
            Bound::Included(prefix) => place(prefix).0,
            Bound::Excluded(prefix) => behind(prefix),
            Bound::Unbounded => Place::default(),
        };
        let to = match bounds.end_bound() {
            Bound::Included(prefix) => behind(prefix),
            Bound::Excluded(prefix) => place(prefix).0,
            Bound::Unbounded => Place {
                block: self.blocks.len().saturating_sub(1),
                at: self.blocks.last().map_or(0, Vec::len),
            },
        };
        (from, to)
    }

    /// The place of a prefix, there or to be, and whether it is there.
    fn place(&self, near: Place, prefix: &Prefix) -> (Place, bool) {
        let holds = |block: usize| {
            self.firsts.get(block).is_some_and(|first| first <= prefix)
                && self.firsts.get(block + 1).is_none_or(|next| prefix < next)
        };
        let (block, start) = match near.block {
            block if holds(block) => (block, Some(near.at)),
            block if holds(block + 1) => (block + 1, Some(0)),
            _ => {
                let behind = self.firsts.partition_point(|first| first <= prefix);
                (behind.saturating_sub(1), None)
            }
        };
        let Some(pairs) = self.blocks.get(block) else {
            return (Place::default(), false);
        };
        let (at, is_there) = search(pairs, start, prefix);
        (Place { block, at }, is_there)
    }

    /// Inserts where the prefix would be, and says where it is.
    fn insert(&mut self, place: Place, pair: Pair) -> Place {
        self.len += 1;
        let Place { mut block, mut at } = place;
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
            self.firsts.push(pair.0);
        }
        if self.blocks[block].len() == BLOCK {
            let upper = self.blocks[block].split_off(BLOCK / 2);
            self.blocks[block].shrink_to_fit();
            self.firsts.insert(block + 1, upper[0].0);
            self.blocks.insert(block + 1, upper);
            if at > BLOCK / 2 {
                (block, at) = (block + 1, at - BLOCK / 2);
            }
        }
        let pairs = &mut self.blocks[block];
        if pairs.len() == pairs.capacity() {
            pairs.reserve_exact(GROWTH);
        }
        pairs.insert(at, pair);
        self.firsts[block] = pairs[0].0;
        Place { block, at }
    }

    fn remove_at(&mut self, place: Place) {
        let Place { block, at } = place;
        self.len -= 1;
        self.blocks[block].remove(at);
        let left = self.blocks[block].len();
        let neighbour = block
            .checked_sub(1)
            .map_or(0, |before| self.blocks[before].len());
        if left == 0 || (left < BLOCK / 4 && neighbour != 0 && neighbour < BLOCK / 2) {
            let rest = self.blocks.remove(block);
            self.firsts.remove(block);
            if !rest.is_empty() {
                self.blocks[block - 1].extend(rest);
            }
            return;
        }
        let pairs = &mut self.blocks[block];
        if pairs.capacity() > left + 2 * GROWTH {
            pairs.shrink_to(left + GROWTH);
        }
        self.firsts[block] = pairs[0].0;
    }
}

/// Where in a block a prefix is or would be, and whether it is there. Who goes in
/// order says where to begin, and finds it near there.
fn search(pairs: &[Pair], start: Option<usize>, prefix: &Prefix) -> (usize, bool) {
    let is_before = |at: usize| pairs.get(at).is_some_and(|pair| pair.0 < *prefix);
    let (mut from, mut to) = (0, pairs.len());
    if let Some(start) = start
        && start.checked_sub(1).is_none_or(is_before)
    {
        // All before `from` is before the prefix.
        from = start;
        let mut step = 1;
        while is_before(from + step - 1) {
            from += step;
            step *= 2;
        }
        to = to.min(from + step - 1);
    }
    let at = from + pairs[from..to].partition_point(|pair| pair.0 < *prefix);
    (at, pairs.get(at).is_some_and(|pair| pair.0 == *prefix))
}

impl Place {
    /// The part of a block between two places.
    fn to(self, end: Self, block: usize, len: usize) -> std::ops::Range<usize> {
        let from = if block == self.block { self.at } else { 0 };
        let to = if block == end.block { end.at } else { len };
        from.min(to)..to
    }
}

/// Makes nodes of what comes in order.
#[derive(Default)]
pub(super) struct Builder {
    nodes: Nodes,
    block: Vec<Pair>,
}

impl Builder {
    pub(super) fn push(&mut self, pair: Pair) {
        if self.block.len() == FULL {
            self.flush();
        }
        if self.block.len() == 1 {
            self.block.reserve_exact(FULL - 1);
        }
        self.block.push(pair);
    }

    fn flush(&mut self) {
        let block = std::mem::take(&mut self.block);
        if let Some(first) = block.first() {
            self.nodes.len += block.len();
            self.nodes.firsts.push(first.0);
            self.nodes.blocks.push(block);
        }
    }

    pub(super) fn finish(mut self) -> Nodes {
        self.block.shrink_to_fit();
        self.flush();
        self.nodes
    }
}

/// The most nodes of a block: 20 KiB.
const BLOCK: usize = 512;

/// A block that is built gets fewer, so that the next change needn't split it.
const FULL: usize = BLOCK / 8 * 7;

/// By so many nodes a block grows.
const GROWTH: usize = 32;

/// A change of less than one in so many is made one by one.
const FEW: usize = 32;

#[cfg(test)]
mod tests;
