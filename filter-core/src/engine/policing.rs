//! The policy in the engine: observations in, changes of its two feeds out, and what must
//! outlive a restart.

use filter_common::settings::Mode;

use super::{Engine, File, feed_state::FeedState, kept::Writing};
use crate::{
    claim::{Change, Update, Verdict},
    clock::Now,
    config::{
        Config,
        feed::{ENFORCED, SHADOW},
    },
    feed::{FeedId, Refused},
    observation::Observation,
    policy::{Changes, Forgiven, Hits, Policy, Rules, Then, Would},
    prefix::Prefix,
    protocol::{PolicyStatus, PolicyVerdicts, ShadowLine},
};

/// The policy, and whether what it knows is kept.
#[derive(Debug)]
pub(super) struct Policing {
    policy: Policy,
    /// Something changed since it was kept.
    unkept: bool,
    /// Not before this it is kept again, in milliseconds since boot.
    keep_from: u64,
}

impl Policing {
    /// A policy that goes on where the last one left off, and a sentence if that can't
    /// be read.
    pub(super) fn start(
        rules: Rules,
        kept: Option<&str>,
        seed: u64,
        now: Now,
    ) -> (Self, Option<String>) {
        let restored = kept.map(|text| Policy::restore(rules.clone(), seed, text, now));
        let (policy, trouble) = match restored {
            None => (None, None),
            Some(Ok((policy, restored))) => {
                tracing::info!(
                    sources = restored.sources,
                    unreadable = restored.unreadable,
                    "the policy goes on where it was"
                );
                (Some(policy), None)
            }
            Some(Err(why)) => (
                None,
                Some(format!(
                    "what the policy knew before can't be read, and it begins anew: {why}"
                )),
            ),
        };
        let policing = Self {
            policy: policy.unwrap_or_else(|| Policy::new(rules, seed, now)),
            unkept: false,
            keep_from: now.boot_ms,
        };
        (policing, trouble)
    }

    /// When it has something to do, in milliseconds since boot.
    pub(super) fn due(&self) -> u64 {
        let due = self.policy.due();
        if self.unkept {
            due.min(self.keep_from)
        } else {
            due
        }
    }
}

impl Policing {
    /// Lifts the sanctions on a source, and begins its counts anew.
    pub(super) fn forgive(&mut self, source: &Prefix, now: Now) -> (Changes, Forgiven) {
        self.unkept = true;
        self.policy.forgive(source, now)
    }
}

impl Engine {
    /// Takes what verifiers saw.
    pub(super) fn observe(&mut self, seen: Vec<Observation>, now: Now) {
        self.hold_against(&seen, now);
        let Some(policing) = &mut self.policing else {
            return;
        };
        let mut all = Changes::default();
        for observation in &seen {
            let changes = policing.policy.observe(observation, now);
            all.enforced.extend(changes.enforced);
            all.shadow.extend(changes.shadow);
        }
        self.follow_policy(all, now);
    }

    /// Counts what feeds in observe would have done to these sources.
    fn hold_against(&mut self, seen: &[Observation], now: Now) {
        let observes = self.mode() == Mode::Observe;
        let any = observes || self.ledger.counts_in(true).claims() > 0;
        let own = self.policys_feeds();
        for one in seen {
            let would = any.then(|| {
                let (enforced, all) = self.ledger.holders(&one.source);
                let claim = all
                    .filter(|claim| claim.shadow)
                    .or_else(|| enforced.filter(|_| observes))?;
                // The policy knows more of its own.
                let counts = claim.verdict != Verdict::Allow && !own.contains(&Some(claim.feed));
                counts.then(|| Would {
                    feed: claim.feed,
                    verdict: claim.verdict,
                    reason: claim.reason.unwrap_or("-"),
                })
            });
            self.truth.see(one, would.flatten(), now);
        }
    }

    /// Lets the policy find out what time alone brings.
    pub(super) fn pass_policy(&mut self, now: Now) {
        let Some(policing) = &mut self.policing else {
            return;
        };
        if policing.due() > now.boot_ms {
            return;
        }
        let changes = policing.policy.tick(now);
        self.follow_policy(changes, now);
    }

    /// The policy's whole word, of one of its feeds.
    pub(super) fn say_all(&mut self, feed: FeedId, now: Now) {
        let Some(policing) = &self.policing else {
            return;
        };
        let word = policing.policy.word(now);
        let claims = if self.feeds.name(feed) == SHADOW {
            word.shadow
        } else {
            word.enforced
        };
        let applied = self.ledger.apply(feed, Update::Snapshot(claims), now);
        if let Some(slot) = self.feeds.get_mut(feed) {
            slot.took(true, Refused::default(), &applied, now);
        }
        self.apply(applied.patch, None, now);
    }

    /// Begins, ends or changes the policy after a reload.
    pub(super) fn configure_policy(&mut self, now: Now) {
        match (self.config.rules(&self.plan), &mut self.policing) {
            (None, _) => self.policing = None,
            (Some(rules), Some(policing)) => {
                let changes = policing.policy.configure(rules, now);
                self.follow_policy(changes, now);
            }
            (Some(rules), None) => {
                let (policing, _nothing_kept) = Policing::start(rules, None, self.seed, now);
                self.policing = Some(policing);
            }
        }
    }

