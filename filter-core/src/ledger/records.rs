//! The claims by their numbers.

use std::{collections::BTreeSet, sync::Arc};

use filter_common::verdict::{MAX_CLAIM, NEVER};

use super::{
    FeedId,
    page::{PAGE, Page},
    quarantine::Quarantine,
    refusal::Fault,
};
use crate::{
    claim::{Claim, Verdict},
    prefix::Prefix,
};

/// A claim as it is kept: a million of them should be small.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) prefix: Prefix,
    pub(super) reason: Option<Arc<str>>,
    pub(super) id: Option<Box<str>>,
    pub(super) evidence: u32,
    /// Unix seconds, or [`NEVER`].
    pub(super) expires: u32,
    /// The next claim on the same prefix; 0: none.
    pub(super) next: u32,
    pub(super) feed: FeedId,
    pub(super) verdict: Verdict,
}

impl Record {
    pub(super) fn new(feed: FeedId, claim: Claim, next: u32) -> Self {
        Self {
            prefix: claim.prefix,
            reason: claim.reason,
            id: claim.id,
            evidence: claim.evidence,
            expires: claim.expires.unwrap_or(NEVER),
            next,
            feed,
            verdict: claim.verdict,
        }
    }

    /// Whether the claim is gone, and only its number isn't free yet.
    const fn is_quarantined(&self) -> bool {
        self.next == QUARANTINED
    }

    /// Whether the claim says nothing new.
    pub(super) fn says(&self, claim: &Claim) -> bool {
        self.verdict == claim.verdict
            && self.expires == claim.expires.unwrap_or(NEVER)
            && self.evidence == claim.evidence
            && self.reason == claim.reason
            && self.id == claim.id
    }
}

/// The records, each at its number. Number 0 is nobody's.
///
/// The record of a claim that is gone stays at its number while that rests, so
/// that an event which is still on its way names the claim that judged, and not
/// its successor, and not nobody. See `ledger/quarantine.rs`.
#[derive(Debug)]
pub(super) struct Records {
    pages: Vec<Page>,
    /// The pages that have room, so that the lowest fill first and the others
    /// can be given back.
    open: BTreeSet<usize>,
    /// So many pages there may be.
    most: usize,
    quarantine: Quarantine,
    expiring: usize,
}

/// A claim that was removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    pub(super) prefix: Prefix,
    pub(super) feed: FeedId,
    pub(super) verdict: Verdict,
    /// The next claim on the same prefix; 0: none.
    pub(super) next: u32,
}

impl Records {
    pub(super) fn get(&self, number: u32) -> Option<&Record> {
        self.last(number).filter(|record| !record.is_quarantined())
    }

    /// The record at a number, or what was last there while the number rests.
    pub(super) fn last(&self, number: u32) -> Option<&Record> {
        let (page, place) = at(number);
        self.pages.get(page)?.get(place)
    }

    /// A record that a node or another record names.
    pub(super) fn at(&self, number: u32) -> &Record {
        self.get(number)
            .expect("a number that is in use has a record")
    }

    pub(super) fn at_mut(&mut self, number: u32) -> &mut Record {
        let (page, place) = at(number);
        self.pages
            .get_mut(page)
            .and_then(|page| page.get_mut(place))
            .filter(|record| !record.is_quarantined())
            .expect("a number that is in use has a record")
    }

    /// The claims on one prefix, from the first.
    pub(super) fn chain(&self, first: u32) -> impl Iterator<Item = (u32, &Record)> {
        let mut number = first;
        std::iter::from_fn(move || {
            let record = self.get(number)?;
            Some((std::mem::replace(&mut number, record.next), record))
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        let pages = (0..).step_by(PAGE).zip(&self.pages);
        pages
            .flat_map(|(first, page)| page.iter().map(move |(place, one)| (first + place, one)))
            .filter(|(_number, record)| !record.is_quarantined())
    }

    /// How many of them expire.
    pub(super) const fn expiring(&self) -> usize {
        self.expiring
    }

    /// More than the highest number that is in use.
    pub(super) const fn numbers(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Why there is no number for one claim more, if there is none.
    pub(super) fn full(&self) -> Option<Fault> {
        if !self.open.is_empty() || self.pages.len() < self.most {
            return None;
        }
        Some(if self.quarantine.is_empty() {
            Fault::NoNumber
        } else {
            Fault::NumbersQuarantined
        })
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        self.expiring += usize::from(record.expires != NEVER);
        let page = self.open.first().copied().unwrap_or_else(|| {
            assert!(
                self.pages.len() < self.most,
                "whoever inserts has asked whether there is a number"
            );
            self.pages.push(Page::default());
            self.open.insert(self.pages.len() - 1);
            self.pages.len() - 1
        });
        let place = self.pages[page].insert(record, page == 0);
        if !self.pages[page].has_room() {
            self.open.remove(&page);
        }
        (page * PAGE) as u32 + place
    }

    /// Removes a claim; its number rests from now on.
    pub(super) fn remove(&mut self, number: u32) -> Removed {
        let record = self.at_mut(number);
        let removed = Removed {
            prefix: record.prefix,
            feed: record.feed,
            verdict: record.verdict,
            next: std::mem::replace(&mut record.next, QUARANTINED),
        };
        let expires = record.expires != NEVER;
        self.expiring -= usize::from(expires);
        self.quarantine.push(number);
        removed
    }

    /// The numbers in quarantine.
    pub(super) const fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Notes that the tables hold none of the numbers in quarantine any more, as of this
    /// second since boot.
    pub(super) fn in_force(&mut self, boot: u32) {
        self.quarantine.in_force(boot);
    }

    /// Notes that every event sent before this second since boot was reported: what
    /// has rested enough is free, and given to `freed`.
    pub(super) fn told(&mut self, boot: u32, mut freed: impl FnMut(u32)) {
        for number in self.quarantine.told(boot) {
            freed(number);
            let (page, place) = at(number);
            self.pages[page].free(place, page == 0);
            self.open.insert(page);
        }
        self.quarantine.tidy();
    }

    /// Replaces what a claim says; its number and its place stay.
    pub(super) fn revise(&mut self, number: u32, claim: Claim) {
        let record = self.at_mut(number);
        let before = usize::from(record.expires != NEVER);
        *record = Record::new(record.feed, claim, record.next);
        let after = usize::from(record.expires != NEVER);
        self.expiring = self.expiring + after - before;
    }

    #[cfg(test)]
    pub(super) fn pages_in_memory(&self) -> usize {
        self.pages.iter().filter(|page| page.takes_memory()).count()
    }

    /// Fewer numbers than there are, to see what happens when they run out.
    #[cfg(test)]
    pub(super) const fn bound(&mut self, pages: usize) {
        self.most = pages;
    }
}

impl Default for Records {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            open: BTreeSet::new(),
            most: (MAX_CLAIM as usize + 1) / PAGE,
            quarantine: Quarantine::default(),
            expiring: 0,
        }
    }
}

/// The page of a number, and its place there.
const fn at(number: u32) -> (usize, usize) {
    (number as usize / PAGE, number as usize % PAGE)
}

/// [`Record::next`] of a claim that is gone: no number is as high.
const QUARANTINED: u32 = u32::MAX;

// A number costs a slot, whether it is in use or rests.
const _: () = assert!(size_of::<Option<Record>>() <= 72);
