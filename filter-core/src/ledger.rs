//! The ledger: all claims of all feeds, and what follows from them.
//!
//! Any update of any feed goes in, one [`Patch`] comes out. A snapshot is only
//! a large delta, and an expiry, a stepped clock and a reload take the same
//! way. Pure: no I/O, and the time is an argument.
//!
//! # Precedence
//! Protected prefixes beat everything. Of the claims that cover an address the
//! one of the strongest (lowest) rank holds; within a rank the narrower prefix,
//! on one prefix the stricter verdict (Block, Limit, Allow; between two limits
//! the stricter tier), and if even these are alike the feed with the lower
//! number. See `ledger/resolve.rs`.
//!
//! # The tables
//! Every prefix that has a claim is a key, and so is every protected one. The
//! entry of a key resolves over everything that covers it, so that the kernel
//! does one lookup, and holds what follows when the strongest claim ends, so
//! that the kernel needs no daemon for it. A change on a prefix can change the
//! entries of the keys it covers, and no others. See `ledger/settle.rs`.
//!
//! # Shadow
//! Claims of a feed in observe never take part in what is enforced. A key that
//! one of them covers is resolved a second time with all claims together; where
//! that makes a difference it is the entry's shadow.
//!
//! # Numbers
//! Stages and events name a claim by its number. When the claim is gone, its
//! number and its words rest until no event can carry it. See `ledger/quarantine.rs`.
//!
//! # Cost
//! Measured with a million claims on prefixes at random, of which half expire, on
//! a slow core: 125 bytes a claim in memory (72 for the record, about 42 for the
//! key, 8 to 16 for the end), and what their labels take; 0.25 s for the first
//! snapshot, of which page faults are a third, 0.12 s for the same again, 0.5 s
//! for a million others instead, 0.05 s for the whole table. One block costs 2 us,
//! one that covers 100 keys 5 us, one that covers 65,536 keys milliseconds.
//! (`tests::cost`)
//!
//! What comes in order is cheap, so a feed's word is sorted first, once
//! (`ledger/order.rs`), and goes along the prefixes (`ledger/nodes.rs`).

mod counts;
mod expiry;
mod nodes;
mod order;
mod page;
mod quarantine;
mod records;
mod refusal;
mod resolve;
mod settle;
mod store;
mod update;
mod view;

#[cfg(test)]
mod generate;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use counts::{Capacity, Counts};
pub use refusal::{Fault, Refusal, Refused, WIDEST_IPV4, WIDEST_IPV6, never_taken};
pub use resolve::{FeedRules, Rules};
pub use view::View;

pub use crate::clock::Now;
use crate::{claim::Update, patch::Patch, prefix::Prefix};
use expiry::Expiries;
use nodes::Place;
use settle::Dirty;
use store::Store;
use update::Trust;

/// The number of a feed: its place in [`Rules::feeds`].
pub type FeedId = u16;

/// The feed whose claims are the operator's.
pub const OPERATOR: FeedId = 0;

/// All claims of all feeds.
#[derive(Debug)]
pub struct Ledger {
    rules: Rules,
    store: Store,
    expiries: Expiries,
    /// Seconds since boot less Unix seconds, as the ends in force were made.
    offset: i64,
}

/// The outcome of an update.
#[derive(Debug, Default)]
pub struct Applied {
    /// The changes that the tables must apply.
    pub patch: Patch,
    /// Claims that were refused.
    pub refused: Refused,
    /// Claims that are new.
    pub added: u32,
    /// Claims that now say something else, be it only another reason.
    pub changed: u32,
    /// Claims that are gone.
    pub withdrawn: u32,
    /// Claims that a whole word left out and that stand all the same.
    pub held: u32,
}

