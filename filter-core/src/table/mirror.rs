//! The contents of the tables by prefix, from which their memory is made.

use std::collections::BTreeMap;

use filter_common::source::{Address, Family};

use crate::prefix::Prefix;

/// A prefix of one family, small: a million of them are kept.
pub(super) trait Key: Copy + Ord {
    /// Bits of an address.
    const BITS: u8;

    /// The prefix with this first address (in the lower bits) and this length.
    fn new(start: u128, length: u8) -> Self;
    /// The first address.
    fn start(self) -> u128;
    /// Bits that count.
    fn length(self) -> u8;

    /// The same as a prefix of either family.
    fn prefix(self) -> Prefix;

    fn of(prefix: &Prefix) -> Self {
        let address = prefix.address();
        let start = u128::from(address.high) << 64 | u128::from(address.low);
        Self::new(start, prefix.length())
    }

    /// The last address.
    fn end(self) -> u128 {
        self.start() | open(Self::BITS, self.length())
    }
}

/// The bits that a length leaves open.
pub(super) const fn open(bits: u8, length: u8) -> u128 {
    match bits - length {
        128 => u128::MAX,
        open => (1 << open) - 1,
    }
}

/// An IPv4 prefix: the address, and behind it the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct V4(u64);

impl Key for V4 {
    const BITS: u8 = 32;

    fn new(start: u128, length: u8) -> Self {
        Self((start as u64) << 8 | u64::from(length))
    }

    fn start(self) -> u128 {
        u128::from(self.0 >> 8)
    }

    fn length(self) -> u8 {
        self.0 as u8
    }

    fn prefix(self) -> Prefix {
        let address = Address {
            family: Family::V4,
            high: 0,
            low: self.0 >> 8,
        };
        Prefix::new(address, self.length())
    }
}

/// An IPv6 prefix: the two halves of the address, and the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct V6(u64, u64, u8);

impl Key for V6 {
    const BITS: u8 = 128;

    fn new(start: u128, length: u8) -> Self {
        Self((start >> 64) as u64, start as u64, length)
    }

    fn start(self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }

    fn length(self) -> u8 {
        self.2
    }

    fn prefix(self) -> Prefix {
        let address = Address {
            family: Family::V6,
            high: self.0,
            low: self.1,
        };
        Prefix::new(address, self.2)
    }
}

/// The values of one family by their prefixes.
#[derive(Debug)]
pub(super) struct Mirror<K> {
    values: BTreeMap<K, u64>,
    /// Prefixes of each length: those that nobody uses needn't be looked up.
    lengths: [u32; 129],
}

impl<K: Key> Mirror<K> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn value(&self, key: &K) -> Option<u64> {
        self.values.get(key).copied()
    }

    /// The values of these prefixes, which are in order.
    pub(super) fn known(&self, keys: &[K]) -> Vec<Option<u64>> {
        if self.is_cheaper_one_by_one(keys.len()) {
            return keys.iter().map(|key| self.value(key)).collect();
        }
        let mut all = self.values.iter().peekable();
        let known = |key| {
            while all.next_if(|(known, _)| *known < key).is_some() {}
            all.next_if(|(known, _)| *known == key)
                .map(|(_, value)| *value)
        };
        keys.iter().map(known).collect()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.values.iter().map(|(key, value)| (*key, *value))
    }

    /// Those that begin in a span, in order.
    pub(super) fn within(&self, first: u128, last: u128) -> impl Iterator<Item = (K, u64)> {
        self.values
            .range(K::new(first, 0)..=K::new(last, K::BITS))
            .map(|(key, value)| (*key, *value))
    }

    /// Those that begin before an address and cover it, the widest first.
    pub(super) fn above(&self, address: u128) -> impl Iterator<Item = (K, u64)> {
        (0..K::BITS)
            .filter(|length| self.lengths[usize::from(*length)] != 0)
            .filter_map(move |length| {
                let start = address & !open(K::BITS, length);
                if start == address {
                    return None;
                }
                let key = K::new(start, length);
                Some((key, self.value(&key)?))
            })
    }

    /// Gives these prefixes, which are in order, these values or none.
    pub(super) fn write(&mut self, changes: impl ExactSizeIterator<Item = (K, Option<u64>)>) {
        // A tree that is made of what is in order is made much faster than one
        // that grows, and is full.
        if !self.is_cheaper_one_by_one(changes.len()) {
            self.merge(changes);
            return;
        }
        for (key, value) in changes {
            let before = match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
            let lengths = &mut self.lengths[usize::from(key.length())];
            *lengths = *lengths + u32::from(value.is_some()) - u32::from(before.is_some());
        }
    }

    fn is_cheaper_one_by_one(&self, keys: usize) -> bool {
        keys < MANY || keys < self.values.len() / 8
    }

    fn merge(&mut self, changes: impl Iterator<Item = (K, Option<u64>)>) {
        let mut old = std::mem::take(&mut self.values).into_iter().peekable();
        let mut all = Vec::with_capacity(old.len());
        for (key, value) in changes {
            while let Some(before) = old.next_if(|(known, _)| *known < key) {
                all.push(before);
            }
            let _replaced = old.next_if(|(known, _)| *known == key);
            all.extend(value.map(|value| (key, value)));
        }
        all.extend(old);
        self.lengths = [0; 129];
        for (key, _) in &all {
            self.lengths[usize::from(key.length())] += 1;
        }
        self.values = all.into_iter().collect();
    }
}

impl<K: Key> Default for Mirror<K> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            lengths: [0; 129],
        }
    }
}

/// Fewer changes are written one by one.
const MANY: usize = 1_000;
