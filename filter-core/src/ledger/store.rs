//! The claims by their prefixes, and how many there are.

use std::{collections::BTreeSet, fmt};

use filter_common::source::Family;

use super::{
    FeedId,
    counts::{Capacity, Counts},
    index,
    nodes::{Builder, Node, Nodes, Place},
    records::{Record, Records},
    refusal::Fault,
};
use crate::{
    claim::Claim,
    prefix::{Prefix, bits},
};

/// Claims that are being added, in the order of their prefixes.
#[derive(Default)]
pub(super) struct Adding {
    pub(super) place: Place,
    /// Nodes that come.
    nodes: Builder,
}

/// Claims by prefix and by number.
pub(super) struct Store {
    pub(super) nodes: Nodes,
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
            nodes: Nodes::default(),
            records: Records::default(),
            capacity: [capacity.ipv4, capacity.ipv6],
            keys: [0; 2],
            lengths: [[0; LENGTHS]; 2],
            counts: Vec::new(),
            held: BTreeSet::new(),
            protected: Vec::new(),
        }
    }

    /// The number of a feed's claim on a prefix, from a place among the nodes on.
    pub(super) fn find(&self, place: &mut Place, feed: FeedId, prefix: &Prefix) -> Option<u32> {
        let node = self.nodes.seek(place, prefix)?;
        self.records
            .chain(node.first)
            .find(|(_number, record)| record.feed == feed)
            .map(|(number, _record)| number)
    }

    /// Adds a claim that isn't there yet, if there is room. They have to come in
    /// the order of their prefixes, and the last is followed by
    /// [`added`](Self::added).
    pub(super) fn add(
        &mut self,
        adding: &mut Adding,
        feed: FeedId,
        claim: Claim,
    ) -> Result<u32, Fault> {
        let prefix = claim.prefix;
        let capacity = self.capacity[index(&prefix)];
        let full = self.keys(prefix.family()) >= capacity;
        if let Some(fault) = self.records.full() {
            return Err(fault);
        }
        let node = self.nodes.seek_mut(&mut adding.place, &prefix);
        let is_key = node.as_ref().is_some_and(|node| node.is_key());
        if full && !is_key {
            return Err(Fault::Full(capacity));
        }
        let verdict = claim.verdict;
        let next = node.as_ref().map_or(0, |node| node.first);
        let number = self.records.insert(Record::new(feed, claim, next));
        match node {
            Some(node) => node.first = number,
            None => adding.nodes.push((
                prefix,
                Node {
                    first: number,
                    ..Node::default()
                },
            )),
        }
        if !is_key {
            self.key_came(&prefix);
        }
        let counts = self.counts_mut(feed);
        *counts.family(prefix.family()) += 1;
        *counts.verdict(verdict) += 1;
        Ok(number)
    }

    /// All claims of an update were added.
    pub(super) fn added(&mut self, adding: Adding) {
        self.nodes.add(adding.nodes.finish());
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
        self.remove_near(&mut Place::default(), number)
    }

    /// The same from a place among the nodes on.
    pub(super) fn remove_near(&mut self, place: &mut Place, number: u32) -> Prefix {
        self.hold(number, false);
        let removed = self.records.remove(number);
        let prefix = removed.prefix;
        let node = self
            .nodes
            .seek_mut(place, &prefix)
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
                let node = self.nodes.get_or_add(prefix);
                node.protected = false;
                if !node.is_key() {
                    self.key_went(&prefix);
                }
                changed.push(prefix);
            }
        }
        for prefix in new {
            let node = self.nodes.get_or_add(prefix);
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
            for node in self.nodes.range(*protected..=protected.last()) {
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
