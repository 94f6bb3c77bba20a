//! From prefixes to the cells of a span: what holds from which address on.

use super::mirror::{Key, Mirror, open};

/// The value in force from an address on, as far as the first `length` bits stay the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) start: u128,
    pub(super) length: u8,
    pub(super) value: u64,
}

impl Cell {
    /// The last address that it can speak for.
    pub(super) const fn end(&self, bits: u8) -> u128 {
        self.start | open(bits, self.length)
    }
}

/// Makes the cells of a stream of prefixes that are in order.
pub(super) struct Cells {
    bits: u8,
    /// The prefixes that the last one lies in, itself included: where each ends.
    above: Vec<(u128, u8, u64)>,
    /// A narrower prefix that begins where it does replaces it.
    held: Option<Cell>,
}

impl Cells {
    pub(super) const fn new(bits: u8) -> Self {
        Self {
            bits,
            above: Vec::new(),
            held: None,
        }
    }

    /// Adds the next prefix of the stream.
    pub(super) fn push<K: Key>(&mut self, key: K, value: u64, sink: &mut impl FnMut(Cell)) {
        let start = key.start();
        self.end_before(start, sink);
        let cell = Cell {
            start,
            length: key.length(),
            value,
        };
        self.hold(cell, sink);
        self.above.push((key.end(), key.length(), value));
    }

    /// Ends the stream and its span.
    pub(super) fn finish(mut self, last: u128, sink: &mut impl FnMut(Cell)) {
        self.end_before(last, sink);
        if let Some(cell) = self.held {
            sink(cell);
        }
    }

    /// Ends the prefixes that end before an address; wider ones go on behind them.
    fn end_before(&mut self, address: u128, sink: &mut impl FnMut(Cell)) {
        while let Some((end, ..)) = self.above.last().copied()
            && end < address
        {
            self.above.pop();
            if let Some((outer_end, length, value)) = self.above.last().copied()
                && outer_end > end
            {
                let cell = Cell {
                    start: end + 1,
                    length,
                    value,
                };
                self.hold(cell, sink);
            }
        }
    }

    fn hold(&mut self, cell: Cell, sink: &mut impl FnMut(Cell)) {
        if let Some(held) = self.held.replace(cell)
            && held.start != cell.start
        {
            sink(held);
        }
    }

    fn start_within(&mut self, first: u128, above: impl Iterator<Item = (u128, u8, u64)>) {
        self.above.extend(above);
        self.held = self.above.last().map(|(_, length, value)| Cell {
            start: first,
            length: *length,
            value: *value,
        });
        debug_assert!(self.above.len() <= usize::from(self.bits));
    }
}

/// The cells of a span, in order.
pub(super) fn of_span<K: Key>(mirror: &Mirror<K>, first: u128, last: u128, out: &mut Vec<Cell>) {
    out.clear();
    let mut cells = Cells::new(K::BITS);
    let above = mirror.above(first);
    cells.start_within(
        first,
        above.map(|(key, value)| (key.end(), key.length(), value)),
    );
    for (key, value) in mirror.within(first, last) {
        cells.push(key, value, &mut |cell| out.push(cell));
    }
    cells.finish(last, &mut |cell| out.push(cell));
}
