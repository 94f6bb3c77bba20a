//! From changed claims to a patch: which entries may be others now, and which
//! of them are.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use filter_common::verdict::Stage;

use super::{
    resolve::{PROTECTED, Resolver, Rules},
    store::{Node, Store, outermost},
};
use crate::{patch::Patch, prefix::Prefix};

/// Prefixes whose claims have changed: what they cover may have other entries.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    prefixes: Vec<Prefix>,
    all: bool,
}

impl Dirty {
    pub(super) fn push(&mut self, prefix: Prefix) {
        self.prefixes.push(prefix);
    }

    pub(super) fn extend(&mut self, prefixes: Vec<Prefix>) {
        self.prefixes.extend(prefixes);
    }

    /// Every entry may be another now.
    pub(super) const fn all(&mut self) {
        self.all = true;
    }
}

/// Resolves what may have changed, and drops the prefixes that are keys no more.
pub(super) fn settle(store: &mut Store, dirty: Dirty, rules: &Rules, offset: i64) -> Patch {
    let roots = outermost(dirty.prefixes);
    let mut walk = Walk::new(Resolver::new(rules, &store.records, offset));
    let mut gone = Vec::new();
    if dirty.all || is_cheaper_whole(store, &roots) {
        let mut roots = roots.iter().peekable();
        for (prefix, node) in &mut store.nodes {
            walk.enter(*prefix, node);
            while roots.next_if(|root| root.last() < *prefix).is_some() {}
            let is_dirty = roots.peek().is_some_and(|root| root.covers(prefix));
            if dirty.all || is_dirty {
                node.emitted = walk.emit(*prefix, node.is_key(), node.emitted);
            }
            if !node.is_key() {
                gone.push(*prefix);
            }
        }
    } else {
        for root in &roots {
            walk.above.clear();
            for (wide, node) in store.covering(*root) {
                walk.enter(wide, node);
            }
            for (prefix, node) in store.nodes.range_mut(root..=&root.last()) {
                walk.enter(*prefix, node);
                node.emitted = walk.emit(*prefix, node.is_key(), node.emitted);
                if !node.is_key() {
                    gone.push(*prefix);
                }
            }
        }
    }
    let patch = walk.patch;
    let many = gone.len() > MANY && gone.len() > store.nodes.len() / 4;
    for prefix in gone {
        store.nodes.remove(&prefix);
    }
    if many {
        // A tree that has lost many keys keeps its leaves half empty.
        store.nodes = std::mem::take(&mut store.nodes).into_iter().collect();
    }
    patch
}

/// Fewer keys that leave aren't worth a new tree.
const MANY: usize = 10_000;

/// Every entry, as a patch to empty tables.
pub(super) fn table(store: &Store, rules: &Rules, offset: i64) -> Patch {
    let mut walk = Walk::new(Resolver::new(rules, &store.records, offset));
    for (prefix, node) in &store.nodes {
        walk.enter(*prefix, node);
        walk.emit(*prefix, node.is_key(), NOT_EMITTED);
    }
    walk.patch
}

/// Walks over keys in order, and always knows those that cover the last.
struct Walk<'a> {
    resolver: Resolver<'a>,
    above: Vec<Above>,
    patch: Patch,
}

/// A key on the way down to another.
struct Above {
    prefix: Prefix,
    first: u32,
    protected: bool,
}

impl<'a> Walk<'a> {
    fn new(resolver: Resolver<'a>) -> Self {
        Self {
            resolver,
            above: Vec::new(),
            patch: Patch::default(),
        }
    }

    /// Goes on to the next key.
    fn enter(&mut self, prefix: Prefix, node: &Node) {
        while let Some(above) = self.above.last()
            && (above.prefix == prefix || !above.prefix.covers(&prefix))
        {
            self.above.pop();
        }
        self.above.push(Above {
            prefix,
            first: node.first,
            protected: node.protected,
        });
    }

    /// Resolves the key just entered, and puts it into the patch if the tables
    /// hold something else. Returns the hash of what they hold then.
    fn emit(&mut self, prefix: Prefix, is_key: bool, emitted: u64) -> u64 {
        let (enforced, shadow): (&[Stage], &[Stage]) = if !is_key {
            (&[], &[])
        } else if self.above.iter().any(|above| above.protected) {
            (&PROTECTED, &[])
        } else {
            let chains = self.above.iter().map(|above| above.first);
            self.resolver.resolve(chains)
        };
        let hash = hash(enforced, shadow);
        if hash != emitted {
            self.patch.push(prefix, enforced, shadow);
        }
        hash
    }
}

/// Whether one way over all keys costs less than finding, for each of these,
/// the keys that cover it.
fn is_cheaper_whole(store: &Store, roots: &[Prefix]) -> bool {
    // The last, because IPv6 stands behind IPv4 and has more lengths.
    let Some(last) = roots.last() else {
        return false;
    };
    let lookups = roots.len() * (store.lengths_in_use(last) + 1);
    lookups.saturating_mul(LOOKUP) > store.nodes.len()
}

/// Hashes an entry. Its 96 bytes would be too many to keep for each of a
/// million keys only to know whether they change.
fn hash(enforced: &[Stage], shadow: &[Stage]) -> u64 {
    if enforced.is_empty() && shadow.is_empty() {
        return NOT_EMITTED;
    }
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((enforced, shadow));
    hash.max(NOT_EMITTED + 1)
}

/// [`Node::emitted`] of what the tables don't hold.
const NOT_EMITTED: u64 = 0;

/// A look-up costs about as much as so many steps of a walk.
const LOOKUP: usize = 4;
