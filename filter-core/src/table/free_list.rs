//! Which rows of a storage are free, and which will be once nobody can hold them.

use std::collections::BTreeMap;

/// Rows that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) at: u32,
    pub(super) rows: u32,
}

/// The free rows of a part of a storage.
#[derive(Debug)]
pub(super) struct FreeList {
    /// Rows from here on were never in use.
    next: u32,
    end: u32,
    /// Runs that came back, by their length.
    free: BTreeMap<u32, Vec<u32>>,
    used: u32,
}

impl FreeList {
    /// The rows `first..end`, all of them free.
    pub(super) const fn new(first: u32, end: u32) -> Self {
        Self {
            next: first,
            end,
            free: BTreeMap::new(),
            used: 0,
        }
    }

    /// Takes so many rows that lie together, if there are.
    pub(super) fn take(&mut self, rows: u32) -> Option<u32> {
        let at = self.reuse(rows).or_else(|| self.unused(rows))?;
        self.used += rows;
        Some(at)
    }

    /// Gives rows back that no reader holds any more.
    pub(super) fn give(&mut self, run: Run) {
        self.used -= run.rows;
        self.free.entry(run.rows).or_default().push(run.at);
    }

    pub(super) const fn used(&self) -> u32 {
        self.used
    }

    fn unused(&mut self, rows: u32) -> Option<u32> {
        let at = self.next;
        (self.end - at >= rows).then(|| {
            self.next += rows;
            at
        })
    }

    /// A run of this length that came back; with no rows left that were never
    /// taken, also a part of a longer one.
    fn reuse(&mut self, rows: u32) -> Option<u32> {
        let short = self.end - self.next < rows;
        let lengths = if short {
            self.free.range_mut(rows..)
        } else {
            self.free.range_mut(rows..=rows)
        };
        let (length, at) = lengths
            .filter_map(|(length, free)| Some((*length, free.pop()?)))
            .next()?;
        if length > rows {
            let rest = self.free.entry(length - rows).or_default();
            rest.push(at + rows);
        }
        Some(at)
    }
}

/// Memory that a reader may still hold (retired, as in RCU): it is used again once every program has ended
/// that ran when it was given up.
#[derive(Debug)]
pub(super) struct Retired<T> {
    fresh: Vec<T>,
    sealed: Vec<T>,
}

impl<T> Retired<T> {
    pub(super) fn push(&mut self, given_up: T) {
        self.fresh.push(given_up);
    }

    /// From now on a grace period is waited for; whether anything waits.
    pub(super) fn seal(&mut self) -> bool {
        debug_assert!(self.sealed.is_empty(), "one grace period at a time");
        std::mem::swap(&mut self.fresh, &mut self.sealed);
        !self.sealed.is_empty()
    }

    /// Empties the sealed part: its grace period has passed.
    pub(super) fn release(&mut self) -> Vec<T> {
        std::mem::take(&mut self.sealed)
    }

    /// Empties all: a grace period has passed that began just now.
    pub(super) fn empty(&mut self) -> Vec<T> {
        let mut all = self.release();
        all.append(&mut self.fresh);
        all
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.sealed.is_empty()
    }
}

impl<T> Default for Retired<T> {
    fn default() -> Self {
        Self {
            fresh: Vec::new(),
            sealed: Vec::new(),
        }
    }
}

/// A shelf of two halves: one is in force, the other is free or will be.
#[derive(Debug)]
pub(super) struct Halves {
    rows: u32,
    second: bool,
    free: FreeList,
    retired: Retired<Gone>,
    other_is_free: bool,
}

/// A part of a storage that was retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    Run(Run),
    Half,
}

impl Halves {
    /// Two halves of so many rows each; nothing is in use, the first is in force.
    pub(super) fn new(rows: u32) -> Self {
        Self {
            rows,
            second: false,
            free: FreeList::new(0, rows),
            retired: Retired::default(),
            other_is_free: true,
        }
    }

    /// Whether the second half is in force.
    pub(super) const fn is_second(&self) -> bool {
        self.second
    }

    pub(super) fn take(&mut self, rows: u32) -> Option<u32> {
        self.free.take(rows)
    }

    pub(super) fn give_up(&mut self, run: Run) {
        self.retired.push(Gone::Run(run));
    }

    /// Gives rows back that no reader has seen.
    pub(super) fn give_back(&mut self, run: Run) {
        self.free.give(run);
    }

    /// The rows of the half that isn't in force; `None` if a reader may hold it.
    pub(super) fn other(&self) -> Option<FreeList> {
        let first = if self.second { 0 } else { self.rows };
        self.other_is_free
            .then(|| FreeList::new(first, first + self.rows))
    }

    /// The other half is in force, and these rows of it are left.
    pub(super) fn switch(&mut self, free: FreeList) {
        self.second = !self.second;
        self.free = free;
        // Whatever waited was of the half that is given up as a whole.
        self.retired = Retired::default();
        self.retired.push(Gone::Half);
        self.other_is_free = false;
    }

    pub(super) fn seal(&mut self) -> bool {
        self.retired.seal()
    }

    pub(super) fn release(&mut self) {
        let gone = self.retired.release();
        self.take_back(gone);
    }

    /// The same for all that waits; `false` if nothing did.
    pub(super) fn empty(&mut self) -> bool {
        let gone = self.retired.empty();
        let any = !gone.is_empty();
        self.take_back(gone);
        any
    }

    /// Whether nothing is retired.
    pub(super) const fn is_settled(&self) -> bool {
        self.retired.is_empty()
    }

    /// Rows in use, and rows of a half.
    pub(super) const fn fill(&self) -> (u32, u32) {
        (self.free.used(), self.rows)
    }

    fn take_back(&mut self, gone: Vec<Gone>) {
        for gone in gone {
            match gone {
                Gone::Run(run) => self.free.give(run),
                Gone::Half => self.other_is_free = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_taken_again_and_cut_where_nothing_else_is_left() {
        let mut free = FreeList::new(10, 20);
        assert_eq!(free.take(4), Some(10));
        assert_eq!(free.take(6), Some(14));
        assert_eq!(free.take(1), None);
        free.give(Run { at: 14, rows: 6 });
        assert_eq!(free.take(2), Some(14));
        assert_eq!(free.take(4), Some(16));
        assert_eq!((free.take(1), free.used()), (None, 10));
    }

    #[test]
    fn a_half_is_free_again_after_a_grace_period_that_began_after_the_switch() {
        let mut halves = Halves::new(8);
        let old = halves.take(3).expect("it is empty");
        let mut free = halves.other().expect("it was never in force");
        assert_eq!(free.take(1), Some(8));
        halves.give_up(Run { at: old, rows: 3 });
        assert!(halves.seal());
        halves.switch(free);
        // The grace period that is waited for began before the switch.
        halves.release();
        assert!(halves.other().is_none());
        assert!(halves.seal());
        halves.release();
        assert!(halves.other().is_some());
        assert!(!halves.seal() && !halves.empty());
        assert_eq!(halves.fill(), (1, 8));
    }
}
