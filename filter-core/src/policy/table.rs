//! A table that never grows: each key has sixteen places, and of what has them
//! the idlest gives way.
//!
//! Two lines of eight, by a keyed hash; a new key goes where more is free. So
//! nearly all places are taken before any has to give way, there is neither an
//! index nor a list beside the records, and the memory is the places alone.

/// An entry of a table.
pub(super) trait Kept: Copy + Default {
    /// Whose it is; 0: the place is free.
    fn key(&self) -> u64;
    /// When it was touched last.
    fn seen(&self) -> u32;
}

/// The table.
#[derive(Debug)]
pub(super) struct Table<R> {
    lines: Vec<[R; WAYS]>,
    seed: u64,
    used: usize,
    /// How many gave way.
    pub(super) evicted: u64,
}

impl<R: Kept> Table<R> {
    /// Room for about `capacity`.
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            lines: vec![[R::default(); WAYS]; capacity.div_ceil(WAYS).max(1)],
            seed,
            used: 0,
            evicted: 0,
        }
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn find(&self, key: u64) -> Option<&R> {
        let mut all = self
            .places(key)
            .into_iter()
            .flat_map(|line| &self.lines[line]);
        all.find(|record| record.key() == key)
    }

    pub(super) fn find_mut(&mut self, key: u64) -> Option<&mut R> {
        let (line, way) = self.place(key)?;
        Some(&mut self.lines[line][way])
    }

    /// The record of a key, or else `fresh` in its place. What gives way is the
    /// idlest that `spared` doesn't speak for, if there is one.
    pub(super) fn entry(
        &mut self,
        key: u64,
        fresh: impl FnOnce() -> R,
        spared: impl Fn(&R) -> bool,
    ) -> &mut R {
        let (line, way) = match self.place(key) {
            Some(place) => place,
            None => {
                let place = self.room(key, spared);
                let record = &mut self.lines[place.0][place.1];
                if record.key() == 0 {
                    self.used += 1;
                } else {
                    self.evicted += 1;
                }
                *record = fresh();
                place
            }
        };
        &mut self.lines[line][way]
    }

    /// Every record, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &R> {
        let all = self.lines.iter().flatten();
        all.filter(|record| record.key() != 0)
    }

    fn place(&self, key: u64) -> Option<(usize, usize)> {
        self.places(key).into_iter().find_map(|line| {
            let way = self.lines[line]
                .iter()
                .position(|record| record.key() == key)?;
            Some((line, way))
        })
    }

    fn room(&self, key: u64, spared: impl Fn(&R) -> bool) -> (usize, usize) {
        let [first, second] = self.places(key);
        let taken = |line: usize| {
            let taken = |record: &&R| record.key() != 0;
            self.lines[line].iter().filter(taken).count()
        };
        let line = if taken(second) < taken(first) {
            second
        } else {
            first
        };
        let free = self.lines[line].iter().position(|record| record.key() == 0);
        if let Some(way) = free {
            return (line, way);
        }
        let all = [first, second]
            .into_iter()
            .flat_map(|line| (0..WAYS).map(move |way| (line, way)));
        let idlest = |(line, way): &(usize, usize)| {
            let record = &self.lines[*line][*way];
            (spared(record), record.seen())
        };
        all.min_by_key(idlest).unwrap_or((first, 0))
    }

    fn places(&self, key: u64) -> [usize; 2] {
        let hash = mix(key ^ self.seed);
        [hash, mix(hash)].map(|hash| ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize)
    }
}

/// Spreads a number over all 64 bits; every number has one of its own.
/// (The finalizer of `SplitMix64`.)
pub(super) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Places of a line.
const WAYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Default)]
    struct Seen(u64, u32);

    impl Kept for Seen {
        fn key(&self) -> u64 {
            self.0
        }

        fn seen(&self) -> u32 {
            self.1
        }
    }

    fn put(table: &mut Table<Seen>, key: u64, at: u32) {
        table.entry(key, || Seen(key, at), |_| false).1 = at;
    }

    #[test]
    fn nearly_all_places_are_taken_before_one_gives_way() {
        let mut table = Table::<Seen>::new(80_000, 7);
        for key in 1..=72_000 {
            put(&mut table, key, key as u32);
        }
        assert!(table.evicted < 720, "{} of 72,000", table.evicted);
        assert_eq!(table.used() + table.evicted as usize, 72_000);
        assert_eq!(table.iter().count(), table.used());
    }

    #[test]
    fn the_idlest_gives_way_and_the_busy_stay() {
        let mut table = Table::<Seen>::new(8_000, 7);
        for round in 0..20 {
            for busy in 1..=1_000 {
                put(&mut table, busy, round * 2);
            }
            for other in 0..2_000 {
                put(
                    &mut table,
                    10_000 + u64::from(round) * 2_000 + other,
                    round * 2 + 1,
                );
            }
        }
        assert!(table.evicted > 20_000);
        let lost = (1..=1_000).filter(|key| table.find(*key).is_none()).count();
        assert!(lost < 10, "{lost} of 1,000 that were busy");
    }

    #[test]
    fn what_is_spared_gives_way_last() {
        let mut table = Table::<Seen>::new(16, 7);
        for key in 1..=8 {
            table.entry(key, || Seen(key, 0), |_| false);
        }
        for key in 100..1_000 {
            table.entry(key, || Seen(key, key as u32), |seen| seen.0 <= 8);
        }
        assert!((1..=8).all(|key| table.find(key).is_some()));
        assert_eq!(table.used(), 16);
    }
}
