//! From changed claims to a patch: which entries may be others now, and which
//! of them are.

use std::hash::{DefaultHasher, Hasher};

use filter_common::verdict::Stage;

use super::{
    nodes::Node,
    resolve::{PROTECTED, Resolver, Rules},
    store::{Store, outermost},
};
use crate::{patch::Patch, prefix::Prefix};

/// Prefixes whose claims have changed: what they cover may have other entries.
#[derive(Debug)]
pub(super) struct Dirty {
    prefixes: Vec<Prefix>,
    /// Beyond so many, dirty prefixes aren't kept apart.
    most: usize,
    all: bool,
}

impl Dirty {
    /// Nothing has changed yet, and there are so many keys.
    pub(super) const fn new(keys: usize) -> Self {
        Self {
            prefixes: Vec::new(),
            most: FEW + keys / 4,
            all: false,
        }
    }

    pub(super) fn push(&mut self, prefix: Prefix) {
        if self.prefixes.len() == self.most {
            self.all();
        }
        if !self.all {
            self.prefixes.push(prefix);
        }
    }

    /// Every entry may be another now.
    pub(super) fn all(&mut self) {
        self.all = true;
        self.prefixes = Vec::new();
    }
}

/// Resolves what may have changed, and drops the prefixes that are keys no more.
pub(super) fn settle(store: &mut Store, dirty: Dirty, rules: &Rules, offset: i64) -> Patch {
    let roots = outermost(dirty.prefixes);
    let most = if dirty.all { store.nodes.len() } else { 0 };
    let mut walk = Walk::new(Resolver::new(rules, &store.records, offset), most);
    let mut gone = Vec::new();
    if dirty.all || is_cheaper_whole(store, &roots) {
        let mut roots = roots.iter().peekable();
        for (prefix, node) in store.nodes.range_mut(..) {
            walk.enter(prefix, node);
            while roots.next_if(|root| root.last() < prefix).is_some() {}
            let is_dirty = roots.peek().is_some_and(|root| root.covers(&prefix));
            if dirty.all || is_dirty {
                node.emitted = walk.emit(prefix, node.is_key(), node.emitted);
            }
            if !node.is_key() {
                gone.push(prefix);
            }
        }
    } else {
        for root in &roots {
            walk.above.clear();
            for (wide, node) in store.covering(*root) {
                walk.enter(wide, node);
            }
            for (prefix, node) in store.nodes.range_mut(*root..=root.last()) {
                walk.enter(prefix, node);
                node.emitted = walk.emit(prefix, node.is_key(), node.emitted);
                if !node.is_key() {
                    gone.push(prefix);
                }
            }
        }
    }
    let patch = walk.patch;
    store.nodes.remove(&gone);
    patch
}

/// Every entry, as a patch to empty tables.
pub(super) fn table(store: &Store, rules: &Rules, offset: i64) -> Patch {
    let resolver = Resolver::new(rules, &store.records, offset);
    let mut walk = Walk::new(resolver, store.nodes.len());
    for (prefix, node) in store.nodes.range(..) {
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
    /// A walk over keys of which so many may change.
    fn new(resolver: Resolver<'a>, most: usize) -> Self {
        Self {
            resolver,
            above: Vec::new(),
            patch: Patch::with_capacity(most),
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
    /// hold something else. Returns the mark of what they hold then.
    fn emit(&mut self, prefix: Prefix, is_key: bool, emitted: u64) -> u64 {
        let (enforced, shadow): (&[Stage], &[Stage]) = if !is_key {
            (&[], &[])
        } else if self.above.iter().any(|above| above.protected) {
            (&PROTECTED, &[])
        } else {
            let chains = self.above.iter().map(|above| above.first);
            self.resolver.resolve(chains)
        };
        let mark = mark(enforced, shadow);
        if mark != emitted {
            self.patch.push(prefix, enforced, shadow);
        }
        mark
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

/// The fingerprint of an entry, kept to know whether it changes: its 96 bytes would be too
/// many for each of a million keys. One stage, which is what most have, stands
/// for itself, so that no other is ever mistaken for it; several are hashed into
/// what no stage can be. Two hashes that meet would hide a change from the
/// tables: 56 bits are enough because nobody outside can choose or see claim
/// numbers and ends, and SipHash because a feed might try.
fn mark(enforced: &[Stage], shadow: &[Stage]) -> u64 {
    match (enforced, shadow) {
        ([], []) => NOT_EMITTED,
        ([stage], []) => word(*stage),
        _ => {
            let mut hash = DefaultHasher::new();
            hash.write_usize(enforced.len());
            for stage in enforced.iter().chain(shadow) {
                hash.write_u64(word(*stage));
            }
            (hash.finish() & !0xff).max(0x100)
        }
    }
}

/// A stage as a number; the lower 8 bits are its verdict, and never 0.
const fn word(stage: Stage) -> u64 {
    (stage.until() as u64) << 32 | (stage.claim() as u64) << 8 | stage.verdict().code() as u64
}

/// [`Node::emitted`] of what the tables don't hold.
const NOT_EMITTED: u64 = 0;

/// So many dirty prefixes are always kept apart.
const FEW: usize = 1_000;

/// A look-up costs about as much as so many steps of a walk.
const LOOKUP: usize = 4;
