//! Resolution: the verdict on a prefix, now and after each expiry.
//!
//! All claims that cover the prefix are sorted, the strongest first. The
//! strongest holds until it ends; then the strongest of those that end later,
//! and so on: a staircase of ends. Whatever the time, the first stage that
//! hasn't ended is the strongest claim that hasn't.

use std::cmp::Reverse;

use filter_common::verdict::{NEVER, SHADOW_STAGES, STAGES, Stage, Verdict as Settled};

use super::{
    FeedId, OPERATOR,
    records::{Record, Records},
};
use crate::{claim::Verdict, prefix::Prefix};

/// The properties of a feed that precedence depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedRules {
    /// Lower is stronger; the operator's is 0.
    pub rank: u32,
    /// The feed is in observe: what it says isn't enforced.
    pub shadow: bool,
}

/// The rules by which the ledger settles claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Every feed at its number, the operator first; `None`: gone.
    pub feeds: Vec<Option<FeedRules>>,
    /// Prefixes that no claim may touch.
    pub protected: Vec<Prefix>,
    /// How strict each tier is, by its number: more is stricter, and a tier
    /// that isn't named is 0.
    pub strictness: Vec<u32>,
}

impl Rules {
    /// The rules of a feed.
    pub(super) fn feed(&self, feed: FeedId) -> Option<FeedRules> {
        self.feeds.get(usize::from(feed)).copied().flatten()
    }

    /// The rules of a feed that has claims.
    pub(super) fn of(&self, record: &Record) -> FeedRules {
        self.feed(record.feed)
            .expect("the claims of a feed that is gone were withdrawn")
    }

    /// The strength of a claim among those that cover the same address: the
    /// least is the strongest, and no two are equal.
    pub(super) fn strength(&self, record: &Record) -> impl Ord + use<> {
        let severity = match record.verdict {
            Verdict::Allow => (0, 0),
            Verdict::Limit(tier) => {
                let strictness = self.strictness.get(usize::from(tier));
                (1, strictness.copied().unwrap_or_default())
            }
            Verdict::Block => (2, 0),
        };
        (
            self.of(record).rank,
            Reverse(record.prefix.length()),
            Reverse(severity),
            record.feed,
        )
    }
}

/// Settles entries, one after the other; keeps its lists between them.
pub(super) struct Resolver<'a> {
    rules: &'a Rules,
    records: &'a Records,
    /// Seconds since boot less Unix seconds.
    offset: i64,
    covering: Vec<(u32, &'a Record)>,
    enforced: Vec<Stage>,
    together: Vec<Stage>,
}

impl<'a> Resolver<'a> {
    pub(super) const fn new(rules: &'a Rules, records: &'a Records, offset: i64) -> Self {
        Self {
            rules,
            records,
            offset,
            covering: Vec::new(),
            enforced: Vec::new(),
            together: Vec::new(),
        }
    }

    /// The enforced stages, and the shadow, where these chains of claims cover.
    pub(super) fn resolve(&mut self, chains: impl Iterator<Item = u32>) -> (&[Stage], &[Stage]) {
        self.covering.clear();
        for first in chains {
            self.covering.extend(self.records.chain(first));
        }
        let rules = self.rules;
        if let [(number, record)] = self.covering[..]
            && !rules.of(record).shadow
        {
            // What most prefixes have: one claim.
            let stage = Stage::new(settled(record), number, until(record.expires, self.offset));
            self.enforced.clear();
            self.enforced.push(stage);
            return (&self.enforced, &[]);
        }
        if self.covering.len() > 1 {
            self.covering
                .sort_unstable_by_key(|(_number, record)| rules.strength(record));
        }
        let shadow = |record: &Record| rules.of(record).shadow;
        let enforced = self
            .covering
            .iter()
            .filter(|(_number, record)| !shadow(record));
        stairs(enforced, self.offset, &mut self.enforced);
        self.together.clear();
        if self.covering.iter().any(|(_number, record)| shadow(record)) {
            stairs(self.covering.iter(), self.offset, &mut self.together);
            if self.together == self.enforced {
                self.together.clear();
            }
        }
        shorten(&mut self.enforced, STAGES);
        shorten(&mut self.together, SHADOW_STAGES);
        (&self.enforced, &self.together)
    }
}

/// The entry of a protected prefix.
pub(super) const PROTECTED: [Stage; 1] = [Stage::new(Settled::PROTECT, 0, NEVER)];

/// The timeline of claims that are sorted by their strength.
fn stairs<'a>(
    claims: impl Iterator<Item = &'a (u32, &'a Record)>,
    offset: i64,
    stages: &mut Vec<Stage>,
) {
    stages.clear();
    let mut end = 0;
    for (number, record) in claims {
        if record.expires > end {
            end = record.expires;
            stages.push(Stage::new(settled(record), *number, until(end, offset)));
        }
    }
}

/// Cuts a timeline to what an entry holds: its last stage becomes the one that
/// ends last. Only a daemon that is dead when the stage before it ends can make
/// a difference of it; a living one writes the entry anew at each expiry.
fn shorten(stages: &mut Vec<Stage>, most: usize) {
    if stages.len() > most {
        let last = stages.len() - 1;
        stages.swap(most - 1, last);
        stages.truncate(most);
    }
}

const fn settled(record: &Record) -> Settled {
    match record.verdict {
        Verdict::Block => Settled::BLOCK,
        Verdict::Limit(tier) => Settled::limit(tier),
        Verdict::Allow if record.feed == OPERATOR => Settled::ALLOW,
        Verdict::Allow => Settled::ADMIT,
    }
}

/// An end in seconds since boot.
fn until(expires: u32, offset: i64) -> u32 {
    if expires == NEVER {
        return NEVER;
    }
    (i64::from(expires) + offset).clamp(1, i64::from(NEVER) - 1) as u32
}
