//! The policy's rules, with numbers for the tiers that a configuration names.

use std::time::Duration;

use super::Plan;
use crate::{
    config::{self, Config, policy, tier},
    policy::{Rule, Rules, Step, Then, Tiers},
};

impl Config {
    /// The rules of the policy, if there is one. `plan` is this configuration's.
    #[must_use]
    pub fn rules(&self, plan: &Plan) -> Option<Rules> {
        let written = &self.policy;
        let raise = written.mode?;
        let number = |name: &str| {
            plan.tier_names
                .number(name)
                .expect("the tier was looked at")
        };
        let strictness = plan.strictness();
        let strict = |tier: u8| strictness[usize::from(tier)];
        let bootstrap = number(tier::BOOTSTRAP);
        let attested = number(tier::ATTESTED);
        let shared: Vec<_> = tier::SHARED
            .map(|(devices, name)| (devices, number(name)))
            .into();
        let smaller = shared
            .iter()
            .rev()
            .find(|(_, tier)| strict(*tier) > strict(attested));
        let step = |step: &policy::Step| Step {
            evidence: step.evidence,
            share: step.share,
            then: match &step.verdict {
                config::Verdict::Limit(name) => Then::Limit {
                    tier: number(name),
                    below_bootstrap: strict(number(name)) > strict(bootstrap),
                },
                config::Verdict::Block | config::Verdict::Allow => Then::Block,
            },
            lifetime: seconds(step.lifetime),
        };
        let rules = written.rules.iter().filter_map(|rule| {
            Some(Rule {
                name: rule.name.clone(),
                integrities: rule.integrities.clone(),
                reasons: rule.reasons.clone(),
                mode: written.mode_of(rule)?,
                steps: rule.steps.iter().map(step).collect(),
            })
        });
        Some(Rules {
            sources: written.sources as usize,
            devices: written.devices as usize,
            rules: rules.collect(),
            raise,
            raised_for: seconds(written.raised_for),
            longest_block: seconds(written.longest_block),
            repeats_for: seconds(written.repeats_for),
            protected_for: seconds(written.protected_for),
            silent_for: seconds(written.silent_for),
            tiers: Tiers {
                bootstrap,
                attested,
                outgrown: smaller.map_or(0, |(devices, _)| devices + 1),
                shared,
            },
        })
    }
}

/// Whatever the operator may write fits.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX / 4)
}
