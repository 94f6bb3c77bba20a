//! The claims by their numbers.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use filter_common::verdict::{MAX_CLAIM, NEVER};

use super::FeedId;
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
#[derive(Debug)]
pub(super) struct Records {
    slots: Vec<Option<Record>>,
    /// Numbers that are free again, the one that is free longest first.
    free: VecDeque<u32>,
    /// What was last at the numbers that rest: an event may still name it.
    resting: HashMap<u32, Record>,
    expiring: usize,
}

impl Records {
    pub(super) fn get(&self, number: u32) -> Option<&Record> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// The record at a number, or what was last there while the number rests.
    pub(super) fn last(&self, number: u32) -> Option<&Record> {
        self.get(number).or_else(|| self.resting.get(&number))
    }

    /// A record that a node or another record names.
    pub(super) fn at(&self, number: u32) -> &Record {
        self.get(number)
            .expect("a number that is in use has a record")
    }

    pub(super) fn at_mut(&mut self, number: u32) -> &mut Record {
        self.slots
            .get_mut(number as usize)
            .and_then(Option::as_mut)
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
        (0..)
            .zip(&self.slots)
            .filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }

    /// How many of them expire.
    pub(super) const fn expiring(&self) -> usize {
        self.expiring
    }

    /// One more than the highest number that was ever in use.
    pub(super) const fn numbers(&self) -> usize {
        self.slots.len()
    }

    /// Whether every number is in use.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() > MAX_CLAIM as usize && self.free.is_empty()
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        self.expiring += usize::from(record.expires != NEVER);
        let fresh = self.slots.len() <= MAX_CLAIM as usize;
        if (self.free.len() > RESTING || !fresh)
            && let Some(number) = self.free.pop_front()
        {
            self.resting.remove(&number);
            self.slots[number as usize] = Some(record);
            return number;
        }
        assert!(fresh, "whoever inserts has asked whether there is a number");
        self.slots.push(Some(record));
        self.slots.len() as u32 - 1
    }

    pub(super) fn remove(&mut self, number: u32) -> Record {
        let record = self.slots[number as usize]
            .take()
            .expect("a number that is in use has a record");
        self.expiring -= usize::from(record.expires != NEVER);
        self.free.push_back(number);
        self.resting.insert(number, record.clone());
        if let Some(rested) = self.free.len().checked_sub(RESTING + 1) {
            self.resting.remove(&self.free[rested]);
        }
        record
    }

    /// Replaces what a claim says; its number and its place stay.
    pub(super) fn revise(&mut self, number: u32, claim: Claim) {
        let record = self.at_mut(number);
        let before = usize::from(record.expires != NEVER);
        *record = Record::new(record.feed, claim, record.next);
        let after = usize::from(record.expires != NEVER);
        self.expiring = self.expiring + after - before;
    }
}

impl Default for Records {
    fn default() -> Self {
        Self {
            slots: vec![None],
            free: VecDeque::new(),
            resting: HashMap::new(),
            expiring: 0,
        }
    }
}

/// So many free numbers rest before the first is used again, and so long what was
/// there is known: an event that is still on its way names the claim that judged,
/// not its successor, and not nobody.
pub(super) const RESTING: usize = 1 << 14;

// A number costs a slot, whether it is in use or not.
const _: () = assert!(size_of::<Option<Record>>() <= 72);