impl Ledger {
    /// An empty ledger without feeds, for tables that hold `capacity`. It takes
    /// claims once it is [`configure`](Self::configure)d.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self {
            rules: Rules::default(),
            store: Store::new(capacity),
            expiries: Expiries::default(),
            offset: 0,
        }
    }

    /// Takes new rules: at the start and at a reload. Feeds keep their numbers;
    /// the claims of a feed that is gone are withdrawn, and those inside a
    /// prefix that is now protected are refused.
    ///
    /// Protected prefixes are accepted whatever the capacity: the tables need room
    /// for them beyond it.
    pub fn configure(&mut self, rules: Rules, now: Now) -> Applied {
        let mut applied = Applied::default();
        let mut dirty = self.begin(now);
        for feed in 0..self.rules.feeds.len() as FeedId {
            if rules.feed(feed).is_none() {
                for number in self.store.numbers_of(feed) {
                    dirty.push(self.store.remove(number));
                    applied.withdrawn += 1;
                }
            }
        }
        for prefix in self.store.protect(&rules.protected) {
            dirty.push(prefix);
        }
        for (number, protected) in self.store.inside_protected() {
            let prefix = self.store.remove(number);
            applied.refused.push(prefix, Fault::Protected(protected));
            dirty.push(prefix);
        }
        if self.rules.feeds != rules.feeds || self.rules.strictness != rules.strictness {
            dirty.all();
        }
        self.rules = rules;
        applied.patch = self.settle(dirty);
        applied
    }

    /// Takes what a feed says. Claims that have ended by now count as withdrawn.
    /// A claim that can't be accepted is refused singly and isn't tried again before the
    /// feed says it again; a refusal never costs a claim that is in force.
    pub fn apply(&mut self, feed: FeedId, update: Update, now: Now) -> Applied {
        let mut applied = Applied::default();
        let mut dirty = self.begin(now);
        match update {
            Update::Snapshot(claims) => {
                let trust = Trust::Whole;
                self.take_snapshot(feed, claims, trust, now, &mut dirty, &mut applied);
            }
            Update::Resync(claims) => {
                let trust = Trust::UnlessShrunk;
                self.take_snapshot(feed, claims, trust, now, &mut dirty, &mut applied);
            }
            Update::Hold(prefixes) => {
                for prefix in prefixes {
                    self.hold(feed, prefix, &mut applied);
                }
            }
            Update::Delta(changes) => {
                self.take_delta(feed, changes, now, &mut dirty, &mut applied);
            }
        }
        applied.patch = self.settle(dirty);
        applied
    }

    /// Withdraws all that a feed says.
    pub fn drop_feed(&mut self, feed: FeedId, now: Now) -> Patch {
        self.apply(feed, Update::Snapshot(Vec::new()), now).patch
    }

    /// Lets the time pass: removes the claims that have ended, and gives all
    /// others their new ends if the wall clock was stepped. To be called at
    /// [`next_expiry`](Self::next_expiry) and when the clock was set.
    pub fn expire(&mut self, now: Now) -> Patch {
        let dirty = self.begin(now);
        self.settle(dirty)
    }

    /// Unix time in seconds at which the next claim ends.
    #[must_use]
    pub fn next_expiry(&self) -> Option<u32> {
        self.expiries.next()
    }

    /// The tables hold what the ledger says, nothing more and nothing else:
    /// every patch was carried out. To be called after each of them, with the
    /// seconds since boot; the numbers of claims that are gone begin to rest.
    pub fn in_force(&mut self, boot: u32) {
        self.store.records.in_force(boot);
    }

    /// Whether claims are gone whose numbers the tables may still hold.
    #[must_use]
    pub const fn awaits_force(&self) -> bool {
        self.store.records.quarantine().are_within()
    }

    /// Notes that every event sent before this second since boot was reported: no
    /// other will name the claims that were gone long before. Their numbers are
    /// free, and given to `freed`.
    pub fn told(&mut self, boot: u32, freed: impl FnMut(u32)) {
        self.store.records.told(boot, freed);
    }

    /// From which second since boot on [`told`](Self::told) frees numbers.
    #[must_use]
    pub fn next_free(&self) -> Option<u32> {
        self.store.records.quarantine().due()
    }

    /// Everything that is in force, as a patch to empty tables.
    #[must_use]
    pub fn table(&self) -> Patch {
        settle::table(&self.store, &self.rules, self.offset)
    }

    /// Begins a change: lets the time pass since the last one.
    fn begin(&mut self, now: Now) -> Dirty {
        let mut dirty = Dirty::new(self.store.nodes.len());
        let offset = -now.ahead();
        // The two clocks are read one after the other, and tick apart.
        if (offset - self.offset).abs() > JITTER {
            self.offset = offset;
            dirty.all();
        }
        let mut place = Place::default();
        for number in self.expiries.ended(now.unix, &self.store.records) {
            dirty.push(self.store.remove_near(&mut place, number));
        }
        dirty
    }

    fn settle(&mut self, dirty: Dirty) -> Patch {
        let patch = settle::settle(&mut self.store, dirty, &self.rules, self.offset);
        self.expiries.tidy(&self.store.records);
        patch
    }
}

/// By how many seconds the wall clock may be off the clock since boot before
/// every end is written again.
const JITTER: i64 = 1;

/// Whether a claim that ends at `expires` has ended.
const fn has_ended(expires: Option<u32>, now: Now) -> bool {
    matches!(expires, Some(expires) if expires <= now.unix)
}

/// A prefix's family as an index.
const fn index(prefix: &Prefix) -> usize {
    match prefix.family() {
        filter_common::source::Family::V4 => 0,
        filter_common::source::Family::V6 => 1,
    }
}
