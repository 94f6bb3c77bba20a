//! Maps by numbers that others may choose, with a hash that they don't know.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

use super::table::mix;

/// A map by number.
pub(super) type Keyed<V> = HashMap<u64, V, Seeded>;

pub(super) const fn keyed<V>(seed: u64) -> Keyed<V> {
    HashMap::with_hasher(Seeded(seed))
}

/// Makes the hashers of one map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0)
    }
}

/// A hash of numbers.
#[derive(Debug)]
pub(super) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number);
    }
}
