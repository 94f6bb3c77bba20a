//! The claims by their prefixes, and how many there are.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    ops::AddAssign,
};

use filter_common::source::Family;

use super::{
    FeedId, index,
    records::{Record, Records},
    refusal::Fault,
};
use crate::{
    claim::{Claim, Verdict},
    prefix::{Prefix, bits},
};

/// How many prefixes of each family the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// IPv4 prefixes.
    pub ipv4: u32,
    /// IPv6 prefixes.
    pub ipv6: u32,
}

/// Claims by family, and the same claims by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On IPv4 prefixes.
    pub ipv4: u32,
    /// On IPv6 prefixes.
    pub ipv6: u32,
    /// That block.
    pub blocked: u32,
    /// That limit.
    pub limited: u32,
    /// That allow.
    pub allowed: u32,
    /// That the feed's whole word left out, without being believed.
    pub held: u32,
}

impl Counts {
    /// All claims.
    #[must_use]
    pub const fn claims(&self) -> u32 {
        self.ipv4 + self.ipv6
    }

    const fn family(&mut self, family: Family) -> &mut u32 {
        match family {
            Family::V4 => &mut self.ipv4,
            Family::V6 => &mut self.ipv6,
        }
    }

    const fn verdict(&mut self, verdict: Verdict) -> &mut u32 {
        match verdict {
            Verdict::Allow => &mut self.allowed,
            Verdict::Limit(_) => &mut self.limited,
            Verdict::Block => &mut self.blocked,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ipv4 += other.ipv4;
        self.ipv6 += other.ipv6;
        self.blocked += other.blocked;
        self.limited += other.limited;
        self.allowed += other.allowed;
        self.held += other.held;
    }
}

/// What is known of a prefix. It stays after its last claim is gone until the
/// patch that takes it out of the tables is made.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The hash of what the tables hold; 0: they don't hold it.
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

/// Claims by prefix and by number.
pub(super) struct Store {
    pub(super) nodes: BTreeMap<Prefix, Node>,
    pub(super) records: Records,
    capacity: [u32; 2],
    keys: [u32; 2],
    /// Keys of each length: lengths that nobody uses needn't be looked up.
    lengths: [[u32; LENGTHS]; 2],
    /// Per feed.
    counts: Vec<Counts>,
    /// Numbers of the claims that are held, which hardly ever is one.
    held: BTreeSet<u32>,
    /// Sorted, and none inside another.
    protected: Vec<Prefix>,
}

impl Store {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            nodes: BTreeMap::new(),
            records: Records::default(),
            capacity: [capacity.ipv4, capacity.ipv6],
            keys: [0; 2],
            lengths: [[0; LENGTHS]; 2],
            counts: Vec::new(),
            held: BTreeSet::new(),
            protected: Vec::new(),
        }
    }

    /// The number of a feed's claim on a prefix.
    pub(super) fn find(&self, feed: FeedId, prefix: &Prefix) -> Option<u32> {
        let node = self.nodes.get(prefix)?;
        self.records
            .chain(node.first)
            .find(|(_number, record)| record.feed == feed)
            .map(|(number, _record)| number)
    }

    /// Adds a claim that isn't there yet, if there is room.
    pub(super) fn add(&mut self, feed: FeedId, claim: Claim) -> Result<u32, Fault> {
        let prefix = claim.prefix;
        let capacity = self.capacity[index(&prefix)];
        let full = self.keys(prefix.family()) >= capacity;
        if let Some(fault) = self.records.full() {
            return Err(fault);
        }
        let node = match self.nodes.entry(prefix) {
            Entry::Occupied(node) if node.get().is_key() || !full => node.into_mut(),
            Entry::Vacant(node) if !full => node.insert(Node::default()),
            _ => return Err(Fault::Full(capacity)),
        };
        let was_key = node.is_key();
        let verdict = claim.verdict;
        node.first = self.records.insert(Record::new(feed, claim, node.first));
        let number = node.first;
        if !was_key {
            self.key_came(&prefix);
        }
        let counts = self.counts_mut(feed);
        *counts.family(prefix.family()) += 1;
        *counts.verdict(verdict) += 1;
        Ok(number)
    }

    /// Replaces what a claim says.
    pub(super) fn revise(&mut self, number: u32, claim: Claim) {
        let record = self.records.at(number);
        let (feed, before, after) = (record.feed, record.verdict, claim.verdict);
        let counts = self.counts_mut(feed);
        *counts.verdict(before) -= 1;
        *counts.verdict(after) += 1;
        self.records.revise(number, claim);
    }

    /// Marks a claim as one that its feed's whole word left out, or no more.
    pub(super) fn hold(&mut self, number: u32, held: bool) {
        let changed = if held {
            self.held.insert(number)
        } else {
            self.held.remove(&number)
        };
        if changed {
            let feed = self.records.at(number).feed;
            let counts = self.counts_mut(feed);
            counts.held = if held {
                counts.held + 1
            } else {
                counts.held - 1
            };
        }
    }

    /// Whether a claim is marked so.
    pub(super) fn is_held(&self, number: u32) -> bool {
        self.held.contains(&number)
    }

    /// Removes a claim, and says which prefix it was on.
    pub(super) fn remove(&mut self, number: u32) -> Prefix {
        self.hold(number, false);
        let removed = self.records.remove(number);
        let prefix = removed.prefix;
        let node = self
            .nodes
            .get_mut(&prefix)
            .expect("the prefix of a claim has a node");
        if node.first == number {
            node.first = removed.next;
        } else {
            let mut before = node.first;
            while self.records.at(before).next != number {
                before = self.records.at(before).next;
            }
            self.records.at_mut(before).next = removed.next;
        }
        if !node.is_key() {
            self.key_went(&prefix);
        }
        let counts = self.counts_mut(removed.feed);
        *counts.family(prefix.family()) -= 1;
        *counts.verdict(removed.verdict) -= 1;
        prefix
    }

    /// The numbers of all claims of a feed: a look at each record, but none
    /// where there is nothing to find.
    pub(super) fn numbers_of(&self, feed: FeedId) -> Vec<u32> {
        let claims = self.counts_of(feed).claims() as usize;
        self.records
            .iter()
            .filter(|(_number, record)| record.feed == feed)
            .map(|(number, _record)| number)
            .take(claims)
            .collect()
    }

    /// Protects these prefixes, and no others any more. Says for which of them
    /// that is a change.
    pub(super) fn protect(&mut self, prefixes: &[Prefix]) -> Vec<Prefix> {
        let new = outermost(prefixes.to_vec());
        let old = std::mem::replace(&mut self.protected, new.clone());
        let mut changed = Vec::new();
        for prefix in old {
            if new.binary_search(&prefix).is_err() {
                let node = self.nodes.entry(prefix).or_default();
                node.protected = false;
                if !node.is_key() {
                    self.key_went(&prefix);
                }
                changed.push(prefix);
            }
        }
        for prefix in new {
            let node = self.nodes.entry(prefix).or_default();
            if !node.protected {
                let was_key = node.is_key();
                node.protected = true;
                if !was_key {
                    self.key_came(&prefix);
                }
                changed.push(prefix);
            }
        }
        changed
    }

    /// The protected prefix that covers this one.
    pub(super) fn protection(&self, prefix: &Prefix) -> Option<Prefix> {
        let after = self.protected.partition_point(|one| one <= prefix);
        let before = self.protected[..after].last()?;
        before.covers(prefix).then_some(*before)
    }

    /// The numbers of the claims inside a protected prefix, with the latter.
    pub(super) fn inside_protected(&self) -> Vec<(u32, Prefix)> {
        let mut inside = Vec::new();
        for protected in &self.protected {
            for node in self.nodes.range(protected..=&protected.last()) {
                let claims = self.records.chain(node.1.first);
                inside.extend(claims.map(|(number, _record)| (number, *protected)));
            }
        }
        inside
    }

    /// The keys that cover a prefix, the widest first, itself included.
    pub(super) fn covering(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &Node)> {
        (0..=prefix.length())
            .zip(&self.lengths[index(&prefix)])
            .filter(|(_length, keys)| **keys != 0)
            .filter_map(move |(length, _keys)| {
                let wide = prefix.widened(length);
                Some((wide, self.nodes.get(&wide)?))
            })
    }

    /// How many lengths the keys of a prefix's family have.
    pub(super) fn lengths_in_use(&self, prefix: &Prefix) -> usize {
        let lengths = &self.lengths[index(prefix)];
        lengths.iter().filter(|keys| **keys != 0).count()
    }

    /// How many prefixes of a family belong into the tables.
    pub(super) const fn keys(&self, family: Family) -> u32 {
        match family {
            Family::V4 => self.keys[0],
            Family::V6 => self.keys[1],
        }
    }

    pub(super) fn counts_of(&self, feed: FeedId) -> Counts {
        self.counts
            .get(usize::from(feed))
            .copied()
            .unwrap_or_default()
    }

    fn counts_mut(&mut self, feed: FeedId) -> &mut Counts {
        let feed = usize::from(feed);
        if self.counts.len() <= feed {
            self.counts.resize(feed + 1, Counts::default());
        }
        &mut self.counts[feed]
    }

    const fn key_came(&mut self, prefix: &Prefix) {
        self.keys[index(prefix)] += 1;
        self.lengths[index(prefix)][prefix.length() as usize] += 1;
    }

    const fn key_went(&mut self, prefix: &Prefix) {
        self.keys[index(prefix)] -= 1;
        self.lengths[index(prefix)][prefix.length() as usize] -= 1;
    }
}

impl fmt::Debug for Store {
    /// Not a million lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("keys", &self.keys)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// The prefixes that no other one of them covers, sorted.
pub(super) fn outermost(mut prefixes: Vec<Prefix>) -> Vec<Prefix> {
    prefixes.sort_unstable();
    prefixes.dedup_by(|next, kept| kept.covers(next));
    prefixes
}

/// An IPv6 prefix has one of so many lengths.
const LENGTHS: usize = bits(Family::V6) as usize + 1;
