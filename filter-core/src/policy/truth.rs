//! The effect that feeds in observe would have, compared with attestation: of the sources whose
//! calls are seen, which would have been hit, and how many of them were genuine.
//!
//! Only who calls the API is seen here. What a blocked source would have sent
//! besides is counted by the kernel, and nobody attests it.

use std::{collections::HashMap, sync::Arc};

use super::{
    Now,
    clock::Clock,
    shadow_stats::{Hit, Hits, ShadowStats},
    source,
};
use crate::{
    claim::Verdict,
    observation::{Observation, Outcome},
};

/// A claim that would have decided, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Would<'a> {
    /// The number of its feed.
    pub feed: u16,
    /// The verdict that it asks for.
    pub verdict: Verdict,
    /// Why.
    pub reason: &'a str,
}

/// The calls that the claims of one feed, verdict and reason would have hit within the last
/// day.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The number of the feed.
    pub feed: u16,
    /// The verdict that its claims ask for.
    pub verdict: Verdict,
    /// Why.
    pub reason: Arc<str>,
    /// The sources and calls that they would have hit.
    pub hits: Hits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Whose {
    feed: u16,
    verdict: Verdict,
    reason: u16,
}

/// Counts, hour by hour, for a day.
#[derive(Debug)]
pub struct Truth {
    shadow_stats: ShadowStats<Whose>,
    clock: Clock,
    reasons: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u16>,
}

impl Truth {
    /// Nothing was seen yet. Of `most` sources an hour is known what hit them;
    /// `seed` is what their hashes are mixed with.
    #[must_use]
    pub fn new(most: usize, seed: u64, now: Now) -> Self {
        let clock = Clock::new(now);
        Self {
            shadow_stats: ShadowStats::new(most, seed, clock.seconds()),
            clock,
            reasons: vec!["other".into()],
            numbers: HashMap::new(),
        }
    }

    /// A call, and the claim that would have decided of its source's packets.
    pub fn see(&mut self, seen: &Observation, would: Option<Would<'_>>, now: Now) {
        let Some(source) = source::key(&seen.source) else {
            return;
        };
        let at = self.clock.advance(now);
        self.shadow_stats.advance(at);
        let attested = seen.outcome == Outcome::Attested;
        if attested {
            // Whatever hit it before in this hour.
            self.shadow_stats.attest(source);
        }
        if let Some(would) = would {
            let whose = Whose {
                feed: would.feed,
                verdict: would.verdict,
                reason: self.number(would.reason),
            };
            let hit = Hit {
                lately: attested,
                attested,
                spared: false,
            };
            self.shadow_stats.hit(source, whose, seen.weight, hit);
        }
    }

    /// The findings, the most sources first.
    #[must_use]
    pub fn found(&self) -> Vec<Found> {
        let hits = self.shadow_stats.hits().into_iter();
        let mut found: Vec<_> = hits
            .map(|(whose, hits)| Found {
                feed: whose.feed,
                verdict: whose.verdict,
                reason: Arc::clone(&self.reasons[usize::from(whose.reason)]),
                hits,
            })
            .collect();
        found.sort_by(|one, other| {
            let order = other.hits.sources.cmp(&one.hits.sources);
            order.then_with(|| (one.feed, &one.reason).cmp(&(other.feed, &other.reason)))
        });
        found
    }

    /// The number of a reason; beyond [`REASONS`] all are one.
    fn number(&mut self, reason: &str) -> u16 {
        if let Some(number) = self.numbers.get(reason) {
            return *number;
        }
        if self.reasons.len() >= REASONS {
            return 0;
        }
        let (text, number) = (Arc::<str>::from(reason), self.reasons.len() as u16);
        self.reasons.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }
}

/// Reasons that are counted apart.
const REASONS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observation::Reason, prefix::Written};

    #[test]
    fn a_source_counts_once_an_hour_and_is_genuine_if_it_ever_was_in_that_hour() {
        let mut truth = Truth::new(100, 7, at(0));
        let block = Some(Would {
            feed: 3,
            verdict: Verdict::Block,
            reason: "scanner",
        });
        for (source, attested, would, minute) in [
            ("192.0.2.1", false, block, 1),
            ("192.0.2.1", false, block, 2),
            ("192.0.2.2", true, None, 3),
            ("192.0.2.3", false, block, 4),
            ("192.0.2.3", true, block, 5),
            // The next hour it isn't known to be genuine any more.
            ("192.0.2.3", false, block, 65),
        ] {
            truth.see(&call(source, attested), would, at(minute));
        }
        let found = truth.found();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].feed, &*found[0].reason), (3, "scanner"));
        let hits = found[0].hits;
        assert_eq!((hits.sources, hits.attested_sources), (3, 1));
        assert_eq!((hits.calls, hits.attested_calls), (5 * 2, 2));

        // A day later nothing is left.
        truth.see(&call("192.0.2.9", false), None, at(65 + 24 * 60));
        assert_eq!(truth.found(), []);
    }

    #[test]
    fn sources_and_reasons_are_bounded() {
        let mut truth = Truth::new(10, 7, at(0));
        for number in 0..=255 {
            let reason = format!("reason-{number}");
            let would = Some(Would {
                feed: 1,
                verdict: Verdict::Block,
                reason: &reason,
            });
            truth.see(&call(&format!("192.0.2.{number}"), false), would, at(1));
        }
        let sources: u64 = truth.found().iter().map(|found| found.hits.sources).sum();
        assert_eq!(sources, 10);
        for number in 0..2 * REASONS {
            truth.number(&format!("another-{number}"));
        }
        assert_eq!(truth.reasons.len(), REASONS);
        assert_eq!(truth.number("one-more"), 0);
    }

    fn at(minute: u64) -> Now {
        Now {
            boot_ms: minute * 60_000,
            unix: 1_800_000_000 + minute as u32 * 60,
        }
    }

    fn call(source: &str, attested: bool) -> Observation {
        let written: Written = source.parse().expect(source);
        Observation {
            source: written.prefix,
            outcome: if attested {
                Outcome::Attested
            } else {
                Outcome::Failed(Reason::new("tok_missing"))
            },
            device: None,
            token: None,
            ends: None,
            elsewhere: false,
            weight: 2,
        }
    }
}
