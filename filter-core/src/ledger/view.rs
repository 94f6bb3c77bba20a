//! Queries to the ledger: who claims what, and how much of it.

use std::ops::Bound;

use filter_common::{source::Address, source::Family, verdict::NEVER};

use super::{FeedId, Ledger, counts::Counts, records::Record};
use crate::{claim::Verdict, prefix::Prefix};

/// A claim, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The number by which entries and events name it.
    pub number: u32,
    /// Whose it is.
    pub feed: FeedId,
    /// Whom it is about.
    pub prefix: Prefix,
    /// The verdict that it asks for.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<&'a str>,
    /// How often it was seen.
    pub evidence: u32,
    /// Unix time in seconds at which it ends; `None`: when it is withdrawn.
    pub expires: Option<u32>,
    /// The feed's own label.
    pub id: Option<&'a str>,
    /// The feed is in observe: it isn't enforced.
    pub shadow: bool,
    /// The feed's whole word left it out, and wasn't believed.
    pub held: bool,
}

impl Ledger {
    /// All claims that cover an address, the strongest first. Where
    /// [`protection`](Self::protection) covers it too, that is stronger still.
    #[must_use]
    pub fn covering(&self, address: Address) -> Vec<View<'_>> {
        let mut claims: Vec<_> = self
            .store
            .covering(Prefix::of(address))
            .flat_map(|(_prefix, node)| self.store.records.chain(node.first))
            .collect();
        claims.sort_by_key(|(_number, record)| self.rules.strength(record));
        claims
            .into_iter()
            .map(|(number, record)| self.view(number, record))
            .collect()
    }

    /// The claims that hold on a whole prefix: what is enforced, and what would
    /// be if the feeds in observe counted. What is narrower may say otherwise.
    #[must_use]
    pub fn holders(&self, prefix: &Prefix) -> (Option<View<'_>>, Option<View<'_>>) {
        let claims = self.covering(prefix.address());
        let mut claims = claims.into_iter().filter(|one| one.prefix.covers(prefix));
        match claims.next() {
            Some(first) if first.shadow => (claims.find(|one| !one.shadow), Some(first)),
            first => (first, first),
        }
    }

    /// The protected prefix that covers an address.
    #[must_use]
    pub fn protection(&self, address: Address) -> Option<Prefix> {
        self.store.protection(&Prefix::of(address))
    }

    /// Claims in the order of their prefixes: of one feed or of all, inside one
    /// prefix or everywhere, all or those that follow a prefix.
    pub fn claims(
        &self,
        feed: Option<FeedId>,
        inside: Option<Prefix>,
        after: Option<Prefix>,
    ) -> impl Iterator<Item = View<'_>> {
        let from = match (after, inside) {
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(prefix)) => Bound::Included(prefix),
            (None, None) => Bound::Unbounded,
        };
        let to = inside.map_or(Bound::Unbounded, |prefix| Bound::Included(prefix.last()));
        self.store
            .nodes
            .range((from, to))
            .flat_map(|(_prefix, node)| self.store.records.chain(node.first))
            .filter(move |(_number, record)| feed.is_none_or(|feed| record.feed == feed))
            .map(|(number, record)| self.view(number, record))
    }

    /// The claim with a number.
    #[must_use]
    pub fn claim(&self, number: u32) -> Option<View<'_>> {
        let record = self.store.records.get(number)?;
        Some(self.view(number, record))
    }

    /// The claim that an event names: it may be gone by now.
    #[must_use]
    pub fn judged(&self, number: u32) -> Option<View<'_>> {
        let record = self.store.records.last(number)?;
        self.rules.feed(record.feed)?;
        Some(self.view(number, record))
    }

    /// How many claims there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for feed in 0..self.rules.feeds.len() as FeedId {
            sum += self.counts_of(feed);
        }
        sum
    }

    /// How many claims the feeds have that are enforced, or those in observe.
    #[must_use]
    pub fn counts_in(&self, shadow: bool) -> Counts {
        let mut sum = Counts::default();
        for feed in 0..self.rules.feeds.len() as FeedId {
            if self
                .rules
                .feed(feed)
                .is_some_and(|rules| rules.shadow == shadow)
            {
                sum += self.counts_of(feed);
            }
        }
        sum
    }

    /// How many claims a feed has.
    #[must_use]
    pub fn counts_of(&self, feed: FeedId) -> Counts {
        self.store.counts_of(feed)
    }

    /// How many prefixes of a family the tables hold, protected ones included.
    #[must_use]
    pub const fn keys(&self, family: Family) -> u32 {
        self.store.keys(family)
    }

    fn view<'a>(&'a self, number: u32, record: &'a Record) -> View<'a> {
        View {
            number,
            feed: record.feed,
            prefix: record.prefix,
            verdict: record.verdict,
            reason: record.reason.as_deref(),
            evidence: record.evidence,
            expires: (record.expires != NEVER).then_some(record.expires),
            id: record.id.as_deref(),
            shadow: self.rules.of(record).shadow,
            held: self.store.is_held(number),
        }
    }
}
