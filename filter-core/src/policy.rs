//! The policy: from observations to verdicts.
//!
//! Observations go in, changes of two feeds come out, in the same call: one feed
//! that holds, and one that is only counted. What follows from what is on the page
//! `docs/policy.md`, and why in docs/decisions/0017-policy.md. Pure: no I/O, no
//! clock, and the seed of every hash is an argument.
//!
//! Of each source a record is kept, of each device and token where it
//! was seen; the verdicts in force and who was
//! blocked before are kept apart, so that what the records forget
//! is never something that holds. The breaker stops all of it when it
//! isn't the callers who fail.

mod active;
mod breaker;
mod clock;
mod device_sources;
mod hyperloglog;
mod judge;
mod kept;
mod keyed;
mod recidivism;
mod record;
mod rules;
mod shadow_stats;
mod source;
mod table;
mod truth;

#[cfg(test)]
mod forgive;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

pub use self::{
    breaker::{Alarm, Why},
    kept::{NotASnapshot, Restored},
    rules::{LEAST, MAX_RULES, Mode, Rule, Rules, Step, Then, Tiers},
    shadow_stats::{Hits, Row},
    truth::{Found, Truth, Would},
};

use std::sync::Arc;

pub use crate::clock::Now;
use crate::{
    claim::{Change, Claim, Verdict},
    observation::Observation,
    prefix::Prefix,
};
use active::Kind;
use judge::Judge;
use record::Record;
use table::Table;

/// The policy, and all that it remembers.
#[derive(Debug)]
pub struct Policy {
    sources: Table<Record>,
    judge: Judge,
    /// Observations that say nothing of one source.
    ignored: u64,
}

/// Changes of the two feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of the feed that holds.
    pub enforced: Vec<Change>,
    /// Of the feed that is only counted.
    pub shadow: Vec<Change>,
}

/// What was forgiven a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgiven {
    /// The source, an IPv4 /32 or an IPv6 /64; `None`: what was named is none, and
    /// nothing was done.
    pub source: Option<Prefix>,
    /// The verdicts that were withdrawn.
    pub lifted: Vec<Lifted>,
}

/// A verdict that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// Whether it was enforced or only counted.
    pub mode: Mode,
    /// What it asked for.
    pub verdict: Verdict,
    /// Why.
    pub reason: Arc<str>,
}

/// Everything that the two feeds say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Of the feed that holds.
    pub enforced: Vec<Claim>,
    /// Of the feed that is only counted.
    pub shadow: Vec<Claim>,
}

/// Numbers to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Sources that are remembered.
    pub sources: usize,
    /// Sources that were forgotten to make room.
    pub forgotten: u64,
    /// Observations that say nothing of one source, and were left aside.
    pub ignored: u64,
    /// Sources that are raised, enforced and in shadow.
    pub raised: [u64; 2],
    /// Sources that are held to a tier, enforced and in shadow.
    pub limited: [u64; 2],
    /// Sources that are blocked, enforced and in shadow.
    pub blocked: [u64; 2],
}

impl Policy {
    /// A policy that has seen nothing. `seed` is what its hashes are mixed with:
    /// callers must not know it.
    #[must_use]
    pub fn new(rules: Rules, seed: u64, now: Now) -> Self {
        Self {
            sources: Table::new(rules.sources, seed),
            judge: Judge::new(rules, seed, now),
            ignored: 0,
        }
    }

    /// Takes other rules, as after a reload. Verdicts of steps that are no more,
    /// or that are now in another mode, are withdrawn; how much is remembered
    /// stays as it was.
    pub fn configure(&mut self, rules: Rules, now: Now) -> Changes {
        let mut changes = Changes::default();
        self.judge.configure(rules, now, &mut changes);
        changes
    }

    /// Takes what was seen of a call, and gives back what follows.
    pub fn observe(&mut self, seen: &Observation, now: Now) -> Changes {
        let mut changes = Changes::default();
        let Some(source) = source::key(&seen.source) else {
            self.ignored += 1;
            return changes;
        };
        let at = self.judge.advance(now, &mut changes);
        let judge = &mut self.judge;
        let fresh = || Record::new(source, at);
        let record = self
            .sources
            .entry(source, fresh, |record| judge.speaks_of(record));
        judge.observe(record, source, seen, now, &mut changes);
        changes
    }

    /// Lifts what is held against a source, and forgets what led to it: its failing
    /// calls and its earlier blocks. That it was attested stays known.
    pub fn forgive(&mut self, source: &Prefix, now: Now) -> (Changes, Forgiven) {
        let mut changes = Changes::default();
        let Some(key) = source::key(source) else {
            return (changes, Forgiven::default());
        };
        self.judge.advance(now, &mut changes);
        if let Some(record) = self.sources.find_mut(key) {
            record.forgive();
        }
        let lifted = self.judge.forgive(key, now, &mut changes);
        let forgiven = Forgiven {
            source: Some(source::prefix(key)),
            lifted,
        };
        (changes, forgiven)
    }

    /// Lets time pass, and gives back what follows. To be called when it is
    /// [`due`](Self::due); what is in between is found out then.
    pub fn tick(&mut self, now: Now) -> Changes {
        let mut changes = Changes::default();
        self.judge.tick(now, &mut changes);
        changes
    }

    /// When [`tick`](Self::tick) has something to do next, as [`Now::boot_ms`] counts.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.judge.due()
    }

    /// Everything that holds: a feed's whole word, as after a restart.
    #[must_use]
    pub fn word(&self, now: Now) -> Word {
        self.judge.word(now)
    }

    /// Why no new verdict is made, if none is.
    #[must_use]
    pub const fn alarm(&self) -> Option<&Alarm> {
        self.judge.alarm()
    }

    /// The hits of each step within the last day, and how much of them was genuine.
    #[must_use]
    pub fn shadow(&self) -> Vec<Row> {
        self.judge.rows()
    }

    /// Numbers to be shown. It looks at every verdict.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status {
            sources: self.sources.used(),
            forgotten: self.sources.evicted,
            ignored: self.ignored,
            ..Status::default()
        };
        for (_, mode, sanction) in self.judge.active() {
            let counts = match sanction.kind {
                Kind::Raised => &mut status.raised,
                Kind::Held | Kind::Bootstrap | Kind::Limited => &mut status.limited,
                Kind::Blocked => &mut status.blocked,
            };
            counts[usize::from(mode == Mode::Observe)] += 1;
        }
        status
    }

    /// The tier of an unknown source under attack: enough to attest, no more.
    #[must_use]
    pub const fn bootstrap(&self) -> u8 {
        self.judge.bootstrap()
    }
}

impl Changes {
    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.enforced.is_empty() && self.shadow.is_empty()
    }

    const fn of(&mut self, mode: Mode) -> &mut Vec<Change> {
        match mode {
            Mode::Enforce => &mut self.enforced,
            Mode::Observe => &mut self.shadow,
        }
    }
}
