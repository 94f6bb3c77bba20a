//! From a feed's update to changed claims.

use super::{
    Applied, FeedId, Ledger, Now, has_ended,
    nodes::Place,
    order::last_by_prefix,
    refusal::{Fault, too_wide},
    settle::Dirty,
    store::Adding,
};
use crate::{
    claim::{Change, Claim},
    prefix::Prefix,
};

impl Ledger {
    /// A feed's whole word: what isn't in it is withdrawn. That comes before
    /// anything is added, so that a table which is full of the old claims has
    /// room for the new.
    pub(super) fn take_snapshot(
        &mut self,
        feed: FeedId,
        claims: Vec<Claim>,
        trust: Trust,
        now: Now,
        dirty: &mut Dirty,
        applied: &mut Applied,
    ) {
        let counts = self.store.counts_of(feed);
        let standing = counts.claims() - counts.held;
        let most = claims.len();
        let claims = last_by_prefix(claims, |claim| claim.prefix, hollowed);
        let mut claims = claims.filter(|claim| !has_ended(claim.expires, now));
        let mut place = Place::default();
        let mut kept = vec![false; self.store.records.numbers()];
        // Where there is nothing to find, as at the start, they needn't wait.
        let may_find = counts.claims() > 0;
        let mut fresh = Vec::with_capacity(if may_find { most } else { 0 });
        while may_find && let Some(claim) = claims.next() {
            if let Some(number) = self.store.find(&mut place, feed, &claim.prefix) {
                kept[number as usize] = true;
                self.revise(number, claim, dirty, applied);
            } else {
                fresh.push(claim);
            }
        }
        let numbers = self.store.numbers_of(feed);
        let left_out = |number: &u32| !kept[*number as usize];
        let hold = trust == Trust::UnlessShrunk && {
            let missing = numbers.iter().filter(|number| left_out(number));
            let missing = missing.filter(|number| !self.store.is_held(**number));
            missing.count() * 2 > standing as usize
        };
        for number in numbers.into_iter().filter(left_out) {
            if hold || (self.store.is_held(number) && trust == Trust::UnlessShrunk) {
                self.store.hold(number, true);
                applied.held += 1;
            } else {
                dirty.push(self.store.remove_near(&mut place, number));
                applied.withdrawn += 1;
            }
        }
        let mut adding = Adding::default();
        for claim in fresh.into_iter().chain(claims) {
            self.add(&mut adding, feed, claim, dirty, applied);
        }
        self.store.added(adding);
    }

    /// A feed's changes. Of several on one prefix the last counts; and here too
    /// room is made before it is needed.
    pub(super) fn take_delta(
        &mut self,
        feed: FeedId,
        changes: Vec<Change>,
        now: Now,
        dirty: &mut Dirty,
        applied: &mut Applied,
    ) {
        let mut claims = Vec::with_capacity(changes.len());
        let changes = last_by_prefix(changes, about, |change| {
            let hollow = Change::Withdraw(about(change));
            std::mem::replace(change, hollow)
        });
        let mut place = Place::default();
        for change in changes {
            let prefix = about(&change);
            match change {
                Change::Claim(claim) if !has_ended(claim.expires, now) => claims.push(claim),
                _ => {
                    if let Some(number) = self.store.find(&mut place, feed, &prefix) {
                        dirty.push(self.store.remove_near(&mut place, number));
                        applied.withdrawn += 1;
                    }
                }
            }
        }
        let mut adding = Adding::default();
        for claim in claims {
            if let Some(number) = self.store.find(&mut adding.place, feed, &claim.prefix) {
                self.revise(number, claim, dirty, applied);
            } else {
                self.add(&mut adding, feed, claim, dirty, applied);
            }
        }
        self.store.added(adding);
    }

    /// A feed has left the prefix out, and isn't believed.
    pub(super) fn hold(&mut self, feed: FeedId, prefix: Prefix, applied: &mut Applied) {
        if let Some(number) = self.store.find(&mut Place::default(), feed, &prefix) {
            self.store.hold(number, true);
            applied.held += 1;
        }
    }

    /// Other words of a claim that is there. Only its verdict and its end matter
    /// to the tables.
    fn revise(&mut self, number: u32, claim: Claim, dirty: &mut Dirty, applied: &mut Applied) {
        self.store.hold(number, false);
        let before = self.store.records.at(number);
        if before.says(&claim) {
            return;
        }
        applied.changed += 1;
        let (verdict, expires) = (before.verdict, before.expires);
        self.store.revise(number, claim);
        let after = self.store.records.at(number);
        if expires != after.expires {
            self.expiries.push(after.expires, number);
        }
        if (verdict, expires) != (after.verdict, after.expires) {
            dirty.push(after.prefix);
        }
    }

    /// Why no claim of this feed on this prefix is taken, however much room there is.
    #[must_use]
    pub fn fault(&self, feed: FeedId, prefix: &Prefix) -> Option<Fault> {
        if self.rules.feed(feed).is_none() {
            Some(Fault::NoFeed(feed))
        } else if let Some(protected) = self.store.protection(prefix) {
            Some(Fault::Protected(protected))
        } else {
            too_wide(prefix)
        }
    }

    /// A claim that isn't there yet, if it may be.
    fn add(
        &mut self,
        adding: &mut Adding,
        feed: FeedId,
        claim: Claim,
        dirty: &mut Dirty,
        applied: &mut Applied,
    ) {
        let prefix = claim.prefix;
        match self
            .fault(feed, &prefix)
            .map_or_else(|| self.store.add(adding, feed, claim), Err)
        {
            Ok(number) => {
                let expires = self.store.records.at(number).expires;
                self.expiries.push(expires, number);
                applied.added += 1;
                dirty.push(prefix);
            }
            Err(fault) => applied.refused.push(prefix, fault),
        }
    }
}

/// Whether what a whole word leaves out is withdrawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Always.
    Whole,
    /// Unless that is more than half of what stands.
    UnlessShrunk,
}

/// The claim, of which what can't be copied is taken.
const fn hollowed(claim: &mut Claim) -> Claim {
    Claim {
        reason: claim.reason.take(),
        id: claim.id.take(),
        ..*claim
    }
}

/// Whom a change is about.
const fn about(change: &Change) -> Prefix {
    match change {
        Change::Claim(claim) => claim.prefix,
        Change::Withdraw(prefix) => *prefix,
    }
}
