//! The check endpoint: a gateway asks about each call, and is answered 200, 401
//! or 403.
//!
//! `decide` is what is answered and what was observed (pure), `source` where a
//! call came from (pure), `keys` what tokens are checked with and how it is kept
//! fresh, `door` lets connections in, `report` takes what other verifiers have
//! observed, in the form that `codec` reads (pure). Nothing here knows what
//! follows from observations: they go into a channel, and where that is full
//! they are counted and dropped, since an answer never waits.

use std::{collections::HashMap, sync::Arc};

use hyper::HeaderMap;
use tokio::sync::mpsc;

use crate::{
    config,
    observation::Observation,
    token::{Rules, pseudonym::Pseudonyms},
};
use counts::Counts;
use decide::{Answer, Decided};
use keys::Shelf;
use source::SourceHeader;

mod activity;
pub mod codec;
pub mod counts;
pub mod decide;
pub mod door;
pub mod keys;
mod report;
pub mod socket;
pub mod source;

#[cfg(test)]
mod tests;

pub use report::Reporters;

/// Everything that an answer depends on.
#[derive(Debug)]
pub struct Check {
    attestations: Vec<Attestation>,
    by_name: HashMap<String, usize>,
    source: SourceHeader,
    /// A verdict may be made from where a call came from.
    source_is_peer: bool,
    /// Answers say why.
    tell_reason: bool,
    marker: Pseudonyms,
    observations: mpsc::Sender<Observation>,
    reporters: Reporters,
    counts: Counts,
    /// Unix time in seconds.
    clock: fn() -> u64,
}

/// One of the configuration, in the form in which it is asked.
#[derive(Debug)]
pub struct Attestation {
    /// As the configuration has it.
    pub configured: config::Attestation,
    /// Its keys.
    pub keys: Arc<Shelf>,
    rules: Rules,
}

impl Check {
    /// What the configuration says. Observations go into the channel; `clock`
    /// tells Unix time in seconds.
    #[must_use]
    pub fn new(
        check: &config::Check,
        attestations: &[config::Attestation],
        marker: Pseudonyms,
        reporters: Reporters,
        observations: mpsc::Sender<Observation>,
        clock: fn() -> u64,
    ) -> Self {
        let attestations: Vec<_> = attestations.iter().map(Attestation::new).collect();
        let names = attestations.iter().map(|one| one.configured.name.clone());
        Self {
            by_name: names.zip(0..).collect(),
            attestations,
            source: SourceHeader::new(&check.source_header, check.source_position),
            source_is_peer: check.source_is_peer,
            tell_reason: check.tell_reason,
            marker,
            observations,
            reporters,
            counts: Counts::default(),
            clock,
        }
    }

    /// The attestations, in the order of the configuration.
    #[must_use]
    pub fn attestations(&self) -> &[Attestation] {
        &self.attestations
    }

    /// What was answered and observed so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Answers a gateway's question, and passes on what was observed.
    fn answer(&self, path: &str, headers: &HeaderMap) -> Answer {
        let Some(attestation) = self.attestation_of(path) else {
            self.counts.answered(Answer::NO_ATTESTATION);
            return Answer::NO_ATTESTATION;
        };
        let now = (self.clock)();
        let decided = decide::decide(attestation, headers, now);
        let answer = decided.answer;
        self.counts.answered(answer);
        if answer.wants_keys() {
            attestation.keys.ask_for_others();
        }
        self.observe(decided, headers, now);
        answer
    }

    /// The attestation that a path below `/v1/check` means: the one whose name
    /// it begins with, or the only one.
    fn attestation_of(&self, path: &str) -> Option<&Attestation> {
        if let [only] = &self.attestations[..] {
            return Some(only);
        }
        let name = path.trim_start_matches('/').split('/').next()?;
        let place = self.by_name.get(name)?;
        self.attestations.get(*place)
    }

    fn observe(&self, decided: Decided, headers: &HeaderMap, now: u64) {
        let Some(outcome) = decided.outcome() else {
            return;
        };
        let Ok(ip) = self.source.of(headers) else {
            self.counts.sourceless();
            return;
        };
        if !self.source_is_peer {
            self.counts.of_no_peer();
            return;
        }
        let source = source::prefix(ip);
        let verified = decided.verified;
        self.send(Observation {
            source,
            outcome,
            device: verified
                .as_ref()
                .and_then(|it| it.device.as_deref())
                .map(|id| self.marker.device(id.as_bytes())),
            token: verified.as_ref().map(|it| self.marker.token(&it.signed)),
            ends: verified
                .as_ref()
                .map(|it| it.ends)
                .filter(|ends| u64::from(*ends) >= now),
            elsewhere: verified
                .as_ref()
                .and_then(|it| it.ip)
                .is_some_and(|ip| source::prefix(ip) != source),
            weight: 1,
        });
    }

    /// Whether there was room for it.
    fn send(&self, observation: Observation) -> bool {
        let sent = self.observations.try_send(observation).is_ok();
        self.counts.observed(sent);
        sent
    }
}

impl Attestation {
    fn new(configured: &config::Attestation) -> Self {
        Self {
            rules: Rules {
                issuer: configured.issuer.clone(),
                audience: configured.audience.clone(),
                leeway: u32::try_from(configured.leeway.as_secs()).unwrap_or(u32::MAX),
                unbound: configured.unbound,
            },
            keys: Arc::default(),
            configured: configured.clone(),
        }
    }
}
