//! From a feed's update to changed claims.

use super::{
    Applied, FeedId, Ledger, Now, has_ended,
    refusal::{Fault, too_wide},
    settle::Dirty,
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
        mut claims: Vec<Claim>,
        trust: Trust,
        now: Now,
        dirty: &mut Dirty,
        applied: &mut Applied,
    ) {
        let counts = self.store.counts_of(feed);
        let standing = counts.claims() - counts.held;
        // Stable: of two claims on one prefix the later counts.
        claims.sort_by_key(|claim| claim.prefix);
        let mut claims = claims.into_iter().peekable();
        let mut kept = vec![false; self.store.records.numbers()];
        let mut fresh = Vec::new();
        while let Some(claim) = claims.next() {
            let prefix = claim.prefix;
            if claims.peek().is_some_and(|next| next.prefix == prefix)
                || has_ended(claim.expires, now)
            {
                continue;
            }
            if let Some(number) = self.store.find(feed, &prefix) {
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
                dirty.push(self.store.remove(number));
                applied.withdrawn += 1;
            }
        }
        for claim in fresh {
            self.add(feed, claim, dirty, applied);
        }
    }

    /// A feed's changes. Of several on one prefix the last counts; and here too
    /// room is made before it is needed.
    pub(super) fn take_delta(
        &mut self,
        feed: FeedId,
        mut changes: Vec<Change>,
        now: Now,
        dirty: &mut Dirty,
        applied: &mut Applied,
    ) {
        changes.sort_by_key(about);
        let mut changes = changes.into_iter().peekable();
        let mut claims = Vec::new();
        while let Some(change) = changes.next() {
            let prefix = about(&change);
            if changes.peek().is_some_and(|next| about(next) == prefix) {
                continue;
            }
            match change {
                Change::Claim(claim) if !has_ended(claim.expires, now) => claims.push(claim),
                _ => self.withdraw(feed, prefix, dirty, applied),
            }
        }
        for claim in claims {
            self.take(feed, claim, dirty, applied);
        }
    }

    /// A feed has left the prefix out, and isn't believed.
    pub(super) fn hold(&mut self, feed: FeedId, prefix: Prefix, applied: &mut Applied) {
        if let Some(number) = self.store.find(feed, &prefix) {
            self.store.hold(number, true);
            applied.held += 1;
        }
    }

    /// A feed's claim, whatever it said of the prefix before.
    fn take(&mut self, feed: FeedId, claim: Claim, dirty: &mut Dirty, applied: &mut Applied) {
        if let Some(number) = self.store.find(feed, &claim.prefix) {
            self.revise(number, claim, dirty, applied);
        } else {
            self.add(feed, claim, dirty, applied);
        }
    }

    /// A feed says nothing of the prefix any more.
    fn withdraw(&mut self, feed: FeedId, prefix: Prefix, dirty: &mut Dirty, applied: &mut Applied) {
        if let Some(number) = self.store.find(feed, &prefix) {
            dirty.push(self.store.remove(number));
            applied.withdrawn += 1;
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

    /// A claim that isn't there yet, if it may be.
    fn add(&mut self, feed: FeedId, claim: Claim, dirty: &mut Dirty, applied: &mut Applied) {
        let prefix = claim.prefix;
        let fault = if self.rules.feed(feed).is_none() {
            Some(Fault::NoFeed(feed))
        } else if let Some(protected) = self.store.protection(&prefix) {
            Some(Fault::Protected(protected))
        } else {
            too_wide(&prefix)
        };
        match fault.map_or_else(|| self.store.add(feed, claim), Err) {
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

/// Whom a change is about.
const fn about(change: &Change) -> Prefix {
    match change {
        Change::Claim(claim) => claim.prefix,
        Change::Withdraw(prefix) => *prefix,
    }
}