    pub(super) fn follow_policy(&mut self, changes: Changes, now: Now) {
        if let Some(policing) = &mut self.policing {
            policing.unkept |= !changes.is_empty();
        }
        self.keep_policy(now);
        self.follow(ENFORCED, changes.enforced, now);
        self.follow(SHADOW, changes.shadow, now);
    }

    fn follow(&mut self, name: &str, changes: Vec<Change>, now: Now) {
        if changes.is_empty() {
            return;
        }
        let Some(feed) = self.feeds.number(name) else {
            return;
        };
        if !self.feeds.get(feed).is_some_and(FeedState::is_enabled) {
            return;
        }
        let applied = self.ledger.apply(feed, Update::Delta(changes), now);
        if let Some(slot) = self.feeds.get_mut(feed) {
            slot.took(false, Refused::default(), &applied, now);
        }
        self.apply(applied.patch, None, now);
    }

    /// Keeps what must outlive a restart; the next time not before that has paid for
    /// itself, and not while the disk still writes the last.
    fn keep_policy(&mut self, now: Now) {
        let Some(policing) = &mut self.policing else {
            return;
        };
        if !policing.unkept || now.boot_ms < policing.keep_from {
            return;
        }
        if self
            .writing
            .get(&File::Policy)
            .is_some_and(Writing::is_under_way)
        {
            policing.keep_from = now.boot_ms + KEEP_EVERY_MS;
            return;
        }
        let text = policing.policy.snapshot(now);
        policing.unkept = false;
        policing.keep_from =
            now.boot_ms + KEEP_EVERY_MS.max(text.len() as u64 / BYTES_A_MILLISECOND);
        self.persist(File::Policy, Some(text), None, now);
    }

    /// Keeps what the policy knows, at the end.
    pub fn finish(&mut self, now: Now) {
        if let Some(policing) = &self.policing {
            let text = policing.policy.snapshot(now);
            self.persist(File::Policy, Some(text), None, now);
        }
    }

    pub(super) fn policy_status(&self) -> Option<PolicyStatus> {
        let policy = &self.policing.as_ref()?.policy;
        let status = policy.status();
        let alarm = policy.alarm();
        let verdicts = |of: usize| PolicyVerdicts {
            raised: status.raised[of],
            limited: status.limited[of],
            blocked: status.blocked[of],
        };
        Some(PolicyStatus {
            mode: mode_name(self.config.policy.mode == Some(Mode::Enforce)),
            alarm: alarm.map(|alarm| alarm.why.to_string()),
            alarm_since: alarm.map(|alarm| u64::from(alarm.since)),
            sources: status.sources as u64,
            forgotten: status.forgotten,
            ignored: status.ignored,
            enforced: verdicts(0),
            shadow: verdicts(1),
        })
    }

    /// What is wrong with the policy, in a sentence.
    pub(super) fn policy_problem(&self, now: Now) -> Option<String> {
        let alarm = self.policing.as_ref()?.policy.alarm()?;
        let ago = now.unix.saturating_sub(alarm.since);
        Some(format!(
            "the policy makes no verdicts, and its own are withdrawn, since {ago} s: {}",
            alarm.why
        ))
    }

    /// What is in observe, or was, and what it hit within the last day.
    #[must_use]
    pub fn shadow_lines(&self) -> Vec<ShadowLine> {
        let tier = |tier: u8| {
            let name = self.plan.tier_names.name(tier);
            name.unwrap_or("?").to_owned()
        };
        let line = |hits: Hits, enforced: bool| ShadowLine {
            mode: mode_name(enforced),
            sources: hits.sources,
            attested_sources: hits.attested_sources,
            spared_sources: hits.spared_sources,
            calls: hits.calls,
            attested_calls: hits.attested_calls,
            ..ShadowLine::default()
        };
        let of_feeds = self.truth.found().into_iter().map(|found| ShadowLine {
            feed: self.feeds.name(found.feed).to_owned(),
            verdict: match found.verdict {
                Verdict::Limit(number) => tier(number),
                other => other.name().to_owned(),
            },
            reason: found.reason.to_string(),
            ..line(found.hits, false)
        });
        let rows = self.policing.iter().flat_map(|one| one.policy.shadow());
        let of_policy = rows.map(|row| {
            let enforced = row.mode == Mode::Enforce;
            ShadowLine {
                feed: if enforced { ENFORCED } else { SHADOW }.to_owned(),
                rule: Some(row.rule),
                step: Some(row.step as u64 + 1),
                verdict: match row.then {
                    Then::Limit { tier: number, .. } => tier(number),
                    Then::Block => "block".to_owned(),
                },
                reason: row.reason.to_string(),
                ..line(row.hits, enforced)
            }
        });
        of_feeds.chain(of_policy).collect()
    }
}

/// The rules of a configuration's policy, if it has one.
pub(super) fn rules(config: &Config, plan: &crate::plan::Plan) -> Option<Rules> {
    config.rules(plan)
}

fn mode_name(enforced: bool) -> String {
    if enforced { "enforce" } else { "observe" }.to_owned()
}

/// How often what must outlive a restart is written, at most, in milliseconds.
const KEEP_EVERY_MS: u64 = 500;

/// What it costs to make the text, a hundredfold: a large one is written less often.
const BYTES_A_MILLISECOND: u64 = 1 << 12;
