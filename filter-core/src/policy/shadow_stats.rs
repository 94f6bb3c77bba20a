//! Statistics of the shadow: what steps hit, and how much of it was genuine, a false-positive rate that is
//! measured before anyone enforces.
//!
//! Hour by hour, for a day. A source counts once an hour for each step and reason,
//! and counts as attested if it was so in that hour, before or after.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
};

use super::{
    clock::HOUR,
    keyed::{Keyed, keyed},
    rules::{Mode, Then},
};

/// The hits of one step for one reason within the last day.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The rule's name.
    pub rule: String,
    /// Which of its steps, from 0.
    pub step: usize,
    /// The step's effect.
    pub then: Then,
    /// The reason that led to it.
    pub reason: Arc<str>,
    /// Whether it was carried out.
    pub mode: Mode,
    /// Its hits.
    pub hits: Hits,
}

/// Sources and calls that were hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Sources, each once an hour.
    pub sources: u64,
    /// Those of them that were attested in the same hour.
    pub attested_sources: u64,
    /// Those of them that their genuine devices spared the step: they came to a
    /// milder one.
    pub spared_sources: u64,
    /// Calls that came while the step held. What a block keeps out doesn't come,
    /// so that in enforce only its first calls are known.
    pub calls: u64,
    /// Those of them that were attested.
    pub attested_calls: u64,
}

/// A step, and the reason that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) step: (u8, u8),
    pub(super) reason: u8,
}

/// The hours, for causes of one kind.
#[derive(Debug)]
pub(super) struct ShadowStats<C = Cause> {
    hour: u32,
    /// The sources hit in this hour, by which steps, and whether each was attested.
    sources: Keyed<(Vec<C>, bool)>,
    most: usize,
    now: HashMap<C, Hits>,
    past: VecDeque<HashMap<C, Hits>>,
}

impl<C: Copy + Eq + Hash> ShadowStats<C> {
    pub(super) fn new(most: usize, seed: u64, now: u32) -> Self {
        Self {
            hour: now / HOUR,
            sources: keyed(seed),
            most,
            now: HashMap::new(),
            past: VecDeque::new(),
        }
    }

    pub(super) fn advance(&mut self, now: u32) {
        let hour = now / HOUR;
        if hour == self.hour {
            return;
        }
        for _ in 0..(hour - self.hour).min(HOURS as u32) {
            self.past.push_front(std::mem::take(&mut self.now));
        }
        self.past.truncate(HOURS - 1);
        self.hour = hour;
        self.sources.clear();
    }

    /// A call of a source that a step holds, or the one that led to it.
    pub(super) fn hit(&mut self, source: u64, cause: C, calls: u32, what: Hit) {
        if self.sources.len() >= self.most && !self.sources.contains_key(&source) {
            return;
        }
        let hits = self.now.entry(cause).or_default();
        let (causes, attested) = self.sources.entry(source).or_default();
        *attested |= what.lately;
        if !causes.contains(&cause) {
            causes.push(cause);
            hits.sources += 1;
            hits.attested_sources += u64::from(*attested);
            hits.spared_sources += u64::from(what.spared);
        }
        hits.calls += u64::from(calls);
        hits.attested_calls += if what.attested { u64::from(calls) } else { 0 };
    }

    /// A source was attested.
    pub(super) fn attest(&mut self, source: u64) {
        if let Some((causes, attested @ false)) = self.sources.get_mut(&source) {
            *attested = true;
            for cause in causes {
                self.now.entry(*cause).or_default().attested_sources += 1;
            }
        }
    }

    /// The hits of the last day.
    pub(super) fn hits(&self) -> HashMap<C, Hits> {
        let mut sums: HashMap<C, Hits> = HashMap::new();
        for (cause, hits) in self.past.iter().chain([&self.now]).flatten() {
            let sum = sums.entry(*cause).or_default();
            sum.sources += hits.sources;
            sum.attested_sources += hits.attested_sources;
            sum.spared_sources += hits.spared_sources;
            sum.calls += hits.calls;
            sum.attested_calls += hits.attested_calls;
        }
        sums
    }

    pub(super) fn clear(&mut self) {
        self.sources.clear();
        self.now.clear();
        self.past.clear();
    }
}

/// A call that a step hits, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Its source was attested in this hour already.
    pub(super) lately: bool,
    /// It is attested itself.
    pub(super) attested: bool,
    /// The source came to a milder step.
    pub(super) spared: bool,
}

/// Hours that are kept.
const HOURS: usize = 24;
